"""A run through emulators of Google Cloud's services, from BigQuery to Firestore."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pytest
import yaml

from steps.contract import ProjectLayout
from steps.stores.base import open_store
from tests.e2e.kubectl import kubectl, needs_cluster, run_kubectl
from tests.e2e.platform import NAMESPACE, Platform, installation, wait_until, workflow
from tests.fakes import free_port
from tests.fakes.bigquery import PROJECT, BigQuery, bigquery_server
from tests.fakes.faults import Faults
from tests.fakes.firestore import database_of, firestore_emulator
from tests.fakes.grpc_faults import faulty_grpc_proxy

pytestmark = needs_cluster

POD = "dataflow-emulator"
STORE = "firestore://emulator/refeed"
PLACE = {"gcp_project": PROJECT, "region": "europe-west1"}
SECONDS = 45
"""Between a submission and the first worker: time to kill the pod that waits."""


@pytest.fixture(scope="module")
def host(endpoint: str) -> str:
    """Return the address at which pods reach this machine."""
    return urlsplit(endpoint).hostname or ""


@pytest.fixture(scope="module")
def bigquery(host: str, flights: Path) -> Iterator[BigQuery]:
    with bigquery_server(host) as server:
        server.run(f"CREATE SCHEMA IF NOT EXISTS `{PROJECT}.source`")
        server.load(pq.read_table(flights), "source.flights")
        yield server


@pytest.fixture(scope="module")
def faults() -> Faults:
    """Faults on the way to Firestore; none until a test sets one."""
    return Faults()


@pytest.fixture(scope="module")
def emulator(host: str) -> Iterator[str]:
    with firestore_emulator(host) as address:
        yield address


@pytest.fixture(scope="module")
def firestore(host: str, emulator: str, faults: Faults) -> Iterator[str]:
    """Address that pods use for Firestore."""
    with faulty_grpc_proxy(emulator, faults, host) as address:
        yield address


@pytest.fixture(scope="module")
def dataflow(host: str, endpoint: str, bigquery: BigQuery) -> Iterator[str]:
    """Return a pod with the workers' image, on the node's network."""
    port = free_port(host)
    kubectl("delete", "pod", POD, "--ignore-not-found", "--force", "--grace-period=0")
    variables = {"STORAGE_EMULATOR_HOST": endpoint, **bigquery.environment}
    container = {
        "name": "main",
        "image": "docker.io/refeed/dataflow-emulator:dev",
        "imagePullPolicy": "IfNotPresent",
        "args": [host, str(port), str(SECONDS)],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD, "namespace": "default"},
        "spec": {"hostNetwork": True, "restartPolicy": "Never", "containers": [container]},
    }
    run_kubectl("apply", "-f", "-", stdin=pod)
    url = f"http://{host}:{port}"
    wait_until("the Dataflow emulator", lambda: jobs(url) is not None, 120)
    yield url
    run_kubectl("delete", "pod", POD, "-n", "default", "--force", "--grace-period=0")


def jobs(url: str) -> list[dict[str, Any]] | None:
    """Return all jobs, or None while the server does not respond."""
    path = f"{url}/v1b3/projects/{PROJECT}/locations/europe-west1/jobs"
    try:
        with urllib.request.urlopen(path, timeout=5) as answer:
            found: list[dict[str, Any]] = json.loads(answer.read())["jobs"]
            return found
    except OSError:
        return None


@pytest.fixture
def google(
    platform: Platform, bigquery: BigQuery, firestore: str, dataflow: str
) -> Iterator[Platform]:
    """Return the platform with emulators of all Google services."""
    made = installation(platform.endpoint)
    made["projects"]["lab"] |= {"store": STORE, "dataflow": PLACE}
    made["environment"] |= {
        **bigquery.environment,
        "FIRESTORE_EMULATOR_HOST": firestore,
        "REFEED_DATAFLOW_ENDPOINT": dataflow.replace("://", "://localhost@"),
    }
    before = platform.installation.read_text()
    platform.installation.write_text(yaml.safe_dump(made, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made["environment"].items():
            patch.setenv(name, value)
        yield platform
    platform.installation.write_text(before)


def spec_of(google: Platform, name: str, source: str) -> Path:
    raw = yaml.safe_load((Path("examples") / "flights" / "spec.yaml").read_text())
    raw |= {"name": name, "project": "lab", "output": "gs://refeed-lab", "store": STORE}
    raw["dataset"]["source"] = source
    raw["split"] = {"engine": "dataflow"}
    path = google.folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def test_flights_from_bigquery_by_dataflow_to_firestore(
    google: Platform, flights: Path, dataflow: str, name: str
) -> None:
    spec = spec_of(google, name, f"bigquery://{PROJECT}.source.flights")
    result = google.submit(spec)
    assert {**result.json["counts"]} == {"trained": 89, "skipped": 16, "failed": 0}
    assert [job["currentState"] for job in jobs(dataflow) or []] == ["JOB_STATE_DONE"]
    here = google.refeed(
        *("run", spec, "--json", "--set", f"dataset.source={flights}"),
        *("--set", f"output={google.folder / 'google'}", "--set", "split.engine=embedded"),
        *("--set", "store=null"),
    )
    assert here.code == 0, here.err
    assert google.tables(result.json["folder"]) == google.tables(here.json["folder"])
    store = open_store(ProjectLayout("gs://refeed-lab", "lab"), STORE)
    (run,) = store.runs(name)
    assert (run.run, run.status, run.counts["trained"]) == (result.json["run"], "finished", 89)
    found = list(store.results(name, run.run))
    assert len(found) == 105
    status = google.refeed("status", run.run, "--json")
    assert status.code == 0, status.err


def test_split_and_collect_are_killed_twice_each(
    google: Platform, bigquery: BigQuery, dataflow: str, emulator: str, faults: Faults, name: str
) -> None:
    """Split while its job runs, collect while it writes: one job, and each result once."""
    bigquery.run(
        f"CREATE OR REPLACE TABLE `{PROJECT}.source.some` AS "
        f"SELECT * FROM `{PROJECT}.source.flights` WHERE month <= 2"
    )
    before = {job["id"] for job in jobs(dataflow) or []}
    address = google.start_run(spec_of(google, name, f"bigquery://{PROJECT}.source.some"))
    kill_twice(name, "split", lambda: {job["id"] for job in jobs(dataflow) or []} - before)
    faults.share, faults.kinds, faults.pause = 1.0, ("slow",), 4.0  # time to be killed in
    kill_twice(name, "collect", lambda: results_of(name, emulator))
    faults.share = 0.0
    (made,) = workflows_of(name)
    ended = {"Succeeded", "Failed", "Error"}
    wait_until("the end", lambda: workflow(made)["status"].get("phase") in ended, 480)
    status = google.refeed("status", address.run, "--json")
    assert status.json["status"] == "finished", status.out
    mine = [job for job in jobs(dataflow) or [] if job["id"] not in before]
    assert [job["currentState"] for job in mine] == ["JOB_STATE_DONE"]
    counts = status.json["counts"]
    store = open_store(ProjectLayout("gs://refeed-lab", "lab"), STORE)
    (run,) = store.runs(name)
    partitions = [each.partition_id for each in store.results(name, run.run)]
    assert len(partitions) == len(set(partitions)) == sum(counts.values())


def workflows_of(name: str) -> list[str]:
    found = run_kubectl(
        *("-n", NAMESPACE, "get", "workflows", "-l", f"refeed/experiment={name}"),
        *("-o", "jsonpath={.items[*].metadata.name}"),
    )
    return found.split()


def results_of(name: str, emulator: str) -> set[str]:
    """Paths of the results of an experiment that Firestore has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", emulator)
        with database_of(STORE) as client:
            found = {each.reference.path for each in client.collection_group("results").stream()}
    return {path for path in found if name in path.split("/")}


def kill_twice(name: str, step: str, busy: Callable[[], object]) -> None:
    """Kill two pods of a step, each while it runs and is at work."""
    killed: set[str] = set()
    for _ in range(2):  # a pod that is lost early comes back under its own name
        pod, uid = wait_until(f"a {step} pod", lambda: running_pod(name, step, killed), 300)
        wait_until("its work", busy, 240)
        assert running_pod(name, step, killed) == (pod, uid)
        run_kubectl("-n", NAMESPACE, "delete", "pod", pod, "--force", "--grace-period=0")
        killed.add(uid)


def running_pod(name: str, step: str, killed: set[str]) -> tuple[str, str] | None:
    """Name and uid of the pod of a step of an experiment that runs, unless it is one of these."""
    (made,) = workflows_of(name)
    found = kubectl(
        *("-n", NAMESPACE, "get", "pods"),
        *("-l", f"workflows.argoproj.io/workflow={made},refeed/step={step}"),
        "--field-selector=status.phase=Running",
        *("-o", 'jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{"\\n"}{end}'),
    )
    pods = [line.split() for line in found.out.splitlines()]
    return next(((pod, uid) for pod, uid in pods if uid not in killed), None)
