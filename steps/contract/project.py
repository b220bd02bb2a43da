"""Paths of a project, and the address of a run."""

from __future__ import annotations

from dataclasses import dataclass

from steps.contract.base import LOCK, join
from steps.contract.dataset import BuildLayout, DatasetLayout
from steps.contract.results import CacheLayout, RunLayout


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
