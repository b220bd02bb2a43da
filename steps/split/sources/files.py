"""What sources that are files share: their digest, and that they hold one table."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from steps.errors import DataError

BATCH_ROWS = 65_536
"""Rows of a batch at the most: few enough to stay in the processor's cache."""


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Files:
    """One or more files that hold one table."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def fingerprint(self) -> str:
        """See ``Source.fingerprint``; the files' names and order do not matter."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        """Found out once: it reads all bytes, and is asked for again when the plan is made."""
        digests = sorted(map(_file_digest, self.files))
        return hashlib.sha256("".join(digests).encode()).hexdigest()[:32]

    def schema(self) -> pa.Schema:
        """See ``Source.schema``."""
        first, *others = self.files
        schema = self._schema_of(first)
        _refuse_duplicates(first, schema.names)
        for other in others:
            _refuse_other_columns(first, schema, other, self._schema_of(other))
        return schema

    def _schema_of(self, path: Path) -> pa.Schema:
        raise NotImplementedError


def _refuse_duplicates(path: Path, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(
            f"{str(path)!r} names the column {', '.join(map(repr, repeated))} more than once, so "
            "nobody can tell which one a spec means.",
            hint="Rename the columns in the source.",
        )


def _refuse_other_columns(first: Path, schema: pa.Schema, other: Path, found: pa.Schema) -> None:
    if set(schema.names) != set(found.names):
        odd = sorted(set(schema.names) ^ set(found.names))
        raise DataError(
            f"{str(other)!r} has other columns than {str(first)!r}: {', '.join(map(repr, odd))} "
            "are in one of them only. All files of a directory must hold the same table."
        )
