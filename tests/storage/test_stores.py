"""The experiment store: the same contract for all adapters."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path

import pytest

from steps.contract import ProjectLayout
from steps.errors import DamagedError, OutputError, SpecError
from steps.records import RunRecord
from steps.results.dataset_tables import documents
from steps.results.partition_result import PartitionResult
from steps.results.run_tables import results_of
from steps.results.schema import DATASET_TABLES
from steps.storage.base import storage_for
from steps.stores.base import ExperimentStore, open_store
from steps.stores.objects import ObjectStore
from steps.stores.sqlite import SqliteStore
from tests.storage.results import some_results, write_tables
from tests.workspace import Workspace, small_table
from workflows.local import split_only
from workflows.spec.load import load_spec

RECORD = RunRecord("lab", "trial", "20260102T030405-aaaa", "s", "d", "running", "2026-01-02")


KINDS = ["sqlite", "objects in files", "objects in buckets", "firestore"]
LONG = "x" * 300
HOSTILE = ["a/../b", "__x__", "{{=1}}", "", "\x00", "Größe ☃", "=cmd()", LONG]


@dataclass
class StoreCase:
    """A store and its artifact root."""

    project: ProjectLayout
    store: ExperimentStore

    def put_results(self, run: str, results: list[PartitionResult]) -> None:
        """Write a run's tables like collect, then put the results."""
        layout, storage = self.project.run("trial", run), storage_for(self.project.root)
        write_tables(layout, storage, results)
        self.store.put_results("trial", run, results_of(layout, storage))

    def results(self, run: str) -> list[PartitionResult]:
        """Return a run's results in the store, by partition."""
        return sorted(self.store.results("trial", run), key=lambda each: each.partition_id)


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> StoreCase:
    """Return an empty store of each kind."""
    project = ProjectLayout(str(tmp_path), "lab")
    if request.param == "sqlite":
        return StoreCase(project, open_store(project))
    if request.param == "objects in files":
        return StoreCase(project, ObjectStore(project, storage_for("")))
    if request.param == "firestore":
        return StoreCase(project, open_store(project, request.getfixturevalue("firestore")))
    project = ProjectLayout(f"{request.getfixturevalue('gcs')}/runs", "lab")
    return StoreCase(project, open_store(project))


@pytest.fixture
def store(case: StoreCase) -> ExperimentStore:
    """Return an empty store, for tests without artifacts."""
    return case.store


class TestExperimentStore:
    """The contract of every adapter."""

    def test_new_store_is_empty(self, store: ExperimentStore) -> None:
        assert store.runs() == []
        assert store.runs("trial") == []

    def test_put_run_is_found(self, store: ExperimentStore) -> None:
        record = replace(RECORD, status="finished", counts={"trained": 3}, ended="2026-01-03")
        store.put(record)
        assert store.runs() == store.runs("trial") == [record]
        assert store.runs("another") == []

    def test_put_replaces(self, store: ExperimentStore) -> None:
        store.put(RECORD)
        store.put(RECORD)
        store.put(replace(RECORD, status="failed"))
        assert [record.status for record in store.runs("trial")] == ["failed"]

    def test_runs_are_newest_first(self, store: ExperimentStore) -> None:
        for experiment, run in [("a", "2026-1"), ("b", "2026-2"), ("a", "2026-3")]:
            store.put(replace(RECORD, experiment=experiment, run=run))
        assert [record.run for record in store.runs()] == ["2026-3", "2026-2", "2026-1"]
        assert [record.run for record in store.runs("a")] == ["2026-3", "2026-1"]

    def test_concurrent_writes(self, store: ExperimentStore) -> None:
        records = [replace(RECORD, run=f"run-{n:02d}") for n in range(16)]
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(store.put, records))
        assert store.runs("trial") == records[::-1]

    def test_get_returns_one_run(self, store: ExperimentStore) -> None:
        assert store.get("trial", RECORD.run) is None
        store.put(RECORD)
        assert store.get("trial", RECORD.run) == RECORD
        assert store.get("trial", "another") is None
        assert store.get("another", RECORD.run) is None

    def test_run_is_found_in_any_experiment(self, store: ExperimentStore) -> None:
        assert store.find(RECORD.run) is None
        records = [replace(RECORD, experiment=name, run=f"run-{name}") for name in "abc"]
        for record in records:
            store.put(record)
        assert store.find("run-b") == records[1]
        assert store.find("run-d") is None

    def test_removed_run_is_gone(self, case: StoreCase) -> None:
        case.store.put(RECORD)
        other = replace(RECORD, run="another")
        case.store.put(other)
        case.store.remove("trial", RECORD.run)
        case.store.remove("trial", "never there")
        assert case.store.runs() == [other]
        assert case.store.get("trial", RECORD.run) is None

    def test_long_and_unusual_texts(self, store: ExperimentStore) -> None:
        records = [replace(RECORD, run=f"{n}", message=text) for n, text in enumerate(HOSTILE)]
        for record in records:
            store.put(record)
        assert store.runs("trial") == records[::-1]

    def test_results_equal_the_tables(self, case: StoreCase) -> None:
        wanted = some_results(keys=HOSTILE, features=HOSTILE)
        assert case.results("one") == []
        case.put_results("one", wanted)
        assert case.results("one") == sorted(wanted, key=lambda each: each.partition_id)
        assert case.results("another") == []

    def test_put_results_replaces(self, case: StoreCase) -> None:
        before = some_results(keys=["a", "b"])
        after = some_results(keys=["a", "b"], seed=1)
        case.put_results("one", before)
        case.put_results("two", before)
        case.put_results("one", after)
        case.put_results("one", after)
        assert case.results("one") == sorted(after, key=lambda each: each.partition_id)
        assert len(case.results("two")) == 2

    def test_results_without_partitions(self, case: StoreCase) -> None:
        case.put_results("one", [])
        assert case.results("one") == []

    def test_statistics_equal_the_dataset(self, case: StoreCase, lab: Workspace) -> None:
        lab.write_table(small_table(3))
        spec = lab.write_spec(output=case.project.root)
        found = split_only(load_spec(spec)).index.dataset
        layout, storage = case.project.dataset(found), storage_for(case.project.root)
        wanted = list(documents(layout, storage))
        assert [len(about["columns"]) for _, about in wanted] == [7] * 4
        case.store.put_statistics(found, iter(wanted))
        case.store.put_statistics(found, iter(wanted))
        by_id = itemgetter(0)
        assert sorted(case.store.statistics(found), key=by_id) == sorted(wanted, key=by_id)
        assert list(case.store.statistics("another")) == []


def test_remote_store_round_trips_statistics(firestore: str) -> None:
    store = open_store(ProjectLayout("unused", "lab"), firestore)
    columns = {
        name: {"missing": n, "range": [[0.5, None], [n, name]]} for n, name in enumerate(HOSTILE)
    }
    wanted = [(f"p{n:020x}", {"columns": columns, "rows": n}) for n in range(5)]
    wanted = [("", {"columns": columns, "rows": 10}), *wanted]
    assert list(store.statistics("d1")) == []
    store.put_statistics("d1", iter(wanted))
    store.put_statistics("d1", iter(wanted))
    assert sorted(store.statistics("d1"), key=itemgetter(0)) == wanted
    assert list(store.statistics("d2")) == []


def test_put_statistics_replaces(firestore: str) -> None:
    store = open_store(ProjectLayout("unused", "lab"), firestore)
    store.put_statistics("d1", [("", {"columns": {"x": LONG * 5000}}), ("p1", {"rows": 1})])
    store.put_statistics("d1", [("", {"columns": {"y": 1}}), ("p1", {"rows": 2})])
    assert sorted(store.statistics("d1"), key=itemgetter(0)) == [
        ("", {"columns": {"y": 1}}),
        ("p1", {"rows": 2}),
    ]


def test_statistics_of_many_columns(firestore: str) -> None:
    store = open_store(ProjectLayout("unused", "lab"), firestore)
    columns = {f"column ☃ {n}": {"top": [LONG] * 10} for n in range(1000)}
    store.put_statistics("d1", [("", {"columns": columns})])
    assert list(store.statistics("d1")) == [("", {"columns": columns})]


def test_local_root_has_embedded_store(tmp_path: Path) -> None:
    assert isinstance(open_store(ProjectLayout(str(tmp_path), "lab")), SqliteStore)


def test_run_without_record_is_not_listed(gcs: str) -> None:
    project = ProjectLayout(gcs, "lab")
    storage_for(gcs).write(project.run("trial", "half-made").request, b"{}")
    store = open_store(project)
    store.put(RECORD)
    assert store.runs() == [RECORD]


def test_damaged_object_is_named(gcs: str) -> None:
    project = ProjectLayout(gcs, "lab")
    storage_for(gcs).write(project.run("trial", "x").status, b"no json")
    with pytest.raises(DamagedError, match=r"trial/x/status\.json"):
        open_store(project).runs()


def test_missing_bucket_is_an_error(gcs: str) -> None:
    with pytest.raises(OutputError, match="The bucket gs://never-made does not exist"):
        open_store(ProjectLayout("gs://never-made", "lab")).put(RECORD)


def test_damaged_statistics_are_named(tmp_path: Path) -> None:
    project = ProjectLayout(str(tmp_path), "lab")
    layout, storage = project.dataset("d1"), storage_for("")
    storage.write(layout.index, b"{}")
    for name in DATASET_TABLES:
        storage.write(layout.statistics_table(name, "parquet"), b"no parquet")
    with pytest.raises(DamagedError, match=r"d1/statistics/column_statistics\.parquet"):
        list(open_store(project).statistics("d1"))


def test_reordered_tables_are_damaged(tmp_path: Path) -> None:
    project, storage = ProjectLayout(str(tmp_path), "lab"), storage_for("")
    layout = project.run("trial", "one")
    write_tables(layout, storage, some_results(keys=["a", "b"]))
    content = storage.read(layout.table("metrics", "parquet"))
    write_tables(layout, storage, some_results(keys=["b", "a"]))
    storage.write(layout.table("metrics", "parquet"), content)
    with pytest.raises(DamagedError, match="not sorted by partition"):
        list(open_store(project).results("trial", "one"))
    storage.write(layout.table("metrics", "parquet"), b"no parquet")
    with pytest.raises(DamagedError, match=r"metrics\.parquet"):
        list(open_store(project).results("trial", "one"))


@pytest.mark.parametrize(
    "uri", ["mongo://x", "firestore://", "firestore://UPPER", "firestore://a/b/c"]
)
def test_unknown_store(uri: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"store: .*\n.*firestore://gcp-project") as caught:
        open_store(ProjectLayout(str(tmp_path), "lab"), uri)
    assert uri in str(caught.value)
