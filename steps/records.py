"""Records that the steps exchange: frozen, with a deterministic JSON form.

Only the standard library is imported here, so that the compiler can read them too.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

Json: TypeAlias = Any
"""Anything that ``json.loads`` returns."""

Status = Literal["trained", "skipped", "failed"]

Reason = Literal[
    "",
    "too_few_rows",
    "constant_target",
    "one_class",
    "target_out_of_range",
    "target_missing",
    "null_key",
    "all_features_missing",
    "too_few_groups",
    "trainer_error",
    "out_of_memory",
    "out_of_disk",
    "too_large",
    "worker_died",
    "no_record",
]
"""Why a partition has no model. The first eight are skips: there is nothing to train, and nothing
went wrong. The last six are failures."""


def canonical_json(value: Json) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, UTF-8, no NaN.

    Raises:
        ValueError: for NaN or an infinity, which JSON cannot hold.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: Json, length: int = 32) -> str:
    """Return the first ``length`` hex digits of the SHA-256 of ``value``'s canonical JSON."""
    text = canonical_json(value).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:length]


@dataclass(frozen=True, order=True)
class PartitionKey:
    """The value of the partition column that names one model.

    ``text`` is the value's canonical text: ``7``, ``0.5``, ``true``, ``2013-01-31``, or the string
    itself. ``kind`` is the column's canonical type, so that the string ``1`` and the integer ``1``
    are two keys; for rows whose key is null it is ``null`` and ``text`` is empty.
    """

    kind: str
    text: str

    @property
    def partition_id(self) -> str:
        """A name that is safe in a path, a label and a URL: ``p`` and 20 hex digits.

        No character of a hostile key survives (``../x``, spaces, ``A`` and ``a`` on a file system
        that ignores case). With 80 bits the chance that any two of a million keys collide is below
        1e-12, and split rejects the dataset if two do.
        """
        return "p" + digest([self.kind, self.text], 20)


@dataclass(frozen=True)
class PartitionEntry:
    """One partition in the partition index.

    Attributes:
        key: the partition.
        rows: rows in all parts.
        missing: nulls per column, in the order of the dataset's schema.
        content: digest of the rows as a multiset; equal rows in any order have equal digests.
        parts: paths of the part files, relative to the dataset's folder.
        bytes: size of all parts together.
    """

    key: PartitionKey
    rows: int
    missing: tuple[int, ...]
    content: str
    parts: tuple[str, ...]
    bytes: int


@dataclass(frozen=True)
class Column:
    """A column of a dataset: its name and canonical type."""

    name: str
    type: str


@dataclass(frozen=True)
class PartitionIndex:
    """The partition index, which split writes last. It defines the dataset.

    Attributes:
        dataset: the dataset's hash.
        content: digest of rows, columns and partition column; the same for every part format.
        columns: the schema, sorted by column name.
        partition_by: name of the partition column.
        format: format of the part files, ``parquet`` or ``csv``.
        entries: one per partition, sorted by key.
    """

    dataset: str
    content: str
    columns: tuple[Column, ...]
    partition_by: str
    format: str
    entries: tuple[PartitionEntry, ...]

    @property
    def rows(self) -> int:
        """Rows in all partitions."""
        return sum(entry.rows for entry in self.entries)

    def rows_with_target(self, entry: PartitionEntry, target: str) -> int:
        """Return the number of rows of a partition that have a target."""
        return entry.rows - entry.missing[self.column_position(target)]

    def column_position(self, name: str) -> int:
        """Return the position of a column in ``columns``.

        Raises:
            KeyError: there is no such column.
        """
        for position, column in enumerate(self.columns):
            if column.name == name:
                return position
        raise KeyError(name)

    def to_json(self) -> str:
        """Return the text that is stored as ``index.json``."""
        # Not asdict: it would copy each number of each partition, which dominates the time.
        entries = [{**vars(entry), "key": vars(entry.key)} for entry in self.entries]
        columns = [vars(column) for column in self.columns]
        return canonical_json({**vars(self), "columns": columns, "entries": entries})

    @classmethod
    def from_json(cls, text: str | bytes) -> PartitionIndex:
        """Read what ``to_json`` wrote."""
        raw = json.loads(text)
        raw["columns"] = tuple(Column(**column) for column in raw["columns"])
        raw["entries"] = tuple(
            PartitionEntry(
                key=PartitionKey(**entry["key"]),
                rows=entry["rows"],
                missing=tuple(entry["missing"]),
                content=entry["content"],
                parts=tuple(entry["parts"]),
                bytes=entry["bytes"],
            )
            for entry in raw["entries"]
        )
        return cls(**raw)


@dataclass(frozen=True)
class Roles:
    """The role of each column of a dataset.

    Attributes:
        partition_by: column whose value names the partition of a row.
        target: column to predict.
        features: columns that the models use, in the order of the spec.
        categorical: features whose values are levels without order.
        weight: column with the weight of a row; None if all rows count the same.
        group: column whose equal values share a fold; None if every row is on its own.
        time: column that orders the folds of method time; None for other methods.
        identity: columns that identify a row, sorted; empty for all columns.
        keys: columns that make up ``partition_by``; empty if it is a column of the source.
        offset: column that is added to the raw score of each row; None for no offset.
        exposure: column whose logarithm is added to the raw score; None for no exposure.
    """

    partition_by: str
    target: str
    features: tuple[str, ...]
    categorical: tuple[str, ...]
    weight: str | None
    group: str | None
    time: str | None
    identity: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    offset: str | None = None
    exposure: str | None = None

    @property
    def has_offset(self) -> bool:
        """True if something is added to the raw score of each row."""
        return self.offset is not None or self.exposure is not None


@dataclass(frozen=True)
class RunRequest:
    """The request that train and collect carry out; stored as ``run.json``.

    Attributes:
        project: isolation unit.
        experiment: the spec's name.
        run: the run's id.
        spec_hash: hash of the resolved spec, without URIs, labels and execution.
        dataset: the dataset's hash.
        grid: hash of the shared grid.
        roles: roles of the columns.
        task: regression, binary or multiclass.
        classes: classes of the whole dataset in order of their value; empty for a regression.
        min_rows: rows with a target that a partition must have.
        max_levels: levels per category before the rarest are merged.
        trainer: ``{"name": ..., "params": {...}}`` with all defaults filled in.
        evaluate: the spec's part, with all defaults.
        explain: the spec's part, with all defaults.
        versions: versions of Refeed and of the libraries that shape a number.
        max_failed_fraction: share of partitions that may fail before the run counts as failed.
        force: the run has a cache of its own, so nothing that was computed before is used.
        label: the user's own note.
        results_version: see ``contract.RESULTS_VERSION``; empty for a run of an early version.
        fold_models: whether the models of the folds are kept. They enter no result table; another
            grid of explanations needs them.
        base: settings of the base model; empty if there is none.
    """

    project: str
    experiment: str
    run: str
    spec_hash: str
    dataset: str
    grid: str
    roles: Roles
    task: str
    classes: tuple[str, ...]
    min_rows: int
    max_levels: int
    trainer: dict[str, Json]
    evaluate: dict[str, Json]
    explain: dict[str, Json]
    versions: dict[str, str]
    max_failed_fraction: float
    force: bool = False
    label: str = ""
    results_version: str = ""
    fold_models: Literal["keep", "drop"] = "keep"
    base: dict[str, Json] = field(default_factory=dict)

    @property
    def fit_context(self) -> str:
        """Digest of everything but the rows that decides a fit: runs that share it share fits."""
        roles = asdict(self.roles)
        decisive = [roles, self.task, self.classes, self.max_levels, self.evaluate, self.trainer]
        return digest([*decisive, self.versions, self.results_version], 20)

    @property
    def base_key(self) -> str:
        """Cache key of the base models: a digest of all inputs, rows included."""
        return digest([self.fit_context, self.dataset, self.base])

    def to_json(self) -> str:
        """Return the text that is stored."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> RunRequest:
        """Read what ``to_json`` wrote."""
        raw = json.loads(text)
        roles = raw["roles"]
        roles["features"] = tuple(roles["features"])
        roles["categorical"] = tuple(roles["categorical"])
        roles["identity"] = tuple(roles.get("identity", ()))
        roles["keys"] = tuple(roles.get("keys", ()))
        raw["roles"] = Roles(**roles)
        raw["classes"] = tuple(raw["classes"])
        return cls(**raw)


@dataclass(frozen=True)
class PartitionRecord:
    """How training ended for one partition of a run. It is written after everything it refers to.

    All of it follows from rows, resolved spec and library versions: no clock, no path.

    Attributes:
        key: the partition.
        status: ``trained``, ``skipped`` or ``failed``.
        reason: typed; empty when trained.
        message: for people; stripped of paths and addresses.
        fit: cache key of models and metrics, or of the reason that there is nothing to train; empty
            if the rows were not read.
        explanation: cache key of the explanations; empty unless trained.
        comparison: cache key of the comparison with the base model; empty if there is none.
    """

    key: PartitionKey
    status: Status
    reason: Reason = ""
    message: str = ""
    fit: str = ""
    explanation: str = ""
    comparison: str = ""

    def to_json(self) -> str:
        """Return the text that is stored."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> PartitionRecord:
        """Read what ``to_json`` wrote."""
        raw = json.loads(text)
        raw["key"] = PartitionKey(**raw["key"])
        return cls(**raw)


@dataclass(frozen=True)
class PodRecord:
    """One pod that worked on a run; written when it begins, as it progresses, and when it ends.

    Attributes:
        pod: its name.
        workflow: name of its workflow.
        step: such as ``split`` or ``train-small-00003``.
        number: counts the pods of this step of this workflow from 1.
        resource_class: name of the resource class whose memory it has.
        class_offset: how many classes larger than the step's own that is.
        began: ISO 8601, UTC.
        ended: ISO 8601, UTC; empty while it runs, or if it was killed.
        cause: why it ended: ``done``, ``transient``, ``error``, ``failed``, ``preempted``,
            ``memory``, ``more_memory``, ``disk`` (it used more than it may), ``evicted`` (its node
            was full), ``lost``; empty while it runs. If the pod was killed, the next pod writes
            the cause, which it gets from the workflow engine.
        done: partitions that are finished so far.
        total: partitions of the shard.
        statuses: the partitions done by this pod, by status.
    """

    pod: str
    workflow: str
    step: str
    number: int
    resource_class: str
    class_offset: int
    began: str
    ended: str = ""
    cause: str = ""
    done: int = 0
    total: int = 0
    statuses: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the text that is stored under ``pods/``."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> PodRecord:
        """Read what ``to_json`` wrote, also before fields were renamed."""
        old = {"size": "resource_class", "memory_step": "class_offset"}
        return cls(**{old.get(name, name): value for name, value in json.loads(text).items()})


@dataclass(frozen=True)
class RunRecord:
    """One run as the experiment store knows it.

    Attributes:
        project: isolation unit that the run belongs to.
        experiment: the spec's name.
        run: the run's id; ids of one experiment sort by the time at which they began.
        spec_hash: hash of the resolved spec, without URIs, labels and execution.
        dataset: the dataset's hash.
        status: ``running``, ``finished``, ``failed`` or ``stopped``; ``waiting``, which no store
            holds, for a run that only the cluster knows since none of its pods has started.
        started: ISO 8601, UTC.
        ended: ISO 8601, UTC; empty while it runs.
        counts: partitions by status.
        label: the user's own note.
        message: why it failed, in one sentence; empty if it did not.
    """

    project: str
    experiment: str
    run: str
    spec_hash: str
    dataset: str
    status: Literal["waiting", "running", "finished", "failed", "stopped"]
    started: str
    ended: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    label: str = ""
    message: str = ""

    def to_json(self) -> str:
        """Return the text that the store keeps."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> RunRecord:
        """Read what ``to_json`` wrote."""
        return cls(**json.loads(text))
