"""Result tables of a run, as tests compare them: to the byte."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping


class Tables(Mapping[str, bytes]):
    """The bytes of result tables, by name.

    Not a ``dict``: of two that differ, pytest would align megabytes line by line, for hours.
    """

    def __init__(self, content: Mapping[str, bytes]) -> None:
        self._content = dict(content)

    def __getitem__(self, name: str) -> bytes:
        return self._content[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    def __repr__(self) -> str:
        found = (
            f"{name} {hashlib.sha256(content).hexdigest()[:8]}" for name, content in self.items()
        )
        return f"Tables({', '.join(found)})"


def differences(ours: Tables, theirs: Tables) -> list[str]:
    """Return a line for each table that differs between two runs."""
    found = []
    for name in sorted({*ours, *theirs}):
        if name not in ours or name not in theirs:
            found.append(f"{name}: only {'right' if name in theirs else 'left'}")
        elif ours[name] != theirs[name]:
            found.append(f"{name}: {_first_difference(ours[name], theirs[name])}")
    return found


def _first_difference(ours: bytes, theirs: bytes) -> str:
    lines = zip(ours.split(b"\n"), theirs.split(b"\n"), strict=False)
    for number, (one, other) in enumerate(lines, 1):
        if one != other:
            return f"line {number}: {one[:300]!r} != {other[:300]!r}"
    return f"{len(ours)} and {len(theirs)} bytes, the same as far as they go"
