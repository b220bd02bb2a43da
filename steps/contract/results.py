"""Paths of runs, and of the segments that hold models, explanations and records."""

from __future__ import annotations

from dataclasses import dataclass

from steps.contract.base import LOCK, join


@dataclass(frozen=True)
class CacheLayout:
    """Results of the train step, in segments: ``<root>/<project>/cache/``."""

    base: str

    @property
    def segments(self) -> str:
        """The folder with one folder of segments per fit context."""
        return join(self.base, "segments")

    def base_models(self, key: str) -> str:
        """The base models, by cache key."""
        return join(self.base, "base", key, "models.zip")

    def segment_folder(self, fit_context: str) -> str:
        """The folder of all segments of one fit context; see ``RunRequest.fit_context``."""
        return join(self.segments, fit_context)


@dataclass(frozen=True)
class RunLayout:
    """One run: ``<root>/<project>/runs/<experiment>/<run>/``."""

    base: str

    @property
    def request(self) -> str:
        """The run request: resolved spec and dataset. Train and collect take all settings here."""
        return join(self.base, "run.json")

    @property
    def spec(self) -> str:
        """The spec that was run, so that the run can be submitted again."""
        return join(self.base, "operations", "spec.json")

    @property
    def trainer(self) -> str:
        """Parameters, versions and tasks of the trainer, as the trainer's image reports them."""
        return join(self.base, "operations", "trainer.json")

    @property
    def split_checkpoint(self) -> str:
        """The checkpoint of split, from which a restarted pod resumes."""
        return join(self.base, "operations", "begun.json")

    @property
    def outcome(self) -> str:
        """Counts, best and worst partitions: a summary that is read when all pods are gone."""
        return join(self.base, "operations", "outcome.json")

    @property
    def workflows(self) -> str:
        """The folder with one file per workflow that worked on the run."""
        return join(self.base, "operations", "workflows")

    def workflow(self, name: str) -> str:
        """Name and time of one workflow that worked on the run."""
        return join(self.workflows, f"{name}.json")

    @property
    def shards(self) -> str:
        """The folder with one file per shard."""
        return join(self.base, "shards")

    def shard(self, name: str) -> str:
        """The partitions of one shard; ``shard_name`` makes its name."""
        return join(self.shards, f"{name}.json")

    @property
    def pods(self) -> str:
        """The folder with one file per pod that worked on the run."""
        return join(self.base, "pods")

    def pod(self, workflow: str, step: str, number: int) -> str:
        """One pod; number counts the pods of this step and workflow from 1."""
        return join(self.pods, f"{workflow}.{step}.{number:03d}.json")

    @property
    def cache(self) -> CacheLayout:
        """The cache of a forced run, which computes everything again."""
        return CacheLayout(join(self.base, "cache"))

    @property
    def generation(self) -> str:
        """How often the run was retried; missing if it never was."""
        return join(self.base, "operations", "generation.json")

    @property
    def marks(self) -> str:
        """The folder of marks, with one folder per shard."""
        return join(self.base, "marks")

    def shard_marks(self, shard: str) -> str:
        """The folder with one mark per pod of a shard."""
        return join(self.marks, shard)

    def mark(self, shard: str, pod: str) -> str:
        """The batch of partitions that a pod is training; deleted when the pod ends by itself."""
        return join(self.shard_marks(shard), f"{pod}.json")

    @property
    def tables(self) -> str:
        """The folder of the result tables."""
        return join(self.base, "tables")

    def table(self, name: str, suffix: str) -> str:
        """A result table; suffix is ``csv`` or ``parquet``."""
        return join(self.tables, f"{name}.{suffix}")

    @property
    def started(self) -> str:
        """When the run began."""
        return join(self.base, "operations", "started.json")

    @property
    def plan(self) -> str:
        """Numbers of partitions and of shards per resource class."""
        return join(self.base, "operations", "plan.json")

    @property
    def predictions(self) -> str:
        """Predicted seconds and memory of each partition, as CSV."""
        return join(self.base, "operations", "predictions.csv")

    @property
    def attempts_table(self) -> str:
        """All attempts at partitions, as CSV."""
        return join(self.base, "operations", "attempts.csv")

    @property
    def info(self) -> str:
        """When, where and how the result tables were made."""
        return join(self.base, "operations", "run.json")

    @property
    def lock(self) -> str:
        """Locked by the process that works on the run; a local folder only."""
        return join(self.base, LOCK)

    def log(self, step: str) -> str:
        """The structured log of one step."""
        return join(self.base, "logs", f"{step}.jsonl")

    @property
    def report(self) -> str:
        """The report."""
        return join(self.base, "report.html")

    @property
    def status(self) -> str:
        """The run's record, where the experiment store is on object storage."""
        return join(self.base, "status.json")

    @property
    def done(self) -> str:
        """The commit marker of collect: the run is complete."""
        return join(self.base, "done.json")
