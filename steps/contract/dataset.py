"""Paths of a dataset, and of the intermediate output of the jobs that build it."""

from __future__ import annotations

from dataclasses import dataclass

from steps.contract.base import join


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
