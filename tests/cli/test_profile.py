"""``refeed profile``: right about what a run does, safe to print, and honest about its estimate."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from steps.records import PartitionEntry, PartitionKey
from steps.runtime.attempts import busy_seconds
from tests.cli.test_commands import ANSI, on_terminal, refeed
from tests.workspace import Workspace, small_table
from workflows.cli.profile import _print_estimate, print_profile
from workflows.installation.model import Installation, load_installation
from workflows.local import run
from workflows.planning.cost import Basis
from workflows.planning.estimate import Load, estimate_training
from workflows.planning.packing import START_SECONDS, Work, pack_classes
from workflows.profile import bars_of, profile
from workflows.spec.load import load_spec
from workflows.spec.model import ExperimentSpec

INSTALLATION = Path(__file__).parent.parent / "argo" / "installation.yaml"


def poor_table() -> pa.Table:
    """Eight partitions, of which one can be trained."""
    rows = small_table(8)
    which = np.repeat(np.arange(8), 90)
    order = np.tile(np.arange(90), 8)
    target = rows["target"].to_numpy().copy()
    target[which == 1] = 3.5
    gone = rows["target"].is_null().to_numpy() | (which == 2) | ((which == 3) & (order > 15))
    columns: dict[str, Any] = {"target": pa.array(target, mask=gone)}
    for name in ("number", "level", "whole", "flag"):
        column = rows[name].combine_chunks()
        columns[name] = pa.array(column.to_pylist(), column.type, mask=which == 4)
    key = np.array([f"part {at}" for at in which], object)
    columns["key"] = pa.array(key, mask=which == 5)
    few = (which == 6) & (order >= 60)
    return pa.table(columns | {"day": rows["day"]}).filter(pa.array(~few & (which != 7)))


@pytest.fixture(scope="module", name="ran")
def _ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Path]:
    lab = Workspace(tmp_path_factory.mktemp("profiled"))
    lab.write_table(poor_table())
    return lab, lab.write_spec()


def test_profile_matches_the_following_run(ran: tuple[Workspace, Path]) -> None:
    lab, spec = ran
    before = profile(load_spec(spec))
    assert (before.partitions, before.rows, before.reused) == (7, 600, False)
    assert not (lab.folder / "runs/lab/cache").exists()
    assert not (lab.folder / "runs/lab/runs").exists()
    result = run(spec)
    assert before.skipped == result.outcome.reasons
    assert set(before.skipped) == {
        "null_key", "constant_target", "target_missing", "too_few_rows", "all_features_missing",
    }  # fmt: skip
    assert before.rows_without_target == result.outcome.rows_without_target
    assert "no run has finished yet" in before.estimate.basis
    after = profile(load_spec(spec))
    assert (after.reused, after.estimate.workers) == (True, 2)
    with Path(result.layout.attempts_table).open() as attempts:
        rows = [row for row in csv.DictReader(attempts) if row["outcome"] == "trained"]
    names = ("seconds", "cpu_seconds", "queued_seconds")
    took = sum(busy_seconds(*(float(row[name]) for name in names)) for row in rows)
    assert after.estimate.core_hours * 3600 == pytest.approx(took)
    assert f"2 partitions trained in run {result.run}" in after.estimate.basis
    warned = lab.read(result.layout.base, "data_warnings")
    assert [each.message for each in after.warnings] == warned["message"].to_pylist()


def test_json_and_plain_output(ran: tuple[Workspace, Path]) -> None:
    lab, spec = ran
    done = refeed("profile", spec, "--json", "--tfdv", lab.folder / "tfdv")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["sizes"][0] == 0
    assert sum(count for _, _, count in found["bars"]) == found["partitions"] == 7
    assert [row["column"] for row in found["features"]] == ["number", "level", "whole", "flag"]
    assert all(Path(name).is_file() for name in found["tfdv"])
    page = Path(found["page"]).read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "<script" not in page
    assert "2 of 7 partitions can be trained" in page
    plain = refeed("profile", spec)
    assert not ANSI.search(plain.stdout + plain.stderr)
    assert "1 would be skipped: no partition key" in plain.stdout
    assert "A run on this machine would take about" in plain.stdout
    assert plain.stdout.rstrip().endswith("statistics/profile.html")


def test_terminal_colours_respect_no_color(ran: tuple[Workspace, Path]) -> None:
    assert "\x1b[36m" in on_terminal("profile", ran[1])
    assert "\x1b[3" not in on_terminal("profile", ran[1], environment={"NO_COLOR": "1"})


def test_help_has_examples_and_errors_their_exit_codes(ran: tuple[Workspace, Path]) -> None:
    assert "refeed profile spec.yaml --tfdv" in " ".join(refeed("profile", "--help").stdout.split())
    assert refeed("profile", ran[1], "--set", "dataset.target=nothing").returncode == 65
    assert refeed("profile", ran[1], "--installation", "nowhere.yaml").returncode == 66
    assert refeed("profile", ran[1], "--tfdv", "/proc/no").returncode == 73


def test_hostile_names_stay_data(lab: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    rows = small_table(2).rename_columns(
        ["key", "<script>", "[bold]x[/]", "\x1b[31mred", "flag", "day", "weight", "target"]
    )
    lab.write_table(rows)
    names = ["<script>", "[bold]x[/]", "\x1b[31mred"]
    print_profile(profile(load_spec(lab.write_spec(dataset__features=names))), [])
    shown = capsys.readouterr().out
    assert "[bold]x[/]" in shown
    assert "\\x1b[31mred" in shown
    assert "\x1b" not in shown
    page = next(lab.folder.glob("runs/lab/datasets/*/statistics/profile.html")).read_text()
    assert "<script>" not in page


# --- what a run would take ------------------------------------------------------------------


def entries(*rows: int) -> tuple[PartitionEntry, ...]:
    return tuple(
        PartitionEntry(PartitionKey("string", f"{at}"), count, (0, 0), "", (), 1)
        for at, count in enumerate(rows)
    )


def load(features: int, *rows: int) -> Load:
    works = [
        Work(entry, entry.rows / 10, entry.rows * features * 80 / 2**20) for entry in entries(*rows)
    ]
    return Load(works, Basis("trainer"))


@pytest.fixture(name="platform")
def _platform() -> Installation:
    return load_installation(INSTALLATION)


def spec_of(lab: Workspace, **changes: Any) -> ExperimentSpec:
    return load_spec(lab.write_spec(**changes)).spec


def test_estimated_pods_equal_packing(lab: Workspace, platform: Installation) -> None:
    work = load(50, 100, 5_000, 300_000, 2_000_000, 900_000_000)
    spec = spec_of(lab)
    found = estimate_training(spec, work, platform)
    classes = platform.training_classes(spec)
    packing = pack_classes(work.works, classes, spec.execution)
    shards = {name: len(each) for name, each in packing.shards.items() if each}
    assert {plan.name: plan.pods for plan in found.classes} == shards
    assert sum(plan.partitions for plan in found.classes) == 4
    assert found.too_large == ("4",)
    assert found.core_hours == pytest.approx((100 + 5_000 + 300_000 + 2_000_000) / 36_000)


def test_money_by_hand(lab: Workspace, platform: Installation) -> None:
    """Two partitions of 1,000 and 3,000 rows take 100 s and 300 s on one pod of the class small:
    two processors at 0.031 and four GiB at 0.0042 an hour, for the longer one, and the start."""
    found = estimate_training(spec_of(lab), load(5, 1_000, 3_000), platform)
    assert [each.pods for each in found.preferences] == [1, 1]
    assert [each.money for each in found.preferences] == [found.money] * 2
    hours = (300 + START_SECONDS) / 3600
    assert [(plan.name, plan.pods) for plan in found.classes] == [("small", 1)]
    assert found.money == pytest.approx(hours * (2 * 0.031 + 4 * 0.0042))
    assert (found.currency, found.low, found.high) == ("USD", 1 / 3, 3)
    free = platform.model_copy(update={"prices": None})
    assert estimate_training(spec_of(lab), load(5, 1_000), free).money is None


def test_local_estimate_is_work_or_longest_partition(lab: Workspace) -> None:
    spec = spec_of(lab, execution__workers=4)
    assert estimate_training(spec, load(5, 400, 400, 400, 400), None).seconds == pytest.approx(40)
    assert estimate_training(spec, load(5, 4_000, 400), None).seconds == pytest.approx(400)


def test_preview_shows_pods_minutes_and_money_for_both_preferences(
    lab: Workspace, platform: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    """1,000 partitions of a minute, on pods of two processors and 4 GiB at 0.0788 an hour.

    100 pods take 300 s and start in 20 s: 8.9 hours. Of 39 pods the longest has 26 partitions:
    800 s, together 8.6 hours.
    """
    found = estimate_training(spec_of(lab), load(5, *[600] * 1_000), platform)
    time, price = found.preferences
    assert (time.prefer, time.pods, time.seconds) == ("time", 100, 320)
    assert (price.prefer, price.pods, price.seconds) == ("price", 39, 800)
    assert time.money is not None
    assert time.money == pytest.approx(100 * 320 / 3600 * 0.0788)
    assert price.money is not None
    assert 0.94 * time.money < price.money < time.money
    _print_estimate(found)
    shown = " ".join(capsys.readouterr().out.split())
    assert "prefer: time: 100 pods, 5.3 minutes, 0.7 USD (chosen)" in shown
    assert "prefer: price: 39 pods, 13.3 minutes, 0.67 USD" in shown
    assert "fold_models" not in shown
    dropped = spec_of(lab, execution__fold_models="drop")
    _print_estimate(estimate_training(dropped, load(5, 600), platform))
    assert "changes `explain` fits the models again" in " ".join(capsys.readouterr().out.split())


def test_removed_run_is_no_basis(lab: Workspace) -> None:
    lab.write_table(small_table(2))
    spec = lab.write_spec()
    result = run(spec)
    Path(result.layout.attempts_table).unlink()
    assert "no run has finished yet" in profile(load_spec(spec)).estimate.basis


def test_bars_hold_every_partition() -> None:
    rng = np.random.default_rng(0)
    for rows in ([5], [7, 7, 7], [0, 1, 2], rng.integers(0, 10**6, 1000).tolist(), [0, 0], [9, 10]):
        bars = bars_of(rows)
        assert len(bars) <= 10
        for low, high, count in bars:
            assert count == sum(low <= each <= high for each in rows)
        assert sum(count for _, _, count in bars) == len(rows)
