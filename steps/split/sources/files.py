"""The base of file sources: their digest, and the check that all files contain one table."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from steps.errors import DataError

BATCH_ROWS = 65_536
"""Maximum number of rows in a batch, which then fits into the processor's cache."""


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Files:
    """One or more files that contain one table."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def fingerprint(self) -> str:
        """See ``Source.fingerprint``; the files' names and order do not matter."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        """Digest of the files' bytes, cached because computing it reads all of them."""
        digests = sorted(map(_file_digest, self.files))
        return hashlib.sha256("".join(digests).encode()).hexdigest()[:32]

    def schema(self) -> pa.Schema:
        """See ``Source.schema``."""
        first, *others = self.files
        schema = self._schema_of(first)
        duplicates = sorted({name for name in schema.names if schema.names.count(name) > 1})
        if duplicates:
            raise DataError(
                f"{str(first)!r} has more than one column {', '.join(map(repr, duplicates))}, so a "
                "spec cannot refer to one of them.",
                hint="Rename the columns in the source.",
            )
        for other in others:
            _reject_different_columns(first, schema, other, self._schema_of(other))
        return schema

    def _schema_of(self, path: Path) -> pa.Schema:
        raise NotImplementedError


def _reject_different_columns(
    first: Path, schema: pa.Schema, other: Path, other_schema: pa.Schema
) -> None:
    if set(schema.names) != set(other_schema.names):
        only_first = sorted(set(schema.names) - set(other_schema.names))
        only_other = sorted(set(other_schema.names) - set(schema.names))
        differences = [
            f"only {str(path)!r} has {', '.join(map(repr, names))}"
            for path, names in ((first, only_first), (other, only_other))
            if names
        ]
        raise DataError(
            f"Two files have different columns: {', and '.join(differences)}. All files of a "
            "folder must have the same columns."
        )
