"""The form and the report of the Argo UI, through Argo's server without the pages."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from steps.storage.base import storage_for
from tests.e2e.kubectl import needs_cluster, run_kubectl
from tests.e2e.platform import NAMESPACE, Platform, wait_until, workflow
from tests.workspace import small_table
from workflows.pods.environment import run_id_of

pytestmark = needs_cluster

CHROMIUM = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--enable-logging=stderr",
)
ANSWERS = {
    "trainer": "linear",
    "min-rows": "70",
    "folds": "4",
    "max-pods": "2",
    "label": 'It\'s "quoted", and <b>bold</b>',
    "force": "true",
}
TERMINATE = json.dumps({"spec": {"shutdown": "Terminate"}})


def server() -> str:
    if "ARGO_SERVER" not in os.environ:
        pytest.fail("ARGO_SERVER must name Argo's server")
    secure = os.environ.get("ARGO_SECURE", "true") != "false"
    return f"{'https' if secure else 'http'}://{os.environ['ARGO_SERVER']}"


def call(path: str, body: dict[str, Any] | None = None) -> tuple[bytes, dict[str, str]]:
    headers = {"Content-Type": "application/json"}
    if os.environ.get("ARGO_TOKEN"):
        headers["Authorization"] = os.environ["ARGO_TOKEN"]
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{server()}{path}", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read(), {name.lower(): value for name, value in answer.headers.items()}
    except urllib.error.HTTPError as error:
        error.add_note(error.read().decode(errors="replace"))
        raise


def fill_in(name: str, answers: dict[str, str]) -> dict[str, Any]:
    """Send the request with which the UI submits a WorkflowTemplate."""
    body = {
        "namespace": NAMESPACE,
        "resourceKind": "WorkflowTemplate",
        "resourceName": name,
        "submitOptions": {"parameters": [f"{key}={value}" for key, value in answers.items()]},
    }
    # The server lists what it may submit from a watch, which hears of a new object a moment later.
    path = f"/api/v1/workflow-templates/{NAMESPACE}/{name}"
    wait_until("the server knows the template", lambda: knows(path), 60)
    raw, _ = call(f"/api/v1/workflows/{NAMESPACE}/submit", body)
    made: dict[str, Any] = json.loads(raw)["metadata"]
    return made


def knows(path: str) -> bool:
    try:
        call(path)
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.NOT_FOUND:
            return False
        raise
    return True


@pytest.fixture(scope="module")
def template(platform: Platform) -> tuple[Platform, str, Path]:
    """Apply a WorkflowTemplate and return it with its spec."""
    name = "e2e-form"
    table = small_table(3, rows=80)
    spec = platform.spec(
        name, platform.source(table.slice(0, 100), name), trainer={"name": "lightgbm", "params": {}}
    )
    compiled = platform.refeed("compile", spec)
    assert compiled.code == 0, compiled.err
    path = platform.folder / "template.yaml"
    path.write_text(compiled.out)
    run_kubectl("apply", "-f", str(path))
    return platform, name, spec


@pytest.fixture(scope="module")
def submitted(template: tuple[Platform, str, Path]) -> dict[str, Any]:
    """Start a run in which every form value differs from the spec's."""
    platform, name, _ = template
    source = platform.source(small_table(6, rows=80), f"{name}-changed")
    made = fill_in(name, {**ANSWERS, "source": source})
    ended = {"Succeeded", "Failed", "Error"}
    wait_until("the end", lambda: workflow(made["name"])["status"].get("phase") in ended, 480)
    found = workflow(made["name"])
    assert found["status"]["phase"] == "Succeeded", found["status"].get("message")
    return found


def test_every_form_value_is_applied(
    template: tuple[Platform, str, Path], submitted: dict[str, Any]
) -> None:
    platform, name, spec = template
    meta = submitted["metadata"]
    address = platform.address(spec, run_id_of(meta["name"], meta["creationTimestamp"]))
    storage = storage_for(address.root)
    taken = json.loads(storage.read(address.run_layout.spec))
    assert taken["dataset"]["source"].endswith(f"{name}-changed.parquet")
    assert (taken["dataset"]["min_rows"], taken["evaluate"]["folds"]) == (70, 4)
    assert taken["execution"]["max_pods"] == 2
    assert taken["execution"]["force"] is True
    assert taken["execution"]["label"] == ANSWERS["label"]
    request = json.loads(storage.read(address.run_layout.request))
    assert request["trainer"]["name"] == "linear"
    assert "scikit-learn" in request["versions"]
    changes = (
        "trainer={name: linear, params: {}}",
        "dataset.min_rows=70",
        "evaluate.folds=4",
    )
    sets = [word for change in changes for word in ("--set", change)]
    here = platform.run_locally(spec, f"{name}-changed", *sets)
    assert platform.tables(address.run_layout.base) == here


def test_metadata_of_the_template_reaches_a_run(
    template: tuple[Platform, str, Path], submitted: dict[str, Any]
) -> None:
    """Argo 4.0 drops ``workflowMetadata`` of a run that it queues before it first looks at it.

    That happens at its limit of concurrent workflows, and also in a race on a busy machine. So one
    of three runs must have the metadata.
    """
    _, name, _ = template
    for metadata in itertools.chain([submitted["metadata"]], _metadata_of_new_runs(name)):
        title = metadata["annotations"].get("workflows.argoproj.io/title")
        if title is not None:
            break
    assert title == name
    assert metadata["labels"]["refeed/trainer"] == "linear"
    assert metadata["labels"]["refeed/experiment"] == name


def _metadata_of_new_runs(template_name: str) -> Iterator[dict[str, Any]]:
    """Yield the metadata of two runs, each of which is terminated as soon as it has started."""
    for _ in range(2):
        name = fill_in(template_name, {"trainer": "linear"})["name"]
        wait_until("the start", lambda name=name: workflow(name)["status"].get("nodes"))
        run_kubectl(
            "-n", NAMESPACE, "patch", "workflow", name, "--type=merge", "--patch", TERMINATE
        )
        yield workflow(name)["metadata"]


def test_invalid_form_value_is_rejected_before_training(
    template: tuple[Platform, str, Path],
) -> None:
    platform, name, spec = template
    made = fill_in(name, {"folds": "1"})
    wait_until("the end", lambda: workflow(made["name"])["status"].get("phase") == "Failed")
    nodes = workflow(made["name"])["status"]["nodes"].values()
    pods = {node["templateName"] for node in nodes if node["type"] == "Pod"}
    assert pods == {"check", "finish"}
    run = run_id_of(made["name"], made["creationTimestamp"])
    status = wait_until("the record", lambda: _failed(platform, run))
    assert "folds" in status["message"]
    assert "1 is not valid" in status["message"]
    del spec


def _failed(platform: Platform, run: str) -> dict[str, Any] | None:
    status = platform.refeed("status", run, "--json")
    return status.json if status.code == 0 and status.json["status"] == "failed" else None


def test_report_opens_in_a_browser_with_the_servers_headers(
    submitted: dict[str, Any], tmp_path: Path
) -> None:
    found = submitted
    nodes = found["status"]["nodes"].values()
    # with retries, Argo keeps the artifact with the pod's node and with the retry's above it
    (node,) = (n["id"] for n in nodes if n["type"] == "Pod" and n["templateName"] == "collect")
    place = (
        f"/artifact-files/{NAMESPACE}/workflows/{found['metadata']['name']}/{node}/outputs/report"
    )
    page, headers = call(place)
    assert page.startswith(b"<!DOCTYPE html>")
    assert "default-src 'none'" in headers["content-security-policy"]
    dom, log = browse(f"{server()}{place}", tmp_path)
    assert "<svg" in dom
    assert "Content Security Policy" not in log


def browse(url: str, folder: Path) -> tuple[str, str]:
    """Return the page's document after loading, and the browser's console output."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        reason = "needs chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    profile = f"--user-data-dir={folder}"
    done = subprocess.run(
        [browser, *CHROMIUM, profile, "--dump-dom", url],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout, done.stderr
