"""Makes what of the docs follows from the code: the spec, its JSON Schema, tables, errors.

python -m workflows.docs            # write
python -m workflows.docs --check    # fail if what is committed is out of date
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from steps.results.schema import DATASET_TABLES, SCHEMA_VERSION, TABLES, ResultTable
from steps.train.registry import load_class
from workflows.installation.model import Installation
from workflows.spec.model import ExperimentSpec

DOCS = Path(__file__).parent.parent / "docs"
TRAINERS = ("lightgbm", "linear")

_SPEC_HEAD = """\
# The experiment spec

Made from the code by `make fix`; do not edit. An editor that knows YAML schemas completes a spec
that begins with `# yaml-language-server: $schema=<path to>/docs/experiment.schema.json`.
Any field can be overridden on the command line: `--set evaluate.folds=10`.
"""
_INSTALLATION_HEAD = """\
# The installation file

Made from the code by `make fix`; do not edit. Written once by the engineer who runs the platform,
and read by every command about a cluster: `--installation FILE`, or `REFEED_INSTALLATION` in the
environment. [manifests/installation.example.yaml](../manifests/installation.example.yaml) is one to
begin with.
"""
_TABLES_HEAD = f"""\
# Result tables

Made from the code by `make fix`; do not edit. Schema version {SCHEMA_VERSION}. Every table is
written to `tables/` twice: as Parquet, and as CSV (RFC 4180: one header line, commas, CRLF, quoted
text; UTF-8; ISO 8601; an empty cell is an undefined value).

**Formulas.** A CSV cell of text that a spreadsheet would run is made harmless: if it begins (after
white space) with one of `= + - @ | %`, their full-width forms, a tab, a line end or an apostrophe,
and is not a plain number, it gets an apostrophe in front. To undo it, remove one leading
apostrophe. NUL is written as U+2400. Parquet holds every value as it is.

`tables/` are a function of the rows, the resolved spec (without URIs and execution) and the
versions of the libraries: two runs give the same bytes, whatever the order of rows, the number of
workers or what was cached. What differs from run to run is in `operations/`.
"""
_DATASET_TABLES_HEAD = """\

# Tables of the data set

They lie beside the data set, in `datasets/<hash>/statistics/`, with the same formats. So does
`column_statistics`, of which every run has a copy. The CSV files of these two hold only the rows
about the whole table (`scope` is `table`), which would else be long; the Parquet files hold all.
`tfdv.pb` beside them is the same of the whole table in the format of TensorFlow Data Validation;
`refeed profile SPEC --tfdv FOLDER` writes one of each partition.
"""


def main(arguments: list[str]) -> int:
    """Write or check; returns the exit code."""
    stale = []
    for name, text in pages().items():
        path = DOCS / name
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    if stale:
        sys.stderr.write(f"Out of date: {', '.join(stale)} in docs/. Run `make fix`.\n")
    return 1 if stale else 0


def pages() -> dict[str, str]:
    """Text by file name."""
    schema = json.dumps(ExperimentSpec.model_json_schema(), indent=2, ensure_ascii=False)
    return {
        "experiment.schema.json": f"{schema}\n",
        "spec.md": _SPEC_HEAD + "\n".join(_spec_sections()),
        "installation.md": _INSTALLATION_HEAD + "\n".join(_model_sections(Installation, "")),
        "tables.md": _TABLES_HEAD + "\n".join(_table_sections()),
    }


def _spec_sections() -> Iterator[str]:
    yield from _model_sections(ExperimentSpec, "")
    for name in TRAINERS:
        yield f"\n## trainer.params of `{name}`\n"
        yield _field_table(load_class(name).Params)


def _model_sections(model: type[BaseModel], where: str) -> Iterator[str]:
    yield f"\n## {f'`{where}`' if where else 'Top level'}\n"
    yield " ".join((model.__doc__ or "").split()) + "\n"
    yield _field_table(model)
    for name, field in model.model_fields.items():
        for inner in _models_in(field.annotation):
            named = f"{name}.<name>" if "dict[" in str(field.annotation) else name
            yield from _model_sections(inner, f"{where}.{named}" if where else named)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - any annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models_in(inner)


def _field_table(model: type[BaseModel]) -> str:
    properties = model.model_json_schema()["properties"]
    rows = ["| field | allowed | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        meaning = " ".join((field.description or "").split())
        default = _default(field.get_default(call_default_factory=True, validated_data={}))
        allowed = _allowed(properties[name]).replace("|", "\\|")
        rows.append(f"| `{name}` | {allowed} | {default} | {meaning} |")
    return "\n".join(rows) + "\n"


def _default(value: Any) -> str:  # noqa: ANN401 - any default
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        return "see below"
    return f"`{json.dumps(value)}`"


def _allowed(schema: dict[str, Any]) -> str:
    """The values that a JSON Schema allows, in a few words."""
    if "anyOf" in schema:
        return " or ".join(_allowed(branch) for branch in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    return _compound(schema) or _bounded(schema)


def _compound(schema: dict[str, Any]) -> str:
    """Mappings and lists; empty for a plain value."""
    if "$ref" in schema:
        return "mapping"
    if isinstance(schema.get("additionalProperties"), dict):
        of = _allowed(schema["additionalProperties"])
        return "mapping of mappings" if of == "mapping" else f"mapping of {of}"
    if schema.get("type") == "object" and "patternProperties" in schema:
        return "mapping of mappings"
    if schema.get("type") == "array":
        return f"list of {_allowed(schema.get('items', {}))}"
    return ""


def _bounded(schema: dict[str, Any]) -> str:
    bounds = [
        f"{sign} {schema[key]}"
        for key, sign in _BOUNDS.items()
        if key in schema and not (key == "minLength" and schema[key] == 0)
    ]
    return " ".join([schema.get("type", "any"), *([f"({', '.join(bounds)})"] if bounds else [])])


_BOUNDS = {
    "minimum": "≥",
    "exclusiveMinimum": ">",
    "maximum": "≤",
    "exclusiveMaximum": "<",
    "minLength": "length ≥",
    "maxLength": "length ≤",
    "pattern": "like",
}


def _table_sections() -> Iterator[str]:
    yield from map(_table_section, TABLES.values())
    yield _DATASET_TABLES_HEAD
    for name, table in DATASET_TABLES.items():
        if name not in TABLES:
            yield _table_section(table)


def _table_section(table: ResultTable) -> str:
    rows = [f"| `{c.name}` | {c.type} | {c.meaning} |" for c in table.columns]
    head = f"\n## `{table.name}`\n\nOne row is {table.grain}.\n"
    return "\n".join([head, "| column | type | meaning |", "|---|---|---|", *rows, ""])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
