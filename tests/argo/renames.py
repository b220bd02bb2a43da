"""Check that golden files differ from earlier ones by a committed map of names only.

``golden-6928035.tar.xz`` holds the golden files of commit 6928035. ``renames.yaml`` maps old names
to new ones. Applied to the old files, the map must give the current ones.

    .venv/bin/python -m tests.argo.renames           # print what differs
    .venv/bin/python -m tests.argo.renames --write   # after a deliberate change of behaviour

The second command replaces the archive with the current golden files and empties the map.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from tests.argo.cases import GOLDEN

HERE = Path(__file__).parent
OLD = HERE / "golden-6928035.tar.xz"
RENAMES = HERE / "renames.yaml"
HEAD = """\
# Renamed in the golden files since the archive next to this file was made, as `old: new`.
# A name is a whole word in a key or a string; letters, digits, _ and inner hyphens are part of it:
# `size` is a word in `--size=2` and in `{{inputs.parameters.size}}`, but not in `max-size`.
# Punctuation narrows an entry: `--size=` is renamed in arguments only. The longest entry wins.
"""

Yaml: TypeAlias = Any
"""A value that ``yaml.safe_load`` returns."""


class Renames:
    """A map of names that remembers which entries were used."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = dict(names)
        self._used: set[str] = set()
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_whole_word, longest_first)))

    @property
    def unused(self) -> list[str]:
        """Entries that have renamed nothing."""
        return sorted(self._names.keys() - self._used)

    def apply(self, value: Yaml) -> Yaml:
        """Rename in all keys and strings of a document.

        Raises:
            ValueError: two keys of one mapping get the same name.
        """
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self.apply(each) for each in value]
        if not isinstance(value, dict):
            return value
        renamed = {self.apply(key): self.apply(each) for key, each in value.items()}
        if len(renamed) < len(value):
            raise ValueError(f"two of the keys {sorted(value, key=str)} get the same name")
        return renamed

    def _text(self, text: str) -> str:
        return self._pattern.sub(self._new_name, text) if self._names else text

    def _new_name(self, match: re.Match[str]) -> str:
        self._used.add(match[0])
        return self._names[match[0]]


def _whole_word(name: str) -> str:
    """Return a pattern; at an end that is punctuation, anything may follow."""
    start = r"(?<!\w)(?<!\w-)" if re.match(r"\w", name) else ""
    end = r"(?!\w|-+\w)" if re.search(r"\w\Z", name) else ""
    return f"{start}{re.escape(name)}{end}"


def differences(
    old: Mapping[str, Yaml], current: Mapping[str, Yaml], renames: Renames
) -> Iterator[str]:
    """Describe what differs between old and current files beyond the renames."""
    for name in sorted({*old, *current}):
        if name not in current:
            yield f"{name}: the file is missing"
        elif name not in old:
            yield f"{name}: the file is new"
        else:
            for line in _differences("", renames.apply(old[name]), current[name]):
                yield f"{name}: {line}"
    for name in renames.unused:
        yield f"{RENAMES.name}: {name!r} renames nothing"


def _differences(path: str, old: Yaml, new: Yaml) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}, key=str):
            inner = f"{path}.{key}".lstrip(".")
            if key not in new:
                yield f"{inner}: was {_short(old[key])}, is missing"
            elif key not in old:
                yield f"{inner}: is new, {_short(new[key])}"
            else:
                yield from _differences(inner, old[key], new[key])
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(f"{path}[{number}]", one, other)
    elif type(old) is not type(new) or old != new:
        yield f"{path}: was {_short(old)}, is {_short(new)}"


def _short(value: Yaml) -> str:
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}..."


def _parsed(content: bytes) -> Yaml:
    return yaml.load(content, Loader=yaml.CSafeLoader)  # ten times as fast as in Python


def old_files() -> dict[str, Yaml]:
    """Return the golden files of the archive by name."""
    with tarfile.open(OLD) as tar:
        files = {member.name: tar.extractfile(member) for member in tar}
        return {name: _parsed(file.read()) for name, file in files.items() if file}


def current_files() -> dict[str, Yaml]:
    """Return the golden files by name."""
    paths = sorted(GOLDEN.iterdir())
    return {path.name: _parsed(path.read_bytes()) for path in paths}


def committed_renames() -> Renames:
    """Return the map."""
    return Renames(yaml.safe_load(RENAMES.read_text(encoding="utf-8")) or {})


def write() -> None:
    """Replace the archive with the current golden files, and empty the map."""
    with tarfile.open(OLD, "w:xz", preset=9) as tar:
        for path in sorted(GOLDEN.iterdir()):
            content = path.read_bytes()
            info = tarfile.TarInfo(path.name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    RENAMES.write_text(HEAD + "{}\n", encoding="utf-8")


def main() -> None:
    """Print what differs, or take the current golden files as the old ones."""
    if sys.argv[1:] == ["--write"]:
        if os.environ.get("CI") == "true":
            sys.exit("CI compares golden files; it never writes them.")
        write()
    elif sys.argv[1:]:
        sys.exit(str(__doc__))
    differing = list(differences(old_files(), current_files(), committed_renames()))
    sys.stdout.writelines(f"{line}\n" for line in differing)
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
