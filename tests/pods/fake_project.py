"""A fake of Argo: it runs the pods of a compiled Workflow, in this process or as commands."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steps.contract import RunAddress, command
from steps.records import PartitionRecord, PodRecord, RunRecord
from steps.storage.base import Storage, read_parsed, storage_for
from steps.stores.base import open_store
from tests.argo.cases import installation
from tests.segment_surgery import results_of
from tests.tables import Tables
from workflows.argo.compile import compile_spec
from workflows.argo.template import Manifest
from workflows.cli import step as commands
from workflows.installation.model import Installation
from workflows.pods import check, collect, split
from workflows.spec.model import ExperimentSpec

COMMAND = [sys.executable, "-c", "from workflows.cli.app import main; main()"]
CREATED = "2026-01-02T03:04:05Z"
CLASSES: dict[str, Any] = {
    "small": {"cpu": "2", "memory": "440Mi"},  # fits less than a MiB of rows
    "medium": {"cpu": "2", "memory": "2Gi"},
    "large": {"cpu": "2", "memory": "4Gi"},
}
TRAINERS = {
    name: {"image": f"docker.io/refeed/{name}:1"}
    for name in ("lightgbm", "linear", "ebm", "faulty")
}


@dataclass
class FakeProject:
    """A project with a test storage and an installation.

    Attributes:
        root: artifact root of the project.
        folder: local folder for the files in a pod's /tmp.
        patch: reverts a pod's changes to this process.
        store: URI of the project's store; None if it is in the artifact root.
        platform: the installation.
    """

    root: str
    folder: Path
    patch: pytest.MonkeyPatch
    store: str | None = None
    platform: Installation = field(init=False)

    def __post_init__(self) -> None:
        self.platform = installation(
            classes=CLASSES,
            trainers=TRAINERS,
            steps={"check": "small", "split": "small", "collect": "small"},
            projects={"lab": {"namespace": "refeed-lab", "root": self.root, "store": self.store}},
        )

    @property
    def storage(self) -> Storage:
        """Storage of the artifact root."""
        return storage_for(self.root)

    def upload(self, table: pa.Table, name: str = "table.parquet") -> str:
        """Write a Parquet source and return its URI."""
        path = self.folder / name
        pq.write_table(table, path)
        uri = f"{self.root}/sources/{name}"
        self.storage.write(uri, path.read_bytes())
        return uri

    def spec(self, **changes: Any) -> ExperimentSpec:
        """Return the spec of ``tests.workspace`` at this root, with changes (__ for dots)."""
        raw: dict[str, Any] = {
            "name": "trial",
            "project": "lab",
            "dataset": {
                "source": f"{self.root}/sources/table.parquet",
                "partition_by": "key",
                "target": "target",
                "features": ["number", "level", "whole", "flag"],
                "min_rows": 20,
            },
            "trainer": {"name": "lightgbm", "params": {"num_leaves": 4, "rounds": 8}},
            "evaluate": {"method": "kfold", "folds": 3, "seed": 1, "group": "day"},
            "explain": {"partial_dependence": {"grid": 5}, "rows": 60},
            "execution": {"max_failed_fraction": 1.0},
            "output": self.root,
        }
        for dotted, value in changes.items():
            *parents, last = dotted.split("__")
            inner = raw
            for parent in parents:
                inner = inner[parent]
            inner[last] = value
        return ExperimentSpec.model_validate(raw)

    def workflow(
        self, name: str = "trial-1", form: Mapping[str, str] | None = None, **changes: Any
    ) -> FakeWorkflow:
        """Return a Workflow of the spec, submitted with these form values."""
        manifest = compile_spec(self.spec(**changes), self.platform, "workflow")
        return FakeWorkflow(self, manifest, name, dict(form or {}))

    def files(self) -> list[str]:
        """Return the paths of all files, relative to the root."""
        return sorted(_walk(self.storage, self.root, self.root))


def _walk(storage: Storage, base: str, root: str) -> Iterator[str]:
    for name in storage.names(base):
        uri = f"{base}/{name}"
        below = storage.names(uri)
        if below:
            yield from _walk(storage, uri, root)
        else:
            yield uri.removeprefix(f"{root}/")


@dataclass
class FakeWorkflow:
    """A Workflow.

    Attributes:
        world: project that it runs in.
        manifest: the compiled Workflow.
        name: name of the Workflow.
        form: form values that differ from the template's.
        secrets: values of Secrets, by name.
        status: status passed to the exit handler.
        seconds: duration passed to the exit handler.
        failures: failed nodes passed to the exit handler.
        project, root: values of the namespace's ConfigMap, if they differ from the project's.
    """

    world: FakeProject
    manifest: Manifest
    name: str
    form: dict[str, str]
    secrets: dict[str, str] = field(default_factory=dict)
    status: str = "Succeeded"
    seconds: float = 60.0
    failures: list[dict[str, str]] = field(default_factory=list)
    project: str = "lab"
    root: str = ""
    outputs: dict[str, str] = field(default_factory=dict)

    def environment(
        self,
        template: str,
        inputs: Mapping[str, str],
        *,
        number: int = 0,
        class_offset: int = 0,
        last: tuple[str, str] = ("", ""),
    ) -> dict[str, str]:
        """Return the environment of a pod, expanded as by Argo."""
        manifest = self._template(template)
        values = {each["name"]: each for each in manifest["container"]["env"]}
        environment = {
            name: self._expand(each["value"], inputs, last)
            if "value" in each
            else self._referred(each["valueFrom"], f"{self.name}-{template}-{number}")
            for name, each in values.items()
        }
        if class_offset:
            patches = re.findall(r"exitCode == '10(\d)' \? '(.*?)' :", manifest["podSpecPatch"])
            patch = json.loads(dict(patches)[str(class_offset)])
            environment |= {e["name"]: e["value"] for e in patch["containers"][0]["env"]}
        return environment

    def command(self, template: str, inputs: Mapping[str, str]) -> list[str]:
        """Return the command line of a pod."""
        return [
            self._expand(word, inputs, ("", ""))
            for word in self._template(template)["container"]["command"]
        ]

    def _template(self, name: str) -> dict[str, Any]:
        return next(each for each in self.manifest["spec"]["templates"] if each["name"] == name)

    def _expand(self, text: str, inputs: Mapping[str, str], last: tuple[str, str]) -> str:
        parameters = [
            {"name": each["name"], "value": self.form.get(each["name"], each["value"])}
            for each in self.manifest["spec"]["arguments"]["parameters"]
        ]
        values = {
            "workflow.name": self.name,
            "workflow.creationTimestamp.RFC3339": CREATED,
            "workflow.status": self.status,
            "workflow.duration": str(self.seconds),
            "lastRetry.message": last[0],
            "lastRetry.status": last[1],
            "=sprig.b64enc(workflow.parameters.json)": _base64(json.dumps(parameters)),
            "=sprig.b64enc(sprig.trunc(20000, workflow.failures))": _base64(
                json.dumps(self.failures)[:20_000]
            ),
            **{f"inputs.parameters.{name}": value for name, value in inputs.items()},
        }
        return re.sub(r"\{\{(.*?)\}\}", lambda match: values[match[1]], text)

    def _referred(self, source: dict[str, Any], pod: str) -> str:
        if "fieldRef" in source:
            return pod
        if "secretKeyRef" in source:
            return self.secrets.get(source["secretKeyRef"]["name"], "")
        key = source["configMapKeyRef"]["key"]
        return {"project": self.project, "root": self.root or self.world.root}[key]

    # --- pods in this process -----------------------------------------------------------------

    def run(
        self, template: str, inputs: Mapping[str, str] | None = None, **how: Any
    ) -> dict[str, str]:
        """Run a pod in this process and return its outputs by name."""
        inputs = inputs or {}
        words = self.command(template, inputs)
        assert words[:2] == ["refeed", "step"]
        pairs = (word.removeprefix("--").split("=", 1) for word in words[3:])
        options = {name.replace("-", "_"): value for name, value in pairs}
        with self._as_pod(self.environment(template, inputs, **how)):
            getattr(commands, words[2])(**options)
        outputs = self._template(template).get("outputs", {}).get("parameters", [])
        return {
            each["name"]: self._local_path(each["valueFrom"]["path"]).read_text()
            for each in outputs
        }

    def _local_path(self, path: str) -> Path:
        return Path(path.replace("/tmp/refeed", str(self.world.folder / "outputs")))

    @contextmanager
    def _as_pod(self, environment: dict[str, str]) -> Iterator[None]:
        folder = str(self.world.folder / "outputs")
        before = signal.getsignal(signal.SIGTERM)
        try:
            with self.world.patch.context() as patch:
                for name, value in environment.items():
                    patch.setenv(name, value)
                for module in (command, check, split, collect):
                    patch.setattr(module, "OUTPUTS", folder)
                patch.setattr("workflows.pods.pod.time.sleep", lambda _: None)
                yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def run_check(self) -> dict[str, str]:
        """Run check and return the inputs of the other steps."""
        self.outputs = self.run("check")
        return self.outputs

    def run_split(self) -> list[tuple[str, str]]:
        """Run split and return template and number of each shard."""
        outputs = self.run("split", self.outputs)
        return [
            (f"train-{name.removeprefix('shards-')}", number)
            for name, numbers in outputs.items()
            for number in json.loads(numbers)
        ]

    def train(self, shards: Iterable[tuple[str, str]]) -> None:
        """Run a pod for each shard."""
        for template, number in shards:
            self.run(template, self.outputs | {"shard": number})

    def run_all(self) -> dict[str, str]:
        """Run all steps and return the outputs of collect."""
        self.run_check()
        self.train(self.run_split())
        return self.run("collect", self.outputs)

    # --- artifacts ----------------------------------------------------------------------------

    @property
    def address(self) -> RunAddress:
        """Address of the run."""
        return RunAddress(self.world.root, "lab", "trial", self.outputs["run"])

    def records(self) -> dict[str, PartitionRecord]:
        """Return the partition records by the text of the key."""
        if not self.world.storage.exists(self.address.run_layout.request):
            return {}
        records = results_of(self.address).records()
        return {record.key.text: record for record in records.values()}

    def pods(self) -> list[tuple[str, int, str]]:
        """Return step, number and cause of the end of each pod of the run."""
        storage, folder = self.world.storage, self.address.run_layout.pods
        records = [
            read_parsed(storage, f"{folder}/{name}", PodRecord.from_json)
            for name in storage.names(folder)
        ]
        return [(pod.step, pod.number, pod.cause) for pod in records]

    def tables(self) -> Tables:
        """Return the bytes of the result tables."""
        folder = f"{self.address.run_layout.base}/tables"
        names = self.world.storage.names(folder)
        return Tables({name: self.world.storage.read(f"{folder}/{name}") for name in names})

    def stored(self) -> RunRecord:
        """Return the run's record in the experiment store."""
        store = open_store(self.address.layout, self.world.store)
        record = store.get("trial", self.outputs["run"])
        assert record is not None
        return record


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def process_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a pod that runs as a separate process."""
    return {**os.environ, **environment}
