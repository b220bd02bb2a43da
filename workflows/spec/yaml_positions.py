"""Read a YAML file as plain values, with the line and column of each value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from steps.errors import MissingInputError, Problem, SpecError

_MAX_BYTES = 1 << 20
_MAX_ALIASES = 100
_MAX_DEPTH = 50

SourcePosition = tuple[int, int]
"""Line and column, from 1."""


def read_text(path: Path, hint: str) -> str:
    """Read a handwritten UTF-8 file of at most 1 MiB.

    Args:
        path: path of the file.
        hint: hint of the error if the file does not exist.

    Raises:
        MissingInputError: the file does not exist.
        SpecError: the file is not UTF-8 text, or too large.
    """
    if not path.is_file():
        raise MissingInputError(f"There is no file {str(path)!r}.", hint=hint)
    content = path.read_bytes()
    if len(content) > _MAX_BYTES:
        message = "the file is larger than 1 MiB, the limit for a spec"
        hint = "Check that the path names a spec, not a table."
        raise SpecError(str(path), [Problem("", message, hint)])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        column = error.start - (content.rfind(b"\n", 0, error.start) + 1) + 1
        raise SpecError(
            str(path), [Problem("", "not valid UTF-8", line=line, column=column)]
        ) from error


def parse_yaml(path: str, text: str) -> tuple[dict[str, Any], dict[str, SourcePosition]]:
    """Return the values of a YAML text and their positions; the top level must be a mapping.

    Raises:
        SpecError: the text is not valid; one problem per error.
    """
    try:
        _check_size(path, text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        message = f"not valid YAML: {error.problem or error.context}"
        hint = (
            "Check indentation, colons and quotes here and on the line above; indent with spaces."
        )
        raise SpecError(path, [Problem("", message, hint, line=line, column=column)]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SpecError(
            path, [Problem("", f"not valid YAML: {error.reason}", line=line, column=1)]
        ) from None
    if not isinstance(node, yaml.MappingNode):
        message = "the top level must be a mapping, with lines such as `name: my-experiment`"
        raise SpecError(path, [Problem("", message, line=1, column=1)])
    reader = _Reader()
    value = reader.read(node, "")
    if reader.problems:
        raise SpecError(path, reader.problems)
    return value, reader.positions


def _check_size(path: str, text: str) -> None:
    """Refuse aliases that expand a text to far more than its size, and very deep nesting.

    Raises:
        SpecError: there are too many aliases or levels.
    """
    aliases = depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        aliases += isinstance(event, yaml.AliasEvent)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        message = (
            f"more than {_MAX_ALIASES} YAML aliases"
            if aliases > _MAX_ALIASES
            else f"more than {_MAX_DEPTH} levels within each other"
        )
        if aliases > _MAX_ALIASES or depth > _MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 0
            raise SpecError(path, [Problem("", message, line=line, column=1)])


class _Reader:
    """Reader that converts YAML nodes to plain values and records their positions."""

    def __init__(self) -> None:
        self.positions: dict[str, SourcePosition] = {}
        self.problems: list[Problem] = []
        self._constructor = yaml.SafeLoader("")
        self._depth = 0

    def _report(self, node: yaml.Node, where: str, message: str) -> None:
        line, column = _position(node)
        self.problems.append(Problem(where, message, line=line, column=column))

    def read(self, node: yaml.Node, where: str) -> Any:  # noqa: ANN401 - any YAML value
        """Return the value of a node."""
        self.positions[where] = _position(node)
        self._depth += 1
        try:
            if self._depth > _MAX_DEPTH:
                self._report(node, where, f"nested more than {_MAX_DEPTH} levels deep")
                return None
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, where)
            if isinstance(node, yaml.SequenceNode):
                items = enumerate(node.value)
                return [self.read(item, _dotted(where, str(i))) for i, item in items]
            return self._constructor.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            self._report(node, where, f"not valid YAML: {error}")
            return None
        finally:
            self._depth -= 1

    def _mapping(self, node: yaml.MappingNode, where: str) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None or key_node.tag == "tag:yaml.org,2002:merge":
                self._report(key_node, where, "a key must be plain text")
                continue
            inner = _dotted(where, key)
            if key in value:
                message = f"{key!r} is given twice; the first is on line {self.positions[inner][0]}"
                self._report(key_node, where, message)
            value[key] = self.read(value_node, inner)
            self.positions[f"{inner}\x00key"] = _position(key_node)
        return value


def _position(node: yaml.Node) -> SourcePosition:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _dotted(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
