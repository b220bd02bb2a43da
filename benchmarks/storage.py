"""Requests, bytes and time that results cost in Cloud Storage.

The service is an emulator in memory on this machine. Requests of train and collect are counted at
the client, retries included, and split apart; a list counts as a write, as Cloud Storage charges
for it. Time is that of the train step with 40 ms added to each request, against the same step on
the local disk; rounds alternate, and both values are medians. Prices are the list prices of
us-central1 that ``_PRICES`` names. Compute is the CPU time of the train step: what pods reserve,
with their start, is more.

A thousand partitions with as many rows and features as those of the flights show what requests cost
on average; a run also makes some 80 requests whatever its number of partitions.

The target for their price was set at commit 6928035, when it was about 20 times that of compute, so
it is judged against the compute of that commit: its loop of fits and explanations, frozen in
``benchmarks.train``. Today's compute is shown too. It costs a fraction of that, and the price of
one read, which each partition needs for its part file, is that of 0.14 seconds of a spot CPU: no
storage could reach half of today's compute with one object per partition.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from benchmarks.common import (
    ROOT,
    Row,
    in_new_process,
    median,
    scratch,
    seconds,
    show_progress,
    write_table,
)
from benchmarks.request_log import Requests, environment, note, requests_by_phase
from benchmarks.train import FROZEN, frozen_tree, processor_seconds, time_frozen

MAX_WRITES, MAX_READS, MAX_PRICE, MAX_BYTES, MAX_TIME = 0.1, 1.3, 0.5, 5.0, 1.1
DELAY = 0.040
_PRICES = {
    "class A": 0.005 / 1000,  # Standard storage in a region, per operation
    "class B": 0.0004 / 1000,
    "spot": (0.00654 + 4 * 0.00088) / 3600,  # E2 spot: a vCPU with 4 GiB, per second
}
_FLIGHTS_ROWS = 3784
"""Rows per trained partition of the flights, on average."""
_SMALL: dict[str, Any] = {"num_leaves": 7, "rounds": 20}


# --- in processes of their own ----------------------------------------------------------------


def run_and_log(spec: str, output: str) -> tuple[float, float, int]:
    """Run a spec whose dataset is built, with phases in the log.

    Returns:
        Seconds of the train step, its CPU seconds, and the number of trained partitions.
    """
    from steps.collect.step import CollectResult
    from workflows import local

    times: list[float] = []
    train, collect = local.train, local.collect  # type: ignore[attr-defined]  # where they are called

    def timed_train(*args: Any, **options: Any) -> Any:  # noqa: ANN401
        _note_phase("train")
        began, processor = time.perf_counter(), processor_seconds()
        result = train(*args, **options)
        times.extend([time.perf_counter() - began, processor_seconds() - processor])
        return result

    def timed_collect(*args: Any) -> CollectResult:  # noqa: ANN401
        _note_phase("collect")
        result = collect(*args)
        _note_phase("after")
        return result

    local.train = timed_train  # type: ignore[attr-defined]
    local.collect = timed_collect  # type: ignore[attr-defined,assignment]
    done = local.run(spec, overrides=[f"output={output}"])
    return times[0], times[1], done.outcome.counts["trained"]


def build(spec: str, output: str) -> None:
    """Build the dataset, so that the run reads no source."""
    from workflows.local import split_only
    from workflows.spec.load import load_spec

    _note_phase("split")
    split_only(load_spec(spec, [f"output={output}"]))


def stored_bytes(output: str, project: str) -> tuple[int, int]:
    """Return the bytes of all part files, and of all segments."""
    from steps.contract import ProjectLayout
    from steps.storage.base import storage_for

    layout, storage = ProjectLayout(output, project), storage_for(output)
    parts = sum(
        each.size for each in storage.objects(layout.datasets) if "/parts/" in f"/{each.name}"
    )
    segments = storage.objects(layout.cache.segments)
    return parts, sum(each.size for each in segments)


def _note_phase(name: str) -> None:
    import os

    from benchmarks.request_log import LOG

    if LOG in os.environ:
        note(f"PHASE {name}")


# --- measurements -----------------------------------------------------------------------------


@contextmanager
def bucket() -> Iterator[tuple[str, str]]:
    """Yield the URL of an emulator, and a new bucket in it."""
    from tests.fakes import gcs_server, make_bucket

    with gcs_server() as url:
        make_bucket(url, "bench")
        yield url, "gs://bench"


def generated_spec(
    folder: Path,
    partitions: int,
    rows: int,
    features: int,
    params: dict[str, Any] = _SMALL,
) -> Path:
    """Write a table and a spec, of small models by default, and return the spec."""
    write_table(folder / "table.parquet", partitions * rows, features + 1, partitions, even=True)
    spec = {
        "name": "stored",
        "project": "bench",
        "dataset": {
            "source": str(folder / "table.parquet"),
            "partition_by": "k",
            "target": "f00",
            "min_rows": rows,
        },
        "trainer": {"name": "lightgbm", "params": params},
        "output": str(folder / "runs"),
    }
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    return path


def counted(spec: Path, delay: float) -> tuple[dict[str, Requests], float, float, int]:
    """Run a spec in a bucket.

    Returns:
        Requests by phase, seconds and CPU seconds of train, and the number of trained partitions.
    """
    with scratch() as folder, bucket() as (url, output):
        env = {**environment(folder, delay), "STORAGE_EMULATOR_HOST": url}
        in_new_process(build, str(spec), output, **env)
        took, processor, trained = in_new_process(run_and_log, str(spec), output, **env)
        return requests_by_phase(folder / "requests.log"), took, processor, trained


def _price(requests: Requests) -> float:
    return requests.writes * _PRICES["class A"] + requests.reads * _PRICES["class B"]


def request_rows(name: str, spec: Path, frozen: float | None = None) -> list[Row]:
    """Requests per trained partition, and their price against that of compute.

    Args:
        name: What was run.
        spec: Its spec.
        frozen: CPU seconds per partition of the frozen commit; None if they are not known.
    """
    phases, _, processor, trained = counted(spec, 0.0)
    both = Requests(
        sum(phases[step].writes for step in ("train", "collect")),
        sum(phases[step].reads for step in ("train", "collect")),
    )
    for step, each in phases.items():
        show_progress(f"storage: {name}: {step or 'before'}: {each}")
    compute = processor * _PRICES["spot"]
    ratio, split = _price(both) / compute, _price(phases["split"]) / compute
    price = f"{_price(both) * 1e6 / trained:.2f} USD per million partitions"
    writes, reads = both.writes / trained, both.reads / trained
    return [
        Row(
            f"requests of train and collect, {name}, per trained partition",
            f"{writes:.3f} writes, {reads:.2f} reads",
            f"split: {phases['split'].writes / trained:.2f} writes",
            "",
            f"at most {MAX_WRITES} writes, {MAX_READS} reads",
            writes <= MAX_WRITES and reads <= MAX_READS,
        ),
        *_frozen_price(name, price, _price(both) / trained, frozen),
        Row(
            f"price of these requests, {name}, against compute on spot nodes (us-central1)",
            price,
            f"compute {compute * 1e6 / trained:.2f} USD ({processor:.1f} CPU s)",
            f"{ratio:.2f} (split: {split:.2f})",
        ),
    ]


def _frozen_price(name: str, price: str, each: float, frozen: float | None) -> Iterator[Row]:
    if frozen is None:
        return
    compute = frozen * _PRICES["spot"]
    yield Row(
        f"price of these requests, {name}, against the compute of {FROZEN} on spot nodes",
        price,
        f"compute {compute * 1e6:.2f} USD ({frozen:.2f} CPU s per partition)",
        f"{each / compute:.2f}",
        f"at most {MAX_PRICE}",
        each / compute <= MAX_PRICE,
    )


def frozen_compute(partitions: int) -> float | None:
    """CPU seconds per partition of the frozen commit's loop; None if the clone has no history."""
    with scratch() as folder:
        tree = frozen_tree(folder)
        if tree is None:
            return None
        spec = generated_spec(folder, partitions, _FLIGHTS_ROWS, 9, {})
        return time_frozen(str(spec), tree)[1] / partitions


def byte_row(partitions: int, rows: int, features: int) -> Row:
    """Bytes kept per partition, against those of its data."""
    with scratch() as folder:
        spec = generated_spec(folder, partitions, rows, features)
        output = str(folder / "runs")
        in_new_process(run_and_log, str(spec), output)
        parts, segments = in_new_process(stored_bytes, output, "bench")
    return Row(
        f"bytes kept per partition of {rows:,} x {features}, fold models included",
        f"{segments / partitions / 1000:.1f} kB",
        f"its data {parts / partitions / 1000:.1f} kB",
        f"{segments / parts:.1f} times",
        f"at most {MAX_BYTES:g} times",
        segments / parts <= MAX_BYTES,
    )


def delay_row(name: str, spec: Path, rounds: int) -> Row:
    """Time of the train step with slow requests, against the local disk."""
    remote: list[float] = []
    local: list[float] = []
    for number in range(rounds):
        remote.append(counted(spec, DELAY)[1])
        with scratch() as folder:
            output = str(folder / "runs")
            in_new_process(build, str(spec), output)
            local.append(in_new_process(run_and_log, str(spec), output)[0])
        show_progress(f"storage: {name}: round {number + 1}: {remote[-1]:.1f} s, {local[-1]:.1f} s")
    ours, peer = median(remote), median(local)
    return Row(
        f"train {name} with {DELAY * 1000:.0f} ms per request",
        seconds(ours),
        f"local disk {seconds(peer)}",
        f"{ours / peer:.2f} times the time",
        f"at most {MAX_TIME}",
        ours / peer <= MAX_TIME,
    )


def run(*, quick: bool) -> list[Row]:
    """Return the rows of the benchmark."""
    partitions = 20 if quick else 1000
    flights = ROOT / "examples" / "flights" / "spec.yaml"
    rows = []
    with scratch() as folder:
        small = generated_spec(folder, partitions, 200, 9)
        rows += request_rows(f"{partitions:,} x 200 x 9", small)
        if quick:
            rows.append(delay_row(f"{partitions:,} x 200 x 9", small, 1))
    rows += [byte_row(partitions // 5, 200, 9), byte_row(partitions // 10, 2000, 30)]
    if not quick:
        with scratch() as folder:
            alike = generated_spec(folder, partitions, _FLIGHTS_ROWS, 9, {})
            name = f"{partitions:,} x {_FLIGHTS_ROWS:,} x 9, as the flights"
            rows += request_rows(name, alike, frozen_compute(100))
        rows.append(delay_row("flights", flights, 3))
    return rows
