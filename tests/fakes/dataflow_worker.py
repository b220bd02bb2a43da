"""Run one job of the fake Dataflow: a staged pipeline on Beam's portable runner.

python -m tests.fakes.dataflow_worker gs://bucket/pipeline.pb FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import common_urns, python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from steps.storage.base import storage_for


def main(url: str, folder: Path) -> None:
    """Run the pipeline, and write its counters to the folder."""
    pipeline = beam_runner_api_pb2.Pipeline.FromString(storage_for(url).read(url))
    for environment in pipeline.components.environments.values():
        if environment.urn == common_urns.environments.DOCKER.urn:  # this is that container
            environment.urn, environment.payload = python_urns.EMBEDDED_PYTHON, b""
    result = FnApiRunner().run_via_runner_api(pipeline, PipelineOptions([]))
    result.wait_until_finish()
    counters: dict[str, int] = {}
    for found in result.metrics().query()["counters"]:
        name = found.key.metric.name
        counters[name] = counters.get(name, 0) + found.committed
    (folder / "counters.json").write_text(json.dumps(counters))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
