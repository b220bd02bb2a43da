"""Find the files of a source: one file, a folder, a pattern, or folders such as ``region=eu``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from steps.contract import join
from steps.errors import DataError, MissingInputError
from steps.storage.base import Storage, scheme_of

_FOLDER = re.compile(r"(?P<name>[^=/]+)=(?P<value>.*)")
_NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"
"""Value in a folder's name that Hive, Spark and pandas write for missing."""
_WILDCARD = re.compile(r"[*?\[]")
_COMPRESSED = frozenset({".gz", ".bz2", ".zst", ".lz4"})
_COMPRESSIBLE = frozenset({".csv", ".tsv", ".txt", ".tab"})
TABLE_SUFFIXES = frozenset(
    {*_COMPRESSIBLE, *{".parquet", ".pq"}, *{".arrow", ".feather", ".ipc"}, ".xlsx"}
)
"""Suffixes of files that hold tables; text files may be compressed too."""
_IN_FOLDERS = TABLE_SUFFIXES - {".txt"}
"""The same in a folder, where a .txt file is more likely a note about the tables."""


@dataclass(frozen=True)
class Located:
    """A file of a source.

    Attributes:
        uri: URI or local path.
        folders: columns that the names of its folders give; None for a missing value.
    """

    uri: str
    folders: tuple[tuple[str, str | None], ...] = ()


def table_suffix(name: str) -> str:
    """Return the suffix that names a file's format, ``.csv`` for ``x.csv.gz``."""
    path = PurePosixPath(name.lower())
    if path.suffix in _COMPRESSED and PurePosixPath(path.stem).suffix in _COMPRESSIBLE:
        return PurePosixPath(path.stem).suffix
    return path.suffix


def locate(source: str, storage: Storage) -> list[Located]:
    """Return the files of a source, sorted by name.

    Args:
        source: a file, a folder or a pattern; a local path or a URI.
        storage: storage of the source.

    Raises:
        MissingInputError: there is no such file or folder.
        DataError: a folder holds no tables, or its files lie in different folders.
    """
    if not scheme_of(source):
        source = str(Path(source).expanduser())
    if not source.endswith("/") and _is_file(source, storage):
        return [Located(source)]
    if is_pattern(source) and not storage.names(source):
        return _checked(source, list(_matching(source, storage)))
    if not storage.names(source) and not _is_folder(source):
        raise _missing(source)
    return _checked(source, list(_tables_in(source, storage, ())))


def is_pattern(source: str) -> bool:
    """Return true if a source may be a pattern, such as ``sales/*.csv``."""
    return bool(_WILDCARD.search(source))


def _is_file(source: str, storage: Storage) -> bool:
    return storage.exists(source) if scheme_of(source) else Path(source).is_file()


def _is_folder(source: str) -> bool:
    return not scheme_of(source) and Path(source).is_dir()


def _missing(source: str) -> MissingInputError:
    where = (
        "There is no such object or folder."
        if scheme_of(source)
        else "dataset.source is relative to the spec file."
    )
    return MissingInputError(
        f"The source {source!r} does not exist.",
        hint=f"{where} Set another source with --set dataset.source=PATH.",
    )


def _matching(source: str, storage: Storage) -> Iterator[Located]:
    """Yield the tables whose path matches a pattern, folder by folder."""
    if "**" in source:
        raise DataError(
            f"The source {source!r} contains '**'.",
            hint="Use one * per folder, such as sales/*/*.csv.",
        )
    first = _WILDCARD.search(source)
    assert first is not None
    base, separator, rest = source[: first.start()].rpartition("/")
    patterns = (rest + source[first.start() :]).rstrip("/").split("/")
    yield from _descend(f"{base}{separator}" or ".", patterns, storage)


def _descend(folder: str, patterns: list[str], storage: Storage) -> Iterator[Located]:
    pattern, *others = patterns
    for name in storage.names(folder):
        if not fnmatchcase(name, pattern):
            continue
        path = join(folder, name) if folder != "." else name
        if others:
            yield from _descend(path, others, storage)
        elif table_suffix(name) in TABLE_SUFFIXES and _is_file(path, storage):
            yield Located(path, _folders_of(path))


def _tables_in(
    folder: str, storage: Storage, folders: tuple[tuple[str, str | None], ...]
) -> Iterator[Located]:
    """Yield the tables in a folder and in its folders such as ``region=eu``."""
    for name in storage.names(folder):
        if name.startswith(("_", ".")):  # _SUCCESS, _metadata, .crc
            continue
        path = join(folder, name)
        column = _column_of(name)
        if column and not (table_suffix(name) in _IN_FOLDERS and _is_file(path, storage)):
            yield from _tables_in(path, storage, (*folders, column))
        elif table_suffix(name) in _IN_FOLDERS:
            yield Located(path, folders)


def _column_of(name: str) -> tuple[str, str | None] | None:
    match = _FOLDER.fullmatch(name)
    if match is None:
        return None
    value = unquote(match["value"])
    return unquote(match["name"]), None if value == _NULL_FOLDER else value


def _folders_of(path: str) -> tuple[tuple[str, str | None], ...]:
    columns = (_column_of(part) for part in path.split("/")[:-1])
    return tuple(column for column in columns if column is not None)


def _checked(source: str, found: list[Located]) -> list[Located]:
    """Return the files, after checking that there are some and that they give the same columns."""
    if not found:
        raise DataError(
            f"{source!r} contains no tables.",
            hint="Set dataset.source to a .csv, .parquet, .arrow or .xlsx file, to a folder of "
            "them, to a pattern such as sales/*.csv, or to a folder of folders named region=eu.",
        )
    names = {tuple(name for name, _ in file.folders): file for file in found}
    if len(names) > 1:
        one, other = sorted(names.values(), key=lambda file: file.uri)[:2]
        raise DataError(
            f"The folders of {one.uri!r} and {other.uri!r} name different columns.",
            hint="Every file must lie in folders with the same names before the =.",
        )
    return found
