"""Load a spec file: YAML with line and column in every error, and ``--set`` overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from steps.errors import SpecError, UsageError
from workflows.spec.model import ExperimentSpec
from workflows.spec.schedule.check import schedule_problems
from workflows.spec.validation_errors import located, problems_of
from workflows.spec.yaml_positions import SourcePosition, parse_yaml, read_text

_HINT = "`refeed init TABLE` writes a spec."


@dataclass(frozen=True)
class LoadedSpec:
    """A spec, with the position of each of its values in the file.

    Attributes:
        path: path of the file, as given.
        spec: the values, with source and output resolved against the file's folder.
        positions: line and column, from 1, by dotted path such as ``dataset.features.3``.
        overridden: dotted paths that ``--set`` gave a value, which have no position in the file.
    """

    path: str
    spec: ExperimentSpec
    positions: dict[str, SourcePosition]
    overridden: tuple[str, ...] = ()

    def edit(self, changes: Mapping[str, Any]) -> LoadedSpec:
        """Return a copy with other values, which can be run.

        Args:
            changes: values by dotted path, such as ``{"evaluate.folds": 10}``.

        Raises:
            SpecError: a path or value is not valid.
        """
        raw = self.spec.model_dump(mode="json")
        for path, value in changes.items():
            *parents, last = path.split(".")
            inner = raw
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = value
        spec = _validated("the edited spec", raw)
        edited = tuple(dict.fromkeys([*self.overridden, *changes]))
        return LoadedSpec(self.path, spec, self.positions, edited)

    def locate(self, error: SpecError) -> SpecError:
        """Return the same error, with file, line and column."""
        problems = [located(p, self.positions, self.overridden) for p in error.problems]
        return SpecError(self.path, problems)


def load_spec(path: str | Path, overrides: Sequence[str] = ()) -> LoadedSpec:
    """Read a spec file, apply overrides and validate it.

    Args:
        path: path of the YAML file.
        overrides: overrides such as ``dataset.source=other.parquet``; values are YAML.

    Raises:
        MissingInputError: the file does not exist.
        SpecError: the spec is invalid; one problem per error.
        UsageError: an override is not of the form ``a.b=value``.
    """
    raw, positions = parse_yaml(str(path), read_text(Path(path), _HINT))
    folder = Path(path).resolve().parent
    for name in ("dataset.source", "output"):
        _resolve(raw, name.split("."), folder)
    overridden = tuple(_apply(raw, positions, override) for override in overrides)
    try:
        spec = _validated(str(path), raw)
    except SpecError as error:
        problems = [located(problem, positions, overridden) for problem in error.problems]
        raise SpecError(str(path), problems) from None
    if "output" not in raw:
        spec = spec.model_copy(update={"output": str(folder / spec.output)})
    return LoadedSpec(str(path), spec, positions, overridden)


def _validated(path: str, raw: dict[str, Any]) -> ExperimentSpec:
    """Return the spec that a user wrote.

    Raises:
        SpecError: it is not valid; the problems have no positions.
    """
    problems = schedule_problems(raw.get("schedule"))
    try:
        spec = ExperimentSpec.model_validate(raw)
    except ValidationError as error:
        raise SpecError(path, [*problems_of(ExperimentSpec, error), *problems]) from None
    if problems:
        raise SpecError(path, problems)
    return spec


def _resolve(raw: dict[str, Any], names: list[str], folder: Path) -> None:
    """Make the path at ``names`` absolute, unless it is missing or has a scheme."""
    *parents, last = names
    for parent in parents:
        raw = raw.get(parent) if isinstance(raw, dict) else None  # type: ignore[assignment]
    value = raw.get(last) if isinstance(raw, dict) else None
    if isinstance(value, str) and value and "://" not in value:
        raw[last] = str((folder / Path(value).expanduser()).resolve())


def _apply(raw: dict[str, Any], positions: dict[str, SourcePosition], override: str) -> str:
    """Apply one ``--set a.b=value``; a path in it is relative to the working directory.

    Returns:
        The dotted path, ``a.b``.
    """
    name, equals, text = override.partition("=")
    parts = name.strip().split(".")
    if not equals or not all(parts):
        raise UsageError(
            f"--set {override!r} is not of the form a.b=value.",
            hint="For example: --set dataset.source=data.parquet",
        )
    value, _ = parse_yaml("--set", "value: " + text) if text.strip() else ({"value": None}, {})
    inner: Any = raw
    for part in parts[:-1]:
        if not isinstance(inner.get(part), dict):
            inner[part] = {}
        inner = inner[part]
    inner[parts[-1]] = value["value"]
    for path in [path for path in positions if path == name or path.startswith(f"{name}.")]:
        del positions[path]
    if name in {"dataset.source", "output"}:
        _resolve(raw, parts, Path.cwd())
    return name
