"""The plan of a dataset: columns, partition column, format, and the identity of the build."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import pyarrow as pa

from steps.contract import SPLIT_VERSION
from steps.records import Column, digest
from steps.table.hashing import ContentSums
from steps.table.part_codec import arrow_schema


@dataclass(frozen=True)
class SplitPlan:
    """The dataset that split builds.

    Attributes:
        columns: names and canonical types, sorted by name.
        partition_by: name of the partition column.
        format: format of the part files.
        keys: columns that make up the partition column; empty if it is a column of the source.
        row_identity: columns that identify a row, which choose the sample; empty for all.
        identity: digest of the source's state and of the settings; not part of the dataset's hash.
        ignored_version: version of the pointer to ignore, see ``DatasetPointer``; not part of the
            dataset's hash.
        ignore_errors: submit a job even if an earlier one found an error in the same rows.
    """

    columns: tuple[Column, ...]
    partition_by: str
    format: str
    keys: tuple[str, ...] = ()
    row_identity: tuple[str, ...] = ()
    identity: str = ""
    ignored_version: str = ""
    ignore_errors: bool = False

    @property
    def build_id(self) -> str:
        """Id of this dataset build. All runs that need the same dataset share its jobs.

        It changes whenever a pointer is written, so a rebuild never reuses the claims, parts or
        half-deleted output of an earlier build of the same source.
        """
        if self.ignored_version:
            return digest([self.identity, self.ignored_version])
        return self.identity

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the part files."""
        return arrow_schema(self.columns)

    def digests(self, sums: ContentSums) -> tuple[str, str]:
        """Return the dataset's hash, and the digest of its content, which ignores the format."""
        columns = [asdict(column) for column in self.columns]
        content = digest([list(sums), columns, self.partition_by])
        # Without identity columns, the hash is that of earlier versions.
        shape = [self.format, SPLIT_VERSION, *self.row_identity]
        return digest([content, *shape]), content
