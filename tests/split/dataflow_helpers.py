"""Helpers for tests of the Dataflow engine against a fake Dataflow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from steps.contract import ProjectLayout
from steps.runtime.progress import NoProgress
from steps.split.config import DatasetConfig, SplitConfig
from steps.split.coordination.claims import Claims
from steps.split.engines.beam.dataflow import DataflowEngine
from steps.split.engines.beam.job import Timeouts
from steps.split.engines.choose import Engine
from steps.split.step import SplitRequest, SplitResult, split
from steps.storage.base import storage_for
from tests.fakes.dataflow import Jobs
from tests.workspace import small_table

CONFIG = SplitConfig(
    engine="dataflow",
    region="europe-west1",
    gcp_project="refeed-test",
    worker_image="registry.test/refeed/worker:1",
)


def upload(root: str, folder: Path, table: pa.Table | None = None) -> str:
    path = folder / "table.parquet"
    pq.write_table(table or small_table(), path)
    uri = f"{root}/table.parquet"
    storage_for(uri).write(uri, path.read_bytes())
    return uri


def engine(follower: str = "run", config: SplitConfig = CONFIG) -> DataflowEngine:
    return DataflowEngine(config, follower, Timeouts(poll=0.1, grace=0.5))


def split_with(
    engine: Engine, source: str, root: str, *, force: bool = False, checkpoint: str = ""
) -> SplitResult:
    config = DatasetConfig(source=source, partition_by="key", target="target")
    request = SplitRequest(config, None, None, "auto", 5, force)
    return split(
        request, ProjectLayout(root, "p"), storage_for(root), NoProgress(), engine, checkpoint
    )


def submitted_numbers(jobs: Jobs) -> list[str]:
    return sorted(job.about["name"].rsplit("-", 1)[1] for job in jobs.jobs.values())


def claims_of(root: str) -> Claims:
    return Claims(ProjectLayout(root, "p"), build_id(root), storage_for(root))


def build_id(root: str) -> str:
    (work,) = storage_for(root).names(ProjectLayout(root, "p").builds)
    return work


def child(source: str, root: str) -> subprocess.Popen[bytes]:
    """Start a process that runs a split like a pod."""
    code = (
        "import sys; from tests.split.dataflow_helpers import engine, split_with; "
        "split_with(engine(sys.argv[3]), sys.argv[1], sys.argv[2])"
    )
    return subprocess.Popen([sys.executable, "-c", code, source, root, "run"])
