"""Generate the reference pages of the documentation from the code.

python -m workflows.docs            # write them
python -m workflows.docs --check    # fail if a committed page is out of date
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

import refeed
from steps.results.schema import DATASET_TABLES, SCHEMA_VERSION, TABLES, ResultTable
from steps.train.registry import load_class
from workflows.cli.app import app
from workflows.installation.model import Installation
from workflows.spec.model import ExperimentSpec

DOCS = Path(__file__).parent.parent / "docs"
TRAINERS = ("lightgbm", "linear", "ebm")

_GENERATED = "<!-- Generated from the code by `make fix`. Do not edit. -->\n\n"
_SPEC_HEAD = """\
# Experiment spec: all fields

All fields of the [experiment spec](../analysts/spec.md), which is a YAML file. The
[JSON Schema](../experiment.schema.json) also holds the exact pattern of each text field. Override
any field on the command line with `--set`, for example `--set evaluate.folds=10`.
"""
_INSTALLATION_HEAD = """\
# Installation file: all fields

All fields of the [installation file](../platform/installation-file.md), which describes a cluster
to Refeed: its images, resource classes and projects.
"""
_TABLES_HEAD = f"""\
# Tables: all columns

All columns of the result tables (schema version {SCHEMA_VERSION}) and of the tables of a dataset.
[Result tables](../analysts/tables.md) describes the files and how to use them.

## Tables of a run
"""
_DATASET_TABLES_HEAD = """\

## Tables of a dataset

These tables are in `datasets/<hash>/statistics/`.
"""
_CLI_HEAD = """\
# Command line

All commands of `refeed`. Each has `--help`. Results go to standard output; messages and progress go
to standard error. With `--json` a command prints its result as JSON, for scripts.
`refeed --install-completion` sets up tab completion. [Exit codes](../analysts/exit-codes.md) lists
what the exit codes mean.
"""
_PYTHON_HEAD = """\
# Python API

Everything that `import refeed` offers; no other module is public. Importing `refeed` is cheap: a
name is loaded on first use.

| name | description |
|---|---|
"""


def main(arguments: list[str]) -> int:
    """Write or check the pages and return the exit code."""
    stale = []
    for name, text in pages().items():
        path = DOCS / name
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    if stale:
        sys.stderr.write(f"Out of date in docs/: {', '.join(stale)}. Run `make fix`.\n")
    return 1 if stale else 0


def pages() -> dict[str, str]:
    """Return the text of each generated file, by its path in docs/."""
    schema = json.dumps(ExperimentSpec.model_json_schema(), indent=2, ensure_ascii=False)
    root: Any = typer.main.get_command(app)
    context = typer.Context(root, info_name="refeed")
    cli: list[str] = []
    for name, command in root.commands.items():
        if not command.hidden:
            cli += _command_section(command, context, f"refeed {name}")
    spec = [*_model_sections(ExperimentSpec, "")]
    for name in TRAINERS:
        spec += [f"\n## `trainer.params` of {name}\n", _field_table(load_class(name).Params)]
    only_dataset = [table for name, table in DATASET_TABLES.items() if name not in TABLES]
    tables = [_table_section(table) for table in TABLES.values()]
    tables += [_DATASET_TABLES_HEAD, *map(_table_section, only_dataset)]
    texts = {
        "cli.md": _CLI_HEAD + "\n".join(cli),
        "installation-file.md": _INSTALLATION_HEAD + "\n".join(_model_sections(Installation, "")),
        "python.md": _PYTHON_HEAD + "\n".join(_python_sections()),
        "spec.md": _SPEC_HEAD + "\n".join(spec),
        "tables.md": _TABLES_HEAD + "\n".join(tables),
    }
    files = {"experiment.schema.json": f"{schema}\n"}
    for name, text in texts.items():
        lines = text.rstrip().splitlines()
        # Collapse runs of empty lines.
        kept = [line for i, line in enumerate(lines) if line or (i and lines[i - 1])]
        files[f"reference/{name}"] = _GENERATED + "\n".join(kept) + "\n"
    return files


def _command_section(command: Any, context: Any, name: str) -> Iterator[str]:  # noqa: ANN401
    """Yield the section of a command, and those of its subcommands; typer has no public types."""
    yield f"\n## `{name}`\n"
    yield f"{command.help}\n"
    if subcommands := getattr(command, "commands", None):
        for each, subcommand in subcommands.items():
            yield from _command_section(subcommand, context, f"{name} {each}")
        return
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"```text\n{name} {usage}\n```\n"
    yield "| argument or option | meaning |\n|---|---|"
    for parameter in command.params:
        written, meaning = parameter.get_help_record(context)
        cells = [" ".join(text.split()).replace("|", "\\|") for text in (written, meaning)]
        yield f"| `{cells[0]}` | {cells[1]} |"
    examples = (command.epilog or "").partition(":")[2].strip().split("    ")
    yield "\n```console\n" + "\n".join(f"$ {example}" for example in examples) + "\n```"


def _python_sections() -> Iterator[str]:
    names = {name: getattr(refeed, name) for name in refeed.__all__}
    kinds = {
        "Functions": ("autofunction", [n for n, v in names.items() if inspect.isfunction(v)]),
        "Classes": ("autoclass", [n for n, v in names.items() if _is_class(v, error=False)]),
        "Types": (
            "autodata",
            [n for n, v in names.items() if not inspect.isroutine(v) and not inspect.isclass(v)],
        ),
        "Errors": ("autoexception", [n for n, v in names.items() if _is_class(v, error=True)]),
    }
    for name in (name for _, listed in kinds.values() for name in listed):
        value = names[name]
        documented = inspect.isclass(value) or inspect.isroutine(value)
        # A type alias has no docstring of its own, so its value is shown.
        text = (inspect.getdoc(value) or "").splitlines()[0] if documented else f"`{value}`"
        summary = text.replace("``", "`").replace("|", "\\|")
        yield f"| `{name}` | {summary} |"
    for kind, (directive, listed) in kinds.items():
        if listed:
            yield f"\n## {kind}\n"
        for name in listed:
            members = (
                "\n   :members:\n   :show-inheritance:" if inspect.isclass(names[name]) else ""
            )
            yield f"```{{eval-rst}}\n.. {directive}:: refeed.{name}{members}\n```\n"


def _is_class(value: Any, *, error: bool) -> bool:  # noqa: ANN401 - any public name
    return inspect.isclass(value) and issubclass(value, Exception) == error


def _model_sections(model: type[BaseModel], where: str) -> Iterator[str]:
    yield f"\n## {f'`{where}`' if where else 'Top level'}\n"
    yield " ".join((model.__doc__ or "").split()) + "\n"
    yield _field_table(model)
    for name, field in _own_first(model):
        for inner in _models_in(field.annotation):
            named = f"{name}.<name>" if "dict[" in str(field.annotation) else name
            yield from _model_sections(inner, f"{where}.{named}" if where else named)


def _own_first(model: type[BaseModel]) -> list[tuple[str, Any]]:
    """Return the fields: those of the class before those that it inherits."""
    own = inspect.get_annotations(model)
    return sorted(model.model_fields.items(), key=lambda item: item[0] not in own)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - any annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models_in(inner)


def _field_table(model: type[BaseModel]) -> str:
    properties = model.model_json_schema()["properties"]
    rows = ["| field | allowed | default | meaning |", "|---|---|---|---|"]
    for name, field in _own_first(model):
        inner = "".join(each.__doc__ or "" for each in _models_in(field.annotation))
        meaning = " ".join((field.description or inner).split()).replace("|", "\\|")
        value = field.get_default(call_default_factory=True, validated_data={})
        if value is PydanticUndefined:
            default = "required"
        else:
            default = "see below" if isinstance(value, BaseModel) else f"`{json.dumps(value)}`"
        allowed = _allowed(properties[name]).replace("|", "\\|")
        also = [alias for alias, main in getattr(model, "aliases", {}).items() if main == name]
        meaning += f" Also: {', '.join(f'`{alias}`' for alias in also)}." if also else ""
        rows.append(f"| `{name}` | {allowed} | {default} | {meaning} |")
    return "\n".join(rows) + "\n"


def _allowed(schema: dict[str, Any]) -> str:
    """Describe the values that a JSON Schema allows in a few words."""
    if "anyOf" in schema:
        return " or ".join(_allowed(branch) for branch in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    compound = _compound(schema)
    if compound:
        return compound
    bounds = [f"{sign} {schema[key]}" for key, sign in _BOUNDS.items() if key in schema]
    return " ".join([schema.get("type", "any"), *([f"({', '.join(bounds)})"] if bounds else [])])


def _compound(schema: dict[str, Any]) -> str:
    """Describe a mapping or a list; return an empty text for a plain value."""
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


_BOUNDS = {
    "minimum": "≥",
    "exclusiveMinimum": ">",
    "maximum": "≤",
    "exclusiveMaximum": "<",
    "maxLength": "length ≤",
}


def _table_section(table: ResultTable) -> str:
    rows = [f"| `{c.name}` | {c.type} | {c.meaning} |" for c in table.columns]
    head = f"\n### `{table.name}`\n\nOne row is {table.grain}.\n"
    return "\n".join([head, "| column | type | meaning |", "|---|---|---|", *rows, ""])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
