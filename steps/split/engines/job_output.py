"""What the workers of a job leave for whoever finishes the data set, as objects in storage.

    work/<work>/handover/<job>/table.zip           the facts of the first pass, once
    work/<work>/handover/<job>/group-<n>-<m>.zip   what was written of part m of group n
    work/<work>/handover/<job>/error.json          why a worker gave up

Each is written whole, and again with the same content where a worker is started again.
"""

from __future__ import annotations

import io
import json
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
"""What a worker's error may be, so that whoever follows the job knows what helps."""


@dataclass(frozen=True)
class Table:
    """What the first pass found out, as far as the end needs it.

    Attributes:
        dataset: the data set's hash.
        content: digest of its content.
        sample: of its rows.
        summary: of its columns.
        groups: in the order of keys.
    """

    dataset: str
    content: str
    sample: Sample
    summary: TableSummary
    groups: tuple[Group, ...]


class JobOutput:
    """The folder of one job.

    Args:
        project: that it works for.
        work_id: name of the work, see ``SplitPlan.work_id``.
        job: text that no other job of this work has.
        storage: of the project.
    """

    def __init__(self, project: ProjectLayout, work_id: str, job: str, storage: Storage) -> None:
        self.layout, self.job, self.storage = project.work(work_id), job, storage
        self.base = self.layout.output(job)

    # --- written by workers

    def write_first_pass(self, facts: FirstPass, deal: Assignment) -> None:
        """Leave what the first pass found out."""
        about = {
            "dataset": deal.dataset,
            "content": deal.content,
            "columns": {name: asdict(each) for name, each in facts.summary.columns.items()},
            "groups": [asdict(group) for group in deal.groups],
        }
        sample = np.frombuffer(facts.sample.sample(deal.plan.schema).to_ipc(), np.uint8)
        self._put(self.layout.first_pass(self.job), about, {"sample": sample})

    def write_group_record(self, dealt: GroupPart, group: WrittenGroup) -> None:
        """Leave what was written of one part of a group."""
        about = {
            "keys": [asdict(key) for key in group.keys],
            "parts": [asdict(part) for part in group.parts],
            "rows": [statistics.rows for statistics in group.seen.groups],
            "top": [statistics.top for statistics in group.seen.groups],
        }
        arrays = {name: np.stack([getattr(g, name) for g in group.seen.groups]) for name in _ARRAYS}
        sketches = {f"sketch{i}": sketch for i, sketch in enumerate(group.seen.sketches)}
        self._put(self._group(dealt), about, {**arrays, **sketches})

    def write_error(self, error: RefeedError) -> None:
        """Leave why a worker gave up, for people."""
        kind = next(name for name, kind in _KINDS.items() if isinstance(error, kind))
        about = {"message": error.message, "hint": error.hint, "kind": kind}
        self.storage.write(self.layout.error(self.job), canonical_json(about).encode())

    # --- read by whoever finishes

    def table(self) -> Table:
        """What the first pass found out.

        Raises:
            MissingInputError: it has not ended.
            DamagedError: it cannot be read.
        """
        about, arrays = self._read(self.layout.first_pass(self.job))
        summary = TableSummary(about["columns"])
        summary.columns = {n: ColumnSummary(**each) for n, each in about["columns"].items()}
        return Table(
            dataset=about["dataset"],
            content=about["content"],
            sample=Sample.from_ipc(arrays["sample"].tobytes()),
            summary=summary,
            groups=tuple(_group(each) for each in about["groups"]),
        )

    def read_group(self, number: int, group: Group) -> list[WrittenGroup]:
        """What was written of a group, in the order of parts.

        Raises:
            DamagedError: some of it is missing, or cannot be read.
        """
        found = [self._written((number, part)) for part in range(1 << group.bits)]
        # A large partition whose rows are much alike may have no row for a part.
        written = [each for each in found if each is not None]
        rows = sum(part.rows for each in written for part in each.parts)
        if rows != group.rows:
            cause = f"{rows} of {group.rows} rows from partition {group.keys[0].text!r} on"
            raise DamagedError(self.base, cause)
        return written

    def _written(self, dealt: GroupPart) -> WrittenGroup | None:
        try:
            about, arrays = self._read(self._group(dealt))
        except MissingInputError:
            return None
        return WrittenGroup(
            keys=tuple(PartitionKey(**key) for key in about["keys"]),
            parts=tuple(_part(part) for part in about["parts"]),
            seen=_seen(about, arrays),
        )

    def error(self) -> RefeedError | None:
        """Why a worker gave up, if one did."""
        try:
            raw = read_parsed(self.storage, self.layout.error(self.job), json.loads)
        except MissingInputError:
            return None
        return _KINDS[raw["kind"]](raw["message"], hint=raw["hint"])

    def clear(self) -> None:
        """Remove the folder's objects: the data set is made, and nobody needs them."""
        for name in self.storage.names(self.base):
            self.storage.delete(join(self.base, name))

    # --- objects

    def _group(self, dealt: GroupPart) -> str:
        return self.layout.group_part(self.job, *dealt)

    def _put(self, uri: str, about: dict[str, Any], arrays: dict[str, Any]) -> None:
        text = json.dumps(about, ensure_ascii=True).encode()
        sink = io.BytesIO()
        np.savez(sink, allow_pickle=False, about=np.frombuffer(text, np.uint8), **arrays)
        self.storage.write(uri, sink.getvalue())

    def _read(self, uri: str) -> tuple[dict[str, Any], dict[str, Any]]:
        content = self.storage.read(uri)
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as found:
                arrays = dict(found)
            return json.loads(arrays.pop("about").tobytes()), arrays
        except (ValueError, OSError, KeyError) as error:
            raise DamagedError(uri, str(error)) from error


def delete_job_output(project: ProjectLayout, work_id: str, storage: Storage) -> None:
    """Remove what all jobs of some work left: the data set is made, and can be found.

    Whoever is killed in the middle leaves what nobody looks for: see ``SplitPlan.work_id``.
    """
    for job in storage.names(project.work(work_id).outputs):
        JobOutput(project, work_id, job, storage).clear()
    Claims(project, work_id, storage).clear()


def _group(raw: dict[str, Any]) -> Group:
    keys = tuple(PartitionKey(**key) for key in raw["keys"])
    return Group(**{**raw, "keys": keys})


def _part(raw: dict[str, Any]) -> WrittenPart:
    return WrittenPart(**{**raw, "missing": tuple(raw["missing"]), "sums": tuple(raw["sums"])})


def _seen(about: dict[str, Any], arrays: dict[str, Any]) -> GroupStatistics:
    groups = tuple(_statistics(about, arrays, i) for i in range(len(about["rows"])))
    columns = sum(name.startswith("sketch") for name in arrays)
    return GroupStatistics(groups, tuple(arrays[f"sketch{i}"] for i in range(columns)))


def _statistics(about: dict[str, Any], arrays: dict[str, Any], position: int) -> Statistics:
    top = tuple(tuple((text, count) for text, count in each) for each in about["top"][position])
    own = {name: arrays[name][position] for name in _ARRAYS}
    return Statistics(rows=about["rows"][position], top=top, **own)
