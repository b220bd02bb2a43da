"""Every example spec runs, on its real data; smaller models, so that it does not take long."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.compat.digests import differences, same_digits
from workflows.local import RunSummary, run

ROOT = Path(__file__).parent.parent
SPECS = sorted(ROOT.glob("examples/*/spec.yaml"))
EXPECTED = {
    "flights": ({"trained": 89, "skipped": 16, "failed": 0}, 9_430),
    "late_flights": ({"trained": 14, "skipped": 2, "failed": 0}, 9_430),
    "penguins": ({"trained": 2, "skipped": 1, "failed": 0}, 0),
}
SMALLER = {"lightgbm": ["trainer.params.rounds=10", "explain.rows=100"], "linear": []}


def run_example(spec: Path, output: Path) -> RunSummary:
    """Run an example with smaller models."""
    trainer = "linear" if "name: linear" in spec.read_text() else "lightgbm"
    return run(spec, overrides=[f"output={output}", *SMALLER[trainer]])


@pytest.fixture(scope="module", params=SPECS, ids=lambda spec: spec.parent.name)
def example(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, RunSummary]:
    name = request.param.parent.name
    return name, run_example(request.param, tmp_path_factory.mktemp(name))


@pytest.mark.slow
def test_example(example: tuple[str, RunSummary]) -> None:
    name, result = example
    counts, without_target = EXPECTED[name]
    assert result.outcome.counts == counts
    assert result.outcome.rows_without_target == without_target
    assert result.outcome.best[0].skill_low is not None
    assert result.outcome.best[0].skill_low > 0


@pytest.mark.slow
@same_digits
def test_example_has_the_committed_tables_and_report(example: tuple[str, RunSummary]) -> None:
    name, result = example
    found = differences(name, Path(result.layout.base))
    assert not found, "\n".join(found)


def test_the_flights_example_learns_what_is_known_of_delays(tmp_path: Path) -> None:
    """Delays build up over the day: the scheduled time is the most important feature."""
    spec = ROOT / "examples" / "flights" / "spec.yaml"
    result = run(
        spec, overrides=[f"output={tmp_path}", "dataset.min_rows=5000", *SMALLER["lightgbm"]]
    )
    importance = pq.read_table(result.layout.table("importance", "parquet")).to_pandas()
    permutation = importance[importance["method"] == "permutation"]
    assert permutation.groupby("feature")["value"].median().idxmax() == "sched_min"
