"""Reading a YAML file as plain values, with the line and column of each of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from steps.errors import MissingInputError, Problem, SpecError

_LARGEST = 1 << 20
_MOST_ALIASES = 100

SourcePosition = tuple[int, int]
"""Line and column, from 1."""


def read_text(path: Path, hint: str) -> str:
    """The text of a file that somebody wrote by hand.

    Args:
        path: of the file.
        hint: what to do where there is none.

    Raises:
        MissingInputError: there is no such file.
        SpecError: it is no text, or far too long.
    """
    if not path.is_file():
        raise MissingInputError(f"There is no file {str(path)!r}.", hint=hint)
    content = path.read_bytes()
    if len(content) > _LARGEST:
        raise SpecError(str(path), [Problem("", "the file is over 1 MiB: nobody wrote that")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        column = error.start - (content.rfind(b"\n", 0, error.start) + 1) + 1
        raise SpecError(
            str(path), [Problem("", "not valid UTF-8", line=line, column=column)]
        ) from error


def parse_yaml(path: str, text: str) -> tuple[dict[str, Any], dict[str, SourcePosition]]:
    """Values and places of a YAML text; the top level must be a mapping.

    Raises:
        SpecError: with one problem for each thing that is wrong.
    """
    try:
        _refuse_alias_bombs(path, text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        message = f"not valid YAML: {error.problem or error.context}"
        raise SpecError(path, [Problem("", message, line=line, column=column)]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SpecError(
            path, [Problem("", f"not valid YAML: {error.reason}", line=line, column=1)]
        ) from None
    if not isinstance(node, yaml.MappingNode):
        message = "the file is a mapping, its lines something like `name: my-experiment`"
        raise SpecError(path, [Problem("", message, line=1, column=1)])
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
            raise SpecError(path, [Problem("", "more than 100 YAML aliases", line=line, column=1)])


class _Reader:
    """Turns YAML nodes into plain values, noting where each stands."""

    def __init__(self, path: str) -> None:
        self.places: dict[str, SourcePosition] = {}
        self.problems: list[Problem] = []
        self._constructor = yaml.SafeLoader("")
        self._depth = 0
        del path

    def _report(self, node: yaml.Node, where: str, message: str) -> None:
        line, column = _place(node)
        self.problems.append(Problem(where, message, line=line, column=column))

    def read(self, node: yaml.Node, where: str) -> Any:  # noqa: ANN401 - whatever YAML holds
        """The value of a node."""
        self.places[where] = _place(node)
        self._depth += 1
        try:
            if self._depth > 50:  # noqa: PLR2004
                self._report(node, where, "nested too deeply")
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
            self._report(node, where, f"not valid YAML: {error}")
            return None

    def _mapping(self, node: yaml.MappingNode, where: str) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None or key_node.tag == "tag:yaml.org,2002:merge":
                self._report(key_node, where, "a key must be plain text")
                continue
            inner = _dotted(where, key)
            if key in value:
                message = f"{key!r} is given twice; the first is on line {self.places[inner][0]}"
                self._report(key_node, where, message)
            value[key] = self.read(value_node, inner)
            self.places[f"{inner}\x00key"] = _place(key_node)
        return value


def _place(node: yaml.Node) -> SourcePosition:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _dotted(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
