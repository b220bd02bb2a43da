"""The platform of the end-to-end tests: a cluster, a storage emulator, the command line."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from steps.contract import RunAddress
from steps.records import PodRecord
from steps.storage.base import storage_for
from tests.e2e.kubectl import kubectl, run_kubectl
from tests.tables import Tables

COMMAND = [sys.executable, "-c", "from workflows.cli.app import main; main()"]
NAMESPACE, PROJECT, ROOT = "refeed-lab", "lab", "gs://refeed-lab"
FAULTY = Path(__file__).parents[1] / "faulty"
LOCAL = Path(__file__).parents[2] / "manifests" / "installation.local.yaml"


def installation(endpoint: str) -> dict[str, Any]:
    """Return the installation of a small cluster, with a webhook and the faulty trainer."""
    made: dict[str, Any] = yaml.safe_load(LOCAL.read_text())
    made["trainers"]["faulty"] = {"image": "docker.io/refeed/faulty:dev"}
    made["notify"] = {"secret": "refeed-notify", "key": "url", "late_after": "6h"}
    ledger = f"{endpoint}/storage/v1/b/refeed-lab"
    made["environment"] = {"STORAGE_EMULATOR_HOST": endpoint, "FAULTY_LEDGER": ledger}
    return made


@dataclass
class Result:
    """A completed command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass
class Platform:
    """A user's environment: an installation file, a spec, the command line."""

    folder: Path
    endpoint: str

    @property
    def installation(self) -> Path:
        path = self.folder / "installation.yaml"
        if not path.exists():
            path.write_text(yaml.safe_dump(installation(self.endpoint), sort_keys=False))
        return path

    def refeed(self, *arguments: str | Path, timeout: float = 900) -> Result:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=timeout)
        return Result(process.returncode, out, err)

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        variables = installation(self.endpoint)["environment"]
        environment = {
            **os.environ,
            **variables,
            "REFEED_INSTALLATION": str(self.installation),
            "PYTHONPATH": str(FAULTY),  # for runs on this machine
        }
        return subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def source(self, table: pa.Table, name: str) -> str:
        """Upload a table as Parquet, and copy it next to the spec for the local run."""
        path = self.folder / f"{name}.parquet"
        pq.write_table(table, path)
        uri = f"{ROOT}/sources/{name}.parquet"
        storage_for(uri).write(uri, path.read_bytes())
        return uri

    def spec(self, name: str, source: str, **changes: Any) -> Path:
        """Write a spec of the project lab, with overrides whose keys have __ for dots."""
        spec: dict[str, Any] = {
            "name": name,
            "project": PROJECT,
            "dataset": {
                "source": source,
                "partition_by": "key",
                "target": "target",
                "features": ["number", "level", "whole", "flag"],
                "min_rows": 20,
            },
            "trainer": {"name": "faulty", "params": {}},
            "evaluate": {"method": "kfold", "folds": 3, "seed": 1, "group": "day"},
            "explain": {
                "partial_dependence": False,
                "shap": False,
                "permutation_importance": 0,
                "rows": 60,
            },
            "execution": {"max_pods": 1},  # or slow trainers would get more
            "output": ROOT,
        }
        for dotted, value in changes.items():
            *parents, last = dotted.split("__")
            inner = spec
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = value
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(spec, allow_unicode=True), encoding="utf-8")
        return path

    def submit(self, spec: Path, *more: str, code: int = 0) -> Result:
        """Submit and follow to the end; the result's JSON has run, workflow and counts."""
        result = self.refeed("submit", spec, "--json", *more)
        assert result.code == code, f"{result.code}\n{result.out}\n{result.err}"
        return result

    def start_run(self, spec: Path, *more: str) -> RunAddress:
        """Submit without waiting."""
        result = self.refeed("submit", spec, "--no-wait", "--json", *more)
        assert result.code == 0, result.err
        return self.address(spec, result.json["run"])

    def address(self, spec: Path, run: str) -> RunAddress:
        raw = yaml.safe_load(spec.read_text())
        return RunAddress(raw["output"], raw["project"], raw["name"], run)

    def pods(self, address: RunAddress, step: str = "") -> list[PodRecord]:
        """Return the run's pod records, in order."""
        storage, folder = storage_for(address.root), address.run_layout.pods
        found = [
            PodRecord.from_json(storage.read(f"{folder}/{name}")) for name in storage.names(folder)
        ]
        wanted = [each for each in found if each.step.startswith(step)]
        return sorted(wanted, key=lambda each: (each.workflow, each.step, each.number))

    def tables(self, folder: str) -> Tables:
        """Return the bytes of all result tables of a run, by name."""
        storage = storage_for(folder)
        names = storage.names(f"{folder}/tables")
        return Tables({name: storage.read(f"{folder}/tables/{name}") for name in names})

    def run_locally(self, spec: Path, name: str, *more: str) -> Tables:
        """Run the same spec locally on a copy of the source, and return its tables."""
        result = self.refeed(
            "run",
            spec,
            "--json",
            *("--set", f"dataset.source={self.folder / name}.parquet"),
            *("--set", f"output={self.folder / 'here'}"),
            *more,
        )
        assert result.code in {0, 3}, result.err
        return self.tables(result.json["folder"])


def wait_until(what: str, holds: Any, seconds: float = 120) -> Any:
    """Wait for the first true result of ``holds`` and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")


def workflow(name: str, namespace: str = NAMESPACE) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        run_kubectl("-n", namespace, "get", "workflow", name, "-o", "json")
    )
    return found


def workflows_of(experiment: str) -> list[str]:
    """Return the names of an experiment's workflows.

    They are found by name: Argo may drop the labels of a run that its form or a schedule started.
    """
    found = run_kubectl("-n", NAMESPACE, "get", "workflows", "-o", "name")
    names = [line.partition("/")[2] for line in found.splitlines()]
    return [name for name in names if name.startswith(f"{experiment}-")]


def due_schedules(namespace: str) -> set[str]:
    """Return the names of CronWorkflows that Argo's controller has accepted and found due.

    It notes so in an annotation, also for those that are suspended. What it refuses is in its log.
    """
    listed = json.loads(run_kubectl("-n", namespace, "get", "cronworkflows", "-o", "json"))
    metadata = [each["metadata"] for each in listed["items"]]
    noted = "cronworkflows.argoproj.io/last-used-schedule"
    return {each["name"] for each in metadata if noted in each.get("annotations", {})}


def training_pod(namespace: str, name: str) -> str | None:
    """Return a running training pod of a workflow."""
    selector = f"workflows.argoproj.io/workflow={name},refeed/step=train"
    found = kubectl(
        *("-n", namespace, "get", "pods", "-l", selector, "--field-selector=status.phase=Running"),
        *("-o", "jsonpath={.items[*].metadata.name}"),
    )
    return found.out.split()[0] if found.out.split() else None


def metrics() -> str:
    """Return the metrics of Argo's controller; REFEED_E2E_METRICS is their URL."""
    url = os.environ.get("REFEED_E2E_METRICS", "https://127.0.0.1:9090/metrics")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the controller's own
    with urllib.request.urlopen(url, timeout=20, context=context) as answer:
        return str(answer.read().decode())


@contextmanager
def without_controller() -> Iterator[None]:
    """Argo's controller is killed with -9, and started again after the block.

    Where it is no pod, the environment says how: REFEED_E2E_KILL_CONTROLLER and
    REFEED_E2E_START_CONTROLLER hold shell commands.
    """
    kill = os.environ.get(
        "REFEED_E2E_KILL_CONTROLLER",
        "kubectl -n argo delete pod -l app=workflow-controller --grace-period=0 --force",
    )
    subprocess.run(["bash", "-c", kill], check=True, timeout=60)
    yield
    start = os.environ.get("REFEED_E2E_START_CONTROLLER", "true")
    subprocess.run(["bash", "-c", start], check=True, timeout=120, stdout=subprocess.DEVNULL)
