"""Reading a spec file: YAML with line and column in every error, and ``--set`` overrides."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from steps.errors import MissingInputError, Problem, SpecError, UsageError
from workflows.spec import ExperimentSpec

_LARGEST = 1 << 20
_MOST_ALIASES = 100

Place = tuple[int, int]


@dataclass(frozen=True)
class LoadedSpec:
    """A spec and where each of its values stands in its file.

    Attributes:
        path: of the file, as it was given.
        spec: the values, with source and output resolved against the file's folder.
        places: line and column, from 1, by dotted path such as ``dataset.features.3``.
        overridden: dotted paths that ``--set`` gave a value, which stands nowhere in the file.
    """

    path: str
    spec: ExperimentSpec
    places: dict[str, Place]
    overridden: tuple[str, ...] = ()

    def locate(self, error: SpecError) -> SpecError:
        """The same error, with file, line and column."""
        problems = [_located(p, self.places, self.overridden) for p in error.problems]
        return SpecError(self.path, problems)


def load_spec(path: str | Path, overrides: Sequence[str] = ()) -> LoadedSpec:
    """Read, override and check a spec file.

    Args:
        path: of the YAML file.
        overrides: such as ``dataset.source=other.parquet``; values are YAML.

    Raises:
        MissingInputError: there is no such file.
        SpecError: with one problem for each thing that is wrong.
        UsageError: an override is not of the form ``a.b=value``.
    """
    raw, places = _parse(str(path), _text(Path(path)))
    folder = Path(path).resolve().parent
    for name, base in (("dataset.source", folder), ("output", folder)):
        _resolve(raw, name.split("."), base)
    overridden = tuple(_apply(raw, places, override) for override in overrides)
    try:
        spec = ExperimentSpec.model_validate(raw)
    except ValidationError as error:
        problems = [_located(_problem(e), places, overridden) for e in _worth_telling(error)]
        raise SpecError(str(path), problems) from None
    return LoadedSpec(str(path), _with_default_output(spec, raw, folder), places, overridden)


def _with_default_output(spec: ExperimentSpec, raw: dict[str, Any], folder: Path) -> ExperimentSpec:
    if "output" in raw:
        return spec
    return spec.model_copy(update={"output": str(folder / spec.output)})


def _text(path: Path) -> str:
    if not path.is_file():
        raise MissingInputError(
            f"There is no spec file {str(path)!r}.", hint="`refeed init TABLE` writes one."
        )
    content = path.read_bytes()
    if len(content) > _LARGEST:
        raise SpecError(str(path), [Problem(0, 0, "", "the file is over 1 MiB: not a spec")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        column = error.start - (content.rfind(b"\n", 0, error.start) + 1) + 1
        raise SpecError(str(path), [Problem(line, column, "", "not valid UTF-8")]) from error


def _parse(path: str, text: str) -> tuple[dict[str, Any], dict[str, Place]]:
    """Values and places of a YAML text; the top level must be a mapping."""
    try:
        _refuse_alias_bombs(path, text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        message = f"not valid YAML: {error.problem or error.context}"
        raise SpecError(path, [Problem(line, column, "", message)]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SpecError(path, [Problem(line, 1, "", f"not valid YAML: {error.reason}")]) from None
    if not isinstance(node, yaml.MappingNode):
        message = "a spec is a mapping, its first line something like `name: my-experiment`"
        raise SpecError(path, [Problem(1, 1, "", message)])
    reader = _Reader(path)
    value = reader.read(node, "")
    if reader.problems:
        raise SpecError(path, reader.problems)
    return value, reader.places


def _refuse_alias_bombs(path: str, text: str) -> None:
    aliases = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        aliases += isinstance(event, yaml.AliasEvent)
        if aliases > _MOST_ALIASES:
            line = event.start_mark.line + 1 if event.start_mark else 0
            raise SpecError(path, [Problem(line, 1, "", "more than 100 YAML aliases")])


class _Reader:
    """Turns YAML nodes into plain values, noting where each stands."""

    def __init__(self, path: str) -> None:
        self.places: dict[str, Place] = {}
        self.problems: list[Problem] = []
        self._constructor = yaml.SafeLoader("")
        self._depth = 0
        del path

    def read(self, node: yaml.Node, where: str) -> Any:  # noqa: ANN401 - whatever YAML holds
        """The value of a node."""
        self.places[where] = _place(node)
        self._depth += 1
        try:
            if self._depth > 50:  # noqa: PLR2004
                self.problems.append(Problem(*_place(node), where, "nested too deeply"))
                return None
            return self._value(node, where)
        finally:
            self._depth -= 1

    def _value(self, node: yaml.Node, where: str) -> Any:  # noqa: ANN401
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, where)
        if isinstance(node, yaml.SequenceNode):
            items = enumerate(node.value)
            return [self.read(item, _dotted(where, str(i))) for i, item in items]
        try:
            return self._constructor.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            self.problems.append(Problem(*_place(node), where, f"not valid YAML: {error}"))
            return None

    def _mapping(self, node: yaml.MappingNode, where: str) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None or key_node.tag == "tag:yaml.org,2002:merge":
                self.problems.append(Problem(*_place(key_node), where, "a key must be plain text"))
                continue
            inner = _dotted(where, key)
            if key in value:
                message = f"{key!r} is given twice; the first is on line {self.places[inner][0]}"
                self.problems.append(Problem(*_place(key_node), where, message))
            value[key] = self.read(value_node, inner)
            self.places[f"{inner}\x00key"] = _place(key_node)
        return value


def _place(node: yaml.Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _dotted(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _resolve(raw: dict[str, Any], names: list[str], folder: Path) -> None:
    """Make a relative path absolute, if it is there and a text without a scheme."""
    *parents, last = names
    for parent in parents:
        raw = raw.get(parent) if isinstance(raw, dict) else None  # type: ignore[assignment]
    value = raw.get(last) if isinstance(raw, dict) else None
    if isinstance(value, str) and value and "://" not in value:
        raw[last] = str((folder / value).resolve())


def _apply(raw: dict[str, Any], places: dict[str, Place], override: str) -> str:
    """Carry out one ``--set a.b=value``; paths given so are relative to the working directory.

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
    value, _ = _parse("--set", "value: " + text) if text.strip() else ({"value": None}, {})
    inner: Any = raw
    for part in parts[:-1]:
        if not isinstance(inner.get(part), dict):
            inner[part] = {}
        inner = inner[part]
    inner[parts[-1]] = value["value"]
    for known in [known for known in places if known == name or known.startswith(f"{name}.")]:
        del places[known]
    if name in {"dataset.source", "output"}:
        _resolve(raw, parts, Path.cwd())
    return name


def _worth_telling(error: ValidationError) -> list[ErrorDetails]:
    """One error per place: of a union's branches, the one that the value was meant for."""
    chosen: dict[str, ErrorDetails] = {}
    for details in error.errors(include_url=False):
        where = _where(details)
        rank = _rank(details)
        if where not in chosen or rank < _rank(chosen[where]):
            chosen[where] = details
    places = list(chosen)
    return [
        chosen[where]
        for where in places
        if not any(other.startswith(f"{where}.") for other in places)
    ]


def _rank(details: ErrorDetails) -> int:
    kind = details["type"]
    return {"extra_forbidden": 0, "literal_error": 2, "is_instance_of": 3}.get(kind, 1)


_BRANCHES = re.compile(
    r"^(list\[.*|ExcludedFeatures|PartialDependenceConfig|literal\[.*|str|int"
    r"|float|bool|nullable\[.*|constrained-.*|function-.*)$"
)


def _where(details: ErrorDetails) -> str:
    """Dotted path of a pydantic error, without the names of union branches."""
    return ".".join(
        str(part)
        for i, part in enumerate(details["loc"])
        if i == 0 or not (isinstance(part, str) and _BRANCHES.match(part))
    )


def _problem(details: ErrorDetails) -> Problem:
    where = _where(details)
    message = details["msg"].removeprefix("Value error, ")
    value = details["input"]
    if details["type"] == "extra_forbidden":
        return Problem(0, 0, where, "there is no such key", _nearest_key(where))
    if details["type"] == "missing":
        return Problem(0, 0, where, "is required, but missing", describe(where))
    if isinstance(value, (dict, BaseModel)):
        return Problem(0, 0, where, message, describe(where))
    shown = repr(value) if len(repr(value)) < 80 else repr(value)[:77] + "..."  # noqa: PLR2004
    return Problem(
        0, 0, where, f"{shown} will not do: {message[:1].lower()}{message[1:]}", describe(where)
    )


def _nearest_key(where: str) -> str:
    parent, _, key = where.rpartition(".")
    model = model_at(parent)
    known = list(model.model_fields) if model else []
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    meant = f"Did you mean {near[0]!r}? " if near else ""
    return f"{meant}Known here: {', '.join(known)}." if known else meant


def model_at(where: str) -> type[BaseModel] | None:
    """The part of the spec at a dotted path, or None where there is a plain value."""
    model: type[BaseModel] | None = ExperimentSpec
    for name in filter(None, where.split(".")):
        field = model.model_fields.get(name) if model else None
        model = _model_in(field.annotation) if field else None
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - any annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = getattr(annotation, "__args__", ())
    return next((model for arg in inner if (model := _model_in(arg))), None)


def describe(where: str) -> str:
    """What the spec's documentation says of the field at a dotted path; empty if nothing."""
    parent, _, name = where.rpartition(".")
    model = model_at(parent)
    field = model.model_fields.get(name) if model else None
    return " ".join((field.description or "").split()) if field else ""


def _located(problem: Problem, places: dict[str, Place], overridden: Sequence[str] = ()) -> Problem:
    """Add line and column: of the key for an unknown key, of the nearest parent otherwise."""
    if problem.line:
        return problem
    where = problem.where
    if any(where == name or where.startswith(f"{name}.") for name in overridden):
        return Problem(0, 0, f"--set {where}", problem.message, problem.hint)
    if problem.message == "there is no such key":
        where = f"{where}\x00key"
    while where and where not in places:
        where = where.removesuffix("\x00key") if "\x00" in where else where.rpartition(".")[0]
    line, column = places.get(where, (0, 0)) if where or "" in places else (0, 0)
    return Problem(line, column, problem.where, problem.message, problem.hint)
