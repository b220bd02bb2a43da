"""Overhead of Argo and Kubernetes around the steps, on the configured cluster.

Needs REFEED_INSTALLATION (its first project is used) and a cluster, so it runs only when asked for
by name. Times are read from the Workflow's nodes and from the steps' own logs. The limit is a pod
of Argo's in the same image and class that does nothing.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from benchmarks.common import Row, median, scratch, seconds, show_progress, write_table
from workflows.argo.template import Manifest
from workflows.cluster.base import ENDED, Cluster
from workflows.cluster.connect import connect
from workflows.installation.model import Installation, load_installation
from workflows.runs.find import FoundRun, find_run, log_lines
from workflows.runs.follow import follow
from workflows.runs.submit import Submitted, submit, upload
from workflows.spec.load import load_spec

_ROWS, _FEATURES, _PARTITIONS = 200_000, 10, 200
_PODS = 2
"""Training pods: as many as run at once on two cores, so that none waits for another."""
_BARE_PODS = 4


class _SilentWatcher:
    def show(self, view: object) -> None:
        del view

    def end(self) -> None: ...


def run(*, quick: bool = False) -> list[Row]:
    """Return the rows of the table."""
    installation, cluster = load_installation(), connect(os.environ)
    partitions = 20 if quick else _PARTITIONS
    with scratch() as folder:
        submitted = _submit(folder, partitions, installation, cluster)
    follow(submitted, cluster, _SilentWatcher())
    workflow = cluster.workflow(submitted.namespace, submitted.workflow) or {}
    found = find_run(installation, submitted.address.run)
    show_progress("bare pods")
    bare = list(_bare(submitted, workflow, cluster))
    return list(_rows(workflow, found, bare))


def _submit(
    folder: Path, partitions: int, installation: Installation, cluster: Cluster
) -> Submitted:
    rows = _ROWS * partitions // _PARTITIONS
    table = write_table(folder / "table.parquet", rows, _FEATURES, partitions, even=True)
    spec = {
        "name": "bench-engine",
        "project": next(iter(installation.projects)),
        "dataset": {"source": str(table), "partition_by": "k", "target": "f00"},
        "trainer": {"name": "lightgbm", "params": {"num_leaves": 15, "rounds": 30}},
        "execution": {"force": True, "max_pods": _PODS},
    }
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    return submit(upload(load_spec(path).spec, installation), installation, cluster)


def _bare(submitted: Submitted, workflow: Manifest, cluster: Cluster) -> Iterator[float]:
    """Seconds of pods of the same image and class that do nothing."""
    template = next(t for t in workflow["spec"]["templates"] if t["name"] == "check")
    image = next(t for t in workflow["spec"]["templates"] if t["name"] == "collect")
    container = template["container"] | {
        "image": image["container"]["image"],
        "command": ["true"],
        "env": [],
    }
    bare = {name: template[name] for name in ("serviceAccountName", "volumes")}
    spec = {k: v for k, v in workflow["spec"].items() if k in _KEPT} | {
        "entrypoint": "all",
        "templates": [
            {"name": "pod", **bare, "container": container},
            {"name": "all", "steps": [[_step(n)] for n in range(_BARE_PODS)]},
        ],
    }
    meta = {"generateName": "bench-bare-", "namespace": submitted.namespace}
    made = cluster.create(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": meta,
            "spec": spec,
        }
    )
    ended = follow_bare(cluster, submitted.namespace, made["metadata"]["name"])
    for node in _pods(ended):
        yield _span(node)


_KEPT = ("automountServiceAccountToken", "executor", "securityContext", "serviceAccountName")


def _step(number: int) -> dict[str, str]:
    return {"name": f"pod-{number}", "template": "pod"}


def follow_bare(cluster: Cluster, namespace: str, name: str) -> Manifest:
    """Return the workflow when it has ended."""
    while True:
        found = cluster.workflow(namespace, name) or {}
        if found.get("status", {}).get("phase") in ENDED:
            return found
        time.sleep(1)


def _pods(workflow: Manifest) -> list[dict[str, Any]]:
    return [node for node in workflow["status"]["nodes"].values() if node["type"] == "Pod"]


def _span(node: dict[str, Any]) -> float:
    return (_moment(node["finishedAt"]) - _moment(node["startedAt"])).total_seconds()


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _rows(workflow: Manifest, found: FoundRun, bare: list[float]) -> Iterator[Row]:
    lines = log_lines(found)
    split = next(node for node in _pods(workflow) if node["templateName"] == "split")
    models = [_moment(x["time"]) for x in lines if x["event"] == "partition"]
    first = (min(models) - _moment(split["finishedAt"])).total_seconds()
    limit = median(bare)
    yield Row(
        "from the end of split to the first trained model",
        seconds(first),
        f"an empty pod {seconds(limit)}",
        f"{first / limit:.2f} times the time",
    )
    training = [node for node in _pods(workflow) if node["templateName"].startswith("train")]
    overheads = [_span(node) - _work(node, lines) for node in training]
    yield Row(
        f"per training pod ({len(training)} of them): time that is not the step's own",
        seconds(median(overheads)),
        f"an empty pod {seconds(limit)}",
        f"{median(overheads) / limit:.2f} times the time",
    )
    whole = (
        _moment(workflow["status"]["finishedAt"]) - _moment(workflow["status"]["startedAt"])
    ).total_seconds()
    yield Row("the whole run, from its Workflow's start to its end", seconds(whole))
    fixed, per_pod = sizes(workflow)
    total = fixed + _MOST_PODS * per_pod
    yield Row(
        f"the Workflow object for 10,000 partitions, in {_MOST_PODS} pods",
        f"{total / 1024:.0f} KiB: {fixed / 1024:.1f} KiB and {per_pod / 1024:.2f} KiB per pod",
        f"etcd's limit {_ETCD_KIB} KiB",
        f"{total / 1024 / _ETCD_KIB:.2f} of the limit",
        "below 256 KiB",
        total < 256 << 10,
    )


_MOST_PODS = 100
"""Default of ``execution.max_pods``: the object grows with pods, not with partitions."""
_ETCD_KIB = 1536
"""Largest size of an object, by etcd's default (--max-request-bytes); Argo's is 1 MiB."""


def sizes(workflow: Manifest) -> tuple[int, int]:
    """Return the size of a Workflow as JSON in bytes: without training nodes, and per shard.

    A shard has a node of type Retry and one of type Pod per try; with one try they are two.
    """
    nodes = workflow["status"]["nodes"]
    training = {
        key: node
        for key, node in nodes.items()
        if node["displayName"].startswith("train-") and node["type"] in {"Pod", "Retry"}
    }
    shards = sum(node["type"] == "Retry" for node in training.values())
    of_pods = len(json.dumps(training))
    return len(json.dumps(workflow)) - of_pods, of_pods // max(shards, 1)


def _work(node: dict[str, Any], lines: list[dict[str, Any]]) -> float:
    """Seconds between the first and the last line that the step in a pod logged."""
    shard = next(each["value"] for each in node["inputs"]["parameters"] if each["name"] == "shard")
    step = f"{node['templateName']}-{shard}"
    moments = [_moment(line["time"]) for line in lines if line["step"] == step]
    return (max(moments) - min(moments)).total_seconds()
