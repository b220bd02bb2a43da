"""Cases compiled to golden files: each example, and a small case for each feature."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import yaml

from workflows.argo.compile import Kind, compile_spec, to_yaml
from workflows.argo.template import Manifest
from workflows.installation.model import Installation, load_installation
from workflows.spec.load import load_spec
from workflows.spec.model import ExperimentSpec

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
INSTALLATION = HERE / "installation.yaml"
EXAMPLES = HERE.parents[1] / "examples"

Changes = dict[str, Any]
"""Values by dotted path, with __ for dots."""

SMALL: dict[str, Any] = {
    "name": "small",
    "project": "demo",
    "dataset": {
        "source": "gs://refeed-demo/sources/table.parquet",
        "partition_by": "key",
        "target": "y",
    },
    "output": "gs://refeed-demo",
}
LAB: Changes = {
    "project": "lab",
    "output": "gs://refeed-lab/artifacts",
    "dataset__source": "gs://refeed-lab/artifacts/sources/table.parquet",
}
WEEKLY = {"cron": "0 6 * * 1", "timezone": "Europe/Paris"}


def small_spec(**changes: Any) -> ExperimentSpec:
    """Return a minimal spec with changes, whose keys have __ for dots."""
    return ExperimentSpec.model_validate(_changed(SMALL, changes))


def installation(**changes: Any) -> Installation:
    """Return the tests' installation, with changed top-level keys."""
    raw = load_installation(INSTALLATION).model_dump(mode="json")
    return Installation.model_validate(_changed(raw, changes))


def example(name: str) -> ExperimentSpec:
    """An example's spec, its source and output moved into the project's artifact root."""
    path = EXAMPLES / name / "spec.yaml"
    local = load_spec(path).spec.dataset.source
    root = "gs://refeed-demo"
    moved = f"dataset.source={root}/sources/{Path(local).name}"
    return load_spec(path, [f"output={root}", moved]).spec


def _changed(raw: dict[str, Any], changes: Changes) -> dict[str, Any]:
    copy = deepcopy(raw)
    for dotted, value in changes.items():
        *parents, last = dotted.split("__")
        inner = copy
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    return copy


@dataclass(frozen=True)
class Case:
    """One golden file.

    Attributes:
        name: of the file, without its suffix.
        kind: of Argo's object.
        spec: makes the spec.
        platform: what differs from the tests' own installation.
    """

    name: str
    kind: Kind
    spec: Callable[[], ExperimentSpec]
    platform: Changes = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Path of the golden file."""
        return GOLDEN / f"{self.name}.yaml"

    def compiled(self) -> Manifest:
        """Return the compiled object."""
        return compile_spec(self.spec(), installation(**self.platform), self.kind)

    def text(self) -> str:
        """Return the text that ``refeed compile`` prints."""
        return to_yaml(self.compiled(), f"tests/argo/cases.py: {self.name}")

    def golden(self) -> Manifest:
        """Return the committed object; it is cached, so do not change it."""
        return _parsed(self.path)


@cache
def _parsed(path: Path) -> Manifest:
    found: Manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def example_names() -> list[str]:
    """Return the names of the folders with a spec."""
    return sorted(path.parent.name for path in EXAMPLES.glob("*/spec.yaml"))


def _examples() -> Iterator[Case]:
    for name in example_names():
        yield Case(f"example-{name}", "workflow-template", partial(example, name))


def _small(
    name: str, kind: Kind = "workflow-template", platform: Changes | None = None, **changes: Any
) -> Case:
    return Case(name, kind, partial(small_spec, **changes), platform or {})


CASES: dict[str, Case] = {
    case.name: case
    for case in [
        *_examples(),
        _small("plain"),
        _small("kind-workflow", "workflow"),
        _small("kind-cron-workflow", "cron-workflow", schedule=WEEKLY),
        _small("spot-off", execution__spot=False),
        _small("classes-subset", execution__classes=["large", "small"]),
        _small("class-single", execution__classes=["medium"]),
        _small("schedule-forbid", schedule=WEEKLY | {"concurrency": "forbid"}),
        _small(
            "schedule-forbid-cron-workflow",
            "cron-workflow",
            schedule=WEEKLY | {"concurrency": "forbid", "suspended": True},
        ),
        _small("trainer-custom", trainer={"name": "forest", "params": {"trees": 50}}),
        _small("trainer-gpu", trainer={"name": "deep", "params": {"epochs": 30}}),
        _small(
            "trainer-defaults",
            platform={
                "trainers__linear__defaults": {"alpha": 0.1},
                "trainers__lightgbm__limits": {"rounds": {"max": 2000}},
            },
        ),
        _small(
            "pods-per-partition",
            execution__partitions_per_pod=1,
            execution__prefer="price",
            execution__max_pods=500,
        ),
        _small("base-compare", base={"mode": "compare"}),
        _small("project-lab", **LAB),
        _small("project-store", platform={"projects__demo__store": "firestore://acme-refeed/demo"}),
        _small("notify-absent", platform={"notify": None}),
        _small(
            "limits",
            execution__deadline="90m",
            execution__ttl="2d",
            execution__retries=0,
            execution__max_pods=7,
            execution__label="a note",
            execution__force=True,
        ),
    ]
}
