"""Paths of all artifacts, and the command line of each step: the same on a laptop and a cluster.

A path is a plain string, a local one or ``gs://bucket/prefix``. The compiler passes
``{{placeholders}}`` where the local runner passes values. Nothing here reads or writes files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SPLIT_VERSION = 4
"""Increase this when the same source would produce different part files."""

TRAIN_VERSION = 6
"""Increase this when the same rows would give another model, metric or explanation."""

RESULTS_VERSION = f"{SPLIT_VERSION}.{TRAIN_VERSION}"
"""Runs can be resumed by versions of Refeed that have this version in common."""


LOCK = ".lock"
"""Name of a lock file; there are some in local folders only."""


def join(base: str, *parts: str) -> str:
    """Join with ``/`` on every platform, since a URI is not a path."""
    return "/".join([base.rstrip("/"), *parts])


@dataclass(frozen=True)
class DatasetLayout:
    """One dataset: ``<root>/<project>/datasets/<hash>/``."""

    base: str

    @property
    def index(self) -> str:
        """The partition index. It is written last: without it the dataset does not exist."""
        return join(self.base, "index.json")

    @property
    def rebuild(self) -> str:
        """A marker: an artifact of the dataset was lost, so the next split builds it again."""
        return join(self.base, "rebuild.json")

    @property
    def sample(self) -> str:
        """Distinct rows with the smallest hashes, and their counts; the source of grids."""
        return join(self.base, "sample.arrow")

    @property
    def statistics(self) -> str:
        """Exact counts per column, from which the task and the classes follow."""
        return join(self.base, "statistics.json")

    def statistics_table(self, name: str, suffix: str) -> str:
        """A table of column statistics; suffix is ``csv`` or ``parquet``."""
        return join(self.base, "statistics", f"{name}.{suffix}")

    @property
    def tfdv(self) -> str:
        """Statistics of the whole table in the format of TensorFlow Data Validation."""
        return join(self.base, "statistics", "tfdv.pb")

    @property
    def profile(self) -> str:
        """The page that ``refeed profile`` writes."""
        return join(self.base, "statistics", "profile.html")

    def grid(self, grid_hash: str) -> str:
        """A shared grid; its hash covers points per feature and categorical features."""
        return join(self.base, "grids", f"{grid_hash}.json")

    @staticmethod
    def part(partition_id: str, number: int, suffix: str) -> str:
        """A part file, relative to ``base``; two hex digits spread the files over 256 folders."""
        return f"parts/{partition_id[1:3]}/{partition_id}-{number:05d}.{suffix}"


@dataclass(frozen=True)
class CacheLayout:
    """Models and explanations by cache key: ``<root>/<project>/cache/<key>/``."""

    base: str

    def folder(self, key: str) -> str:
        """The folder of one fit or one explanation."""
        return join(self.base, key[:2], key)

    def fit(self, key: str) -> str:
        """Metrics of a fit; written after its models."""
        return join(self.folder(key), "fit.json")

    def fold_models(self, key: str) -> str:
        """A zip archive of the models of all folds."""
        return join(self.folder(key), "fold-models.zip")

    def final_model(self, key: str, suffix: str) -> str:
        """The model fitted on all rows, in its library's own format."""
        return join(self.folder(key), f"model{suffix}")

    def model_card(self, key: str) -> str:
        """A description of the final model."""
        return join(self.folder(key), "model-card.md")

    def explanation(self, key: str) -> str:
        """Importance, partial dependence and SHAP of one partition."""
        return join(self.folder(key), "explanation.json")


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
    def records(self) -> str:
        """The folder with one record per partition."""
        return join(self.base, "records")

    def record(self, partition_id: str) -> str:
        """The outcome of training for one partition."""
        return join(self.records, f"{partition_id}.json")

    @property
    def started_attempts(self) -> str:
        """The folder with one file per attempt at a partition, written when it starts."""
        return join(self.base, "marks")

    def started_attempt(self, partition_id: str, number: int) -> str:
        """The start of an attempt; number counts from 1."""
        return join(self.started_attempts, f"{partition_id}-{number:03d}.json")

    @property
    def attempts(self) -> str:
        """The folder with one file per attempt at a partition, written when it ends."""
        return join(self.base, "attempts")

    def attempt(self, partition_id: str, number: int) -> str:
        """The end of an attempt; number counts from 1."""
        return join(self.attempts, f"{partition_id}-{number:03d}.json")

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


@dataclass(frozen=True)
class BuildLayout:
    """Intermediate output and claims of split jobs: ``datasets/work/<build id>/``."""

    base: str

    @property
    def jobs(self) -> str:
        """The folder of claims, and of the ids that Dataflow gave the claimed jobs."""
        return join(self.base, "jobs")

    def claim(self, number: int) -> str:
        """The right to submit the n-th job, from 1; only one process can create it."""
        return join(self.jobs, f"claim-{number:03d}.json")

    def job(self, number: int) -> str:
        """The id that Dataflow gave the n-th job."""
        return join(self.jobs, f"job-{number:03d}.json")

    @property
    def followers(self) -> str:
        """The folder with one mark per run that waits for the outcome."""
        return join(self.base, "followers")

    @staticmethod
    def mark(folder: str, follower_digest: str) -> str:
        """The mark of one run in ``followers`` or ``leaving``."""
        return join(folder, f"{follower_digest}.json")

    @property
    def leaving(self) -> str:
        """The folder with one mark per run that stops waiting, and cancels a job nobody needs."""
        return join(self.base, "leaving")

    @property
    def outputs(self) -> str:
        """The folder with the output of each job."""
        return join(self.base, "handover")

    def output(self, job: str) -> str:
        """The folder with the output of one job."""
        return join(self.outputs, job)

    def first_pass(self, job: str) -> str:
        """The result of a job's first pass."""
        return join(self.output(job), "table.zip")

    def group_part(self, job: str, group: int, part: int) -> str:
        """A job's output for one part of a group of partitions."""
        return join(self.output(job), f"group-{group:07d}-{part:05d}.zip")

    def error(self, job: str) -> str:
        """The error of a job's worker that failed."""
        return join(self.output(job), "error.json")

    def beam(self, name: str) -> str:
        """A folder of Beam's own, such as ``staging``."""
        return join(self.base, "beam", name)


@dataclass(frozen=True)
class ProjectLayout:
    """One project: ``<root>/<project>/``. All its artifacts are inside."""

    root: str
    project: str

    @property
    def base(self) -> str:
        """The project's folder."""
        return join(self.root, self.project)

    def dataset(self, dataset_hash: str) -> DatasetLayout:
        """Paths of one dataset."""
        return DatasetLayout(join(self.datasets, dataset_hash))

    @property
    def datasets(self) -> str:
        """The folder of all datasets."""
        return join(self.base, "datasets")

    @property
    def pointers(self) -> str:
        """The folder of pointers from sources to their datasets."""
        return join(self.datasets, "sources")

    def pointer(self, source_hash: str) -> str:
        """The pointer from a source to its dataset."""
        return join(self.pointers, f"{source_hash}.json")

    @property
    def snapshots(self) -> str:
        """The folder of snapshots of sources that change."""
        return join(self.datasets, "pins")

    def snapshot(self, config_hash: str) -> str:
        """The snapshot of a source that changes, while its dataset is built."""
        return join(self.snapshots, f"{config_hash}.json")

    @property
    def builds(self) -> str:
        """The folder of all intermediate output of split jobs."""
        return join(self.datasets, "work")

    def build(self, build_id: str) -> BuildLayout:
        """Intermediate output and claims of the jobs that build one dataset."""
        return BuildLayout(join(self.builds, build_id))

    @property
    def scratch(self) -> str:
        """The folder to which split spills rows that do not fit into memory; always local."""
        return join(self.datasets, ".scratch")

    @property
    def cache(self) -> CacheLayout:
        """Models and explanations, shared by all experiments of the project."""
        return CacheLayout(join(self.base, "cache"))

    @property
    def experiments(self) -> str:
        """The folder with one folder of runs per experiment."""
        return join(self.base, "runs")

    def runs(self, experiment: str) -> str:
        """The folder of all runs of one experiment."""
        return join(self.experiments, experiment)

    def run(self, experiment: str, run: str) -> RunLayout:
        """Paths of one run."""
        return RunLayout(join(self.runs(experiment), run))

    @property
    def lock(self) -> str:
        """Locked by each process that writes to the project; in a local folder only."""
        return join(self.base, LOCK)

    def suggested_source(self, name: str) -> str:
        """The place that an error suggests for a source on the user's machine."""
        return join(self.root, "sources", name)

    def uploaded_source(self, digest: str) -> str:
        """Folder of a source that `refeed submit --upload` copied; the digest is of its content."""
        return join(self.base, "uploads", digest)

    @property
    def store(self) -> str:
        """The embedded experiment store."""
        return join(self.base, "store.sqlite")


@dataclass(frozen=True)
class RunAddress:
    """Names a run; every step finds everything else from it. The compiler fills in placeholders.

    Attributes:
        root: the artifact root.
        project: project of the run.
        experiment: experiment of the run.
        run: its id.
    """

    root: str
    project: str
    experiment: str
    run: str

    @property
    def layout(self) -> ProjectLayout:
        """Paths of the project's artifacts."""
        return ProjectLayout(self.root, self.project)

    @property
    def run_layout(self) -> RunLayout:
        """Paths of the run's artifacts."""
        return self.layout.run(self.experiment, self.run)

    @property
    def follower(self) -> str:
        """The name under which the run waits for a Dataflow job that several runs may share."""
        return f"{self.experiment}/{self.run}"

    @property
    def arguments(self) -> list[str]:
        """The command-line options that name the run."""
        return [
            f"--root={self.root}",
            f"--project={self.project}",
            f"--experiment={self.experiment}",
            f"--run={self.run}",
        ]


Step = Literal["check", "split", "train", "collect", "finish"]
"""The steps that a container can run."""

OUTPUTS = "/tmp/refeed"  # noqa: S108 - in a pod, /tmp is a volume of its own
"""The folder in a pod where a step writes the outputs that Argo reads."""

LARGER_CLASS_EXIT_BASE = 100
"""A pod that exits with 100 + n needs the n-th larger resource class to continue."""


MAX_CLASSES = 10
"""Resource classes of an installation, at most: Argo retries the exit codes from 101 to 109."""

LARGER_CLASS_EXITS = range(LARGER_CLASS_EXIT_BASE + 1, LARGER_CLASS_EXIT_BASE + MAX_CLASSES)
"""Exit codes of pods that need a larger resource class."""

MAX_REFUSED = 10
"""Attempts of a step, of any kind, after which a pod that the cluster refuses ends the run: after 6
minutes if all were refused."""


def output(name: str) -> str:
    """Return the file in a pod that holds one of a step's outputs."""
    return f"{OUTPUTS}/{name}"


def shard_number(number: int) -> str:
    """Return the number of a shard as an argument of the train step, such as ``00003``."""
    return f"{number:05d}"


def shard_name(resource_class: str, number: str) -> str:
    """Return the name of a shard, such as ``small-00003``."""
    return f"{resource_class}-{number}"


def shards_output(resource_class: str) -> str:
    """Return the name of split's output that lists the shards of one resource class."""
    return f"shards-{resource_class}"


def step_command(step: Step, address: RunAddress, **options: str | int) -> list[str]:
    """Return the command line of a step in a pod, of values or of placeholders.

    Args:
        step: the step to run.
        address: address of the run.
        options: further options of that step, such as ``shard=3``.
    """
    more = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    return ["refeed", "step", step, *address.arguments, *more]
