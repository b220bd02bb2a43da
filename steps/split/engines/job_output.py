"""The intermediate output of a job's workers, from which the dataset is assembled.

    work/<work>/handover/<job>/table.zip           the result of the first pass
    work/<work>/handover/<job>/group-<n>-<m>.zip   keys, parts and statistics of part m of group n
    work/<work>/handover/<job>/error.json          the error that stopped a worker

Each object is written whole. A restarted worker writes the same content again.
"""

from __future__ import annotations

import io
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from steps.contract import ProjectLayout, join
from steps.errors import (
    DamagedError,
    DataError,
    ForbiddenError,
    MissingInputError,
    OutputError,
    RefeedError,
    TerminalError,
    TransientError,
)
from steps.records import PartitionKey, canonical_json
from steps.split.coordination.claims import Claims
from steps.split.dataset.part_files import WrittenGroup, WrittenPart
from steps.split.engines.first_pass import FirstPass
from steps.split.engines.shuffle import Assignment, Group, GroupPart
from steps.storage.base import Storage, read_parsed
from steps.table.sample import Sample
from steps.table.statistics import GroupStatistics, Statistics
from steps.table.summaries import ColumnSummary, TableSummary

_ARRAYS = [field.name for field in fields(Statistics) if field.name not in {"rows", "top"}]


_KINDS = {
    kind.__name__: kind
    for kind in (
        TransientError,
        ForbiddenError,
        MissingInputError,
        OutputError,
        DataError,
        TerminalError,
        RefeedError,
    )
}
"""Types of a worker's error, by name, so that the run that follows the job raises the same type."""


@dataclass(frozen=True)
class FirstPassResult:
    """The result of the first pass, from which the dataset is assembled.

    Attributes:
        dataset: the dataset's hash.
        content: digest of the dataset's content.
        sample: sample of the rows.
        summary: summary of the columns.
        groups: groups of partitions in the order of keys.
    """

    dataset: str
    content: str
    sample: Sample
    summary: TableSummary
    groups: tuple[Group, ...]


class JobOutput:
    """The output folder of one job.

    Args:
        project: the project that contains the dataset.
        build_id: id of the build, see ``SplitPlan.build_id``.
        job: id of the job, unique within the build.
        storage: storage of the project.
    """

    def __init__(self, project: ProjectLayout, build_id: str, job: str, storage: Storage) -> None:
        self.layout, self.job, self.storage = project.build(build_id), job, storage
        self.base = self.layout.output(job)

    # --- written by workers

    def write_first_pass(self, first_pass: FirstPass, assignment: Assignment) -> None:
        """Write the result of the first pass."""
        fields = {
            "dataset": assignment.dataset,
            "content": assignment.content,
            "columns": {name: asdict(each) for name, each in first_pass.summary.columns.items()},
            "groups": [asdict(group) for group in assignment.groups],
        }
        sample = first_pass.sample.sample(assignment.plan.schema).to_ipc()
        arrays = {"sample": np.frombuffer(sample, np.uint8)}
        self._write(self.layout.first_pass(self.job), fields, arrays)

    def write_group_record(self, group_part: GroupPart, group: WrittenGroup) -> None:
        """Write keys, parts and statistics of one part of a group."""
        statistics = group.statistics
        fields = {
            "keys": [asdict(key) for key in group.keys],
            "parts": [asdict(part) for part in group.parts],
            "rows": [each.rows for each in statistics.groups],
            "top": [each.top for each in statistics.groups],
        }
        arrays = {name: np.stack([getattr(g, name) for g in statistics.groups]) for name in _ARRAYS}
        sketches = {f"sketch{i}": sketch for i, sketch in enumerate(statistics.sketches)}
        self._write(self.layout.group_part(self.job, *group_part), fields, {**arrays, **sketches})

    def write_error(self, error: RefeedError) -> None:
        """Write the error that stopped a worker."""
        kind = next(name for name, kind in _KINDS.items() if isinstance(error, kind))
        fields = {"message": error.message, "hint": error.hint, "kind": kind}
        self.storage.write(self.layout.error(self.job), canonical_json(fields).encode())

    # --- read when the dataset is assembled

    def first_pass(self) -> FirstPassResult:
        """Return the result of the first pass.

        Raises:
            MissingInputError: the first pass has not finished.
            DamagedError: the result cannot be read.
        """
        fields, arrays = self._read(self.layout.first_pass(self.job))
        summary = TableSummary(fields["columns"])
        summary.columns = {n: ColumnSummary(**each) for n, each in fields["columns"].items()}
        groups = []
        for raw in fields["groups"]:
            keys = tuple(PartitionKey(**key) for key in raw["keys"])
            groups.append(Group(**{**raw, "keys": keys}))
        return FirstPassResult(
            dataset=fields["dataset"],
            content=fields["content"],
            sample=Sample.from_ipc(arrays["sample"].tobytes()),
            summary=summary,
            groups=tuple(groups),
        )

    def read_group(self, number: int, group: Group) -> list[WrittenGroup]:
        """Return the records of a group, in the order of parts.

        Raises:
            DamagedError: a record is missing, or cannot be read.
        """
        written = []
        for part in range(1 << group.bits):
            # A part has no rows if the rows of a large partition are very similar.
            with suppress(MissingInputError):
                record = self._read(self.layout.group_part(self.job, number, part))
                written.append(_written_group(*record))
        rows = sum(part.rows for record in written for part in record.parts)
        if rows != group.rows:
            first, last = group.keys[0].text, group.keys[-1].text
            cause = f"its partitions {first!r} to {last!r} have {rows} rows instead of {group.rows}"
            raise DamagedError(self.base, cause)
        return written

    def error(self) -> RefeedError | None:
        """Return the error that stopped a worker, if any."""
        try:
            raw = read_parsed(self.storage, self.layout.error(self.job), json.loads)
        except MissingInputError:
            return None
        return _KINDS[raw["kind"]](raw["message"], hint=raw["hint"])

    def clear(self) -> None:
        """Delete the folder's objects, after the dataset has been published."""
        for name in self.storage.names(self.base):
            self.storage.delete(join(self.base, name))

    # --- objects

    def _write(self, uri: str, fields: dict[str, Any], arrays: dict[str, Any]) -> None:
        text = json.dumps(fields, ensure_ascii=True).encode()
        sink = io.BytesIO()
        np.savez(sink, allow_pickle=False, about=np.frombuffer(text, np.uint8), **arrays)
        self.storage.write(uri, sink.getvalue())

    def _read(self, uri: str) -> tuple[dict[str, Any], dict[str, Any]]:
        content = self.storage.read(uri)
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                arrays = dict(archive)
            return json.loads(arrays.pop("about").tobytes()), arrays
        except (ValueError, OSError, KeyError) as error:
            raise DamagedError(uri, str(error)) from error


def delete_job_output(project: ProjectLayout, build_id: str, storage: Storage) -> None:
    """Delete the intermediate output of all jobs of a build, after the dataset is published.

    Output that remains after a crash is never reused: see ``SplitPlan.build_id``.
    """
    for job in storage.names(project.build(build_id).outputs):
        JobOutput(project, build_id, job, storage).clear()
    Claims(project, build_id, storage).clear()


def _written_group(fields: dict[str, Any], arrays: dict[str, Any]) -> WrittenGroup:
    """Return the group whose record ``JobOutput.write_group_record`` wrote."""
    parts = tuple(
        WrittenPart(**{**raw, "missing": tuple(raw["missing"]), "sums": tuple(raw["sums"])})
        for raw in fields["parts"]
    )
    statistics = []
    for i, (rows, columns) in enumerate(zip(fields["rows"], fields["top"], strict=True)):
        top = tuple(tuple((text, count) for text, count in column) for column in columns)
        cells = {name: arrays[name][i] for name in _ARRAYS}
        statistics.append(Statistics(rows=rows, top=top, **cells))
    sketches = sum(name.startswith("sketch") for name in arrays)
    return WrittenGroup(
        keys=tuple(PartitionKey(**key) for key in fields["keys"]),
        parts=parts,
        statistics=GroupStatistics(
            tuple(statistics), tuple(arrays[f"sketch{i}"] for i in range(sketches))
        ),
    )
