"""Check a source's settings without looking at the source."""

from __future__ import annotations

from collections.abc import Iterator

from steps.errors import Problem
from steps.split.config import DatasetConfig
from steps.split.sources.locate import table_suffix
from steps.storage.base import location_problem, scheme_of

OF_TEXT = frozenset({"delimiter", "decimal", "encoding", "skip_lines"})
"""Settings of text files."""
OF_EXCEL = frozenset({"sheet"})
"""Settings of workbooks."""

FORMATS = {
    **dict.fromkeys((".csv", ".tsv", ".txt", ".tab"), "csv"),
    **dict.fromkeys((".parquet", ".pq"), "Parquet"),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), "Arrow"),
    ".xlsx": "excel",
}
"""Format of a file by its suffix."""

_KINDS = {
    "csv": ("a CSV file", OF_EXCEL),
    "excel": ("a workbook", OF_TEXT - {"skip_lines"}),
    "Parquet": ("a source in the format Parquet", OF_TEXT | OF_EXCEL),
    "Arrow": ("a source in the format Arrow", OF_TEXT | OF_EXCEL),
}
"""Description of each format, and the settings that have no effect on it."""


def source_problems(config: DatasetConfig) -> list[Problem]:
    """Return what is wrong with a source and its settings, whatever the source contains."""
    if config.query is not None or scheme_of(config.source) == "bigquery":
        return list(unused_settings(config, "a BigQuery table", OF_TEXT | OF_EXCEL))
    problem = location_problem(config.source, "dataset.source", _SOURCES)
    if problem is not None:
        return [problem]
    if "**" in config.source:
        message = f"{config.source!r} contains '**'"
        hint = "Use one * per folder, such as sales/*/*.csv."
        return [Problem("dataset.source", message, hint)]
    return format_problems(config, FORMATS.get(table_suffix(config.source), ""))


_SOURCES = "Use a local path, gs://bucket/folder or bigquery://project.dataset.table."


def format_problems(config: DatasetConfig, name: str) -> list[Problem]:
    """Return the settings that have no effect on files of a format; none if it is unknown."""
    return list(unused_settings(config, *_KINDS[name])) if name in _KINDS else []


def unused_settings(config: DatasetConfig, what: str, names: frozenset[str]) -> Iterator[Problem]:
    """Yield a problem for each of the settings that is set but has no effect on a source."""
    for name in sorted(names & config.model_fields_set):
        if getattr(config, name) != type(config).model_fields[name].default:
            yield Problem(
                f"dataset.{name}",
                f"{name} has no effect on {what}, and {config.source!r} is one",
                f"Remove {name}.",
            )
