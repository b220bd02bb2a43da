"""Argo played by hand: the pods of a compiled Workflow, run in this process or as commands."""

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

from steps import contract
from steps.contract import RunAddress
from steps.records import PartitionRecord, PodRecord, RunRecord
from steps.storage.base import Storage, read_parsed, storage_for
from steps.stores.base import open_store
from tests.argo.cases import installation
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
    "small": {"cpu": "2", "memory": "440Mi"},  # what fits has less than a MiB of rows
    "medium": {"cpu": "2", "memory": "2Gi"},
    "large": {"cpu": "2", "memory": "4Gi"},
}
TRAINERS = {
    name: {"image": f"docker.io/refeed/{name}:1"} for name in ("lightgbm", "linear", "faulty")
}


@dataclass
class FakeProject:
    """A project on a storage of the tests' own, and what Argo would know of it.

    Attributes:
        root: its artifact root.
        folder: for what a pod leaves in its /tmp.
        patch: undoes what a pod does to this process.
        store: of the project, if it does not lie at the root.
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
        """Of the root."""
        return storage_for(self.root)

    def upload(self, table: pa.Table, name: str = "table.parquet") -> str:
        """Write a Parquet source; its URI."""
        path = self.folder / name
        pq.write_table(table, path)
        uri = f"{self.root}/sources/{name}"
        self.storage.write(uri, path.read_bytes())
        return uri

    def spec(self, **changes: Any) -> ExperimentSpec:
        """The spec of ``tests.workspace``, moved to the root; dotted keys with __ for dots."""
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
    ) -> Argo:
        """A Workflow of the spec, submitted with these answers to the form."""
        manifest = compile_spec(self.spec(**changes), self.platform, "workflow")
        return Argo(self, manifest, name, dict(form or {}))

    def files(self) -> list[str]:
        """URIs of all that lies under the root, below it."""
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
class Argo:
    """One Workflow.

    Attributes:
        world: that it runs in.
        manifest: as compiled.
        name: of the Workflow.
        form: answers that differ from the template's.
        secrets: values of secrets, by name.
        status: of the workflow, for its exit handler.
        seconds: that it took, likewise.
        failures: nodes that failed, likewise.
        project, root: what the namespace's ConfigMap says, if it is not what it should be.
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
        """The environment of a pod, expanded as Argo does it."""
        found = self._template(template)
        values = {each["name"]: each for each in found["container"]["env"]}
        environment = {
            name: self._expand(each["value"], inputs, last)
            if "value" in each
            else self._referred(each["valueFrom"], f"{self.name}-{template}-{number}")
            for name, each in values.items()
        }
        if class_offset:
            patches = re.findall(r"exitCode == '10(\d)' \? '(.*?)' :", found["podSpecPatch"])
            patch = json.loads(dict(patches)[str(class_offset)])
            environment |= {e["name"]: e["value"] for e in patch["containers"][0]["env"]}
        return environment

    def command(self, template: str, inputs: Mapping[str, str]) -> list[str]:
        """The command line of a pod."""
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
        known = {
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
        return re.sub(r"\{\{(.*?)\}\}", lambda match: known[match[1]], text)

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
        """Run a pod here; its outputs by name."""
        inputs = inputs or {}
        words = self.command(template, inputs)
        assert words[:2] == ["refeed", "step"]
        pairs = (word.removeprefix("--").split("=", 1) for word in words[3:])
        options = {name.replace("-", "_"): value for name, value in pairs}
        with self._here(self.environment(template, inputs, **how)):
            getattr(commands, words[2])(**options)
        wanted = self._template(template).get("outputs", {}).get("parameters", [])
        return {each["name"]: self._left(each["valueFrom"]["path"]).read_text() for each in wanted}

    def _left(self, path: str) -> Path:
        return Path(path.replace("/tmp/refeed", str(self.world.folder / "outputs")))

    @contextmanager
    def _here(self, environment: dict[str, str]) -> Iterator[None]:
        folder = str(self.world.folder / "outputs")
        before = signal.getsignal(signal.SIGTERM)
        try:
            with self.world.patch.context() as patch:
                for name, value in environment.items():
                    patch.setenv(name, value)
                for module in (contract, check, split, collect):
                    patch.setattr(module, "OUTPUTS", folder)
                patch.setattr("workflows.pods.pod.time.sleep", lambda _: None)
                yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def begin(self) -> dict[str, str]:
        """Run check; the inputs of the other steps."""
        self.outputs = self.run("check")
        return self.outputs

    def shards(self) -> list[tuple[str, str]]:
        """Run split; template and number of each shard."""
        left = self.run("split", self.outputs)
        return [
            (f"train-{name.removeprefix('shards-')}", number)
            for name, numbers in left.items()
            for number in json.loads(numbers)
        ]

    def train(self, shards: Iterable[tuple[str, str]]) -> None:
        """Run a pod for each shard."""
        for template, number in shards:
            self.run(template, self.outputs | {"shard": number})

    def run_all(self) -> dict[str, str]:
        """All steps, one after the other; what collect leaves behind."""
        self.begin()
        self.train(self.shards())
        return self.run("collect", self.outputs)

    # --- what is left -------------------------------------------------------------------------

    @property
    def address(self) -> RunAddress:
        """Of the run."""
        return RunAddress(self.world.root, "lab", "trial", self.outputs["run"])

    def records(self) -> dict[str, PartitionRecord]:
        """By the text of the key."""
        storage, folder = self.world.storage, self.address.run_layout.records
        found = [
            read_parsed(storage, f"{folder}/{name}", PartitionRecord.from_json)
            for name in storage.names(folder)
        ]
        return {record.key.text: record for record in found}

    def pods(self) -> list[tuple[str, int, str]]:
        """Step, number and cause of the end of each pod of the run."""
        storage, folder = self.world.storage, self.address.run_layout.pods
        found = [
            read_parsed(storage, f"{folder}/{name}", PodRecord.from_json)
            for name in storage.names(folder)
        ]
        return [(pod.step, pod.number, pod.cause) for pod in found]

    def tables(self) -> Tables:
        """The bytes of the result tables."""
        folder = f"{self.address.run_layout.base}/tables"
        names = self.world.storage.names(folder)
        return Tables({name: self.world.storage.read(f"{folder}/{name}") for name in names})

    def stored(self) -> RunRecord:
        """What the experiment store knows of the run."""
        found = open_store(self.address.layout, self.world.store).get("trial", self.outputs["run"])
        assert found is not None
        return found


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def process_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """For a pod that is a process of its own."""
    return {**os.environ, **environment}
