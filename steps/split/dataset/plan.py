"""The plan of a dataset: columns, partition column, format, and what identifies the work."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import pyarrow as pa

from steps.contract import SPLIT_VERSION
from steps.records import Column, digest
from steps.table.hashing import ContentSums
from steps.table.part_codec import arrow_schema


@dataclass(frozen=True)
class SplitPlan:
    """What is to be made.

    Attributes:
        columns: names and canonical types, sorted by name.
        partition_by: name of the partition column.
        format: of the part files.
        identity: of the source, as it is, and of what is made of it; no part of what is made.
        outdated: see ``Link``; nor is this.
        anew: an error of an earlier job about the same rows is no answer.
    """

    columns: tuple[Column, ...]
    partition_by: str
    format: str
    identity: str = ""
    outdated: str = ""
    anew: bool = False

    @property
    def work(self) -> str:
        """Name of the work that the data set is: all who do the same share its jobs.

        It changes whenever a link has been written, so that nobody ever meets what an earlier work
        on the same source has left: its claims, its parts, or what was removed of them by half.
        """
        return digest([self.identity, self.outdated]) if self.outdated else self.identity

    @property
    def schema(self) -> pa.Schema:
        """Of the part files."""
        return arrow_schema(self.columns)

    def digests(self, sums: ContentSums) -> tuple[str, str]:
        """The data set's hash, and the digest of its content, which no format changes."""
        columns = [asdict(column) for column in self.columns]
        content = digest([list(sums), columns, self.partition_by])
        return digest([content, self.format, SPLIT_VERSION]), content
