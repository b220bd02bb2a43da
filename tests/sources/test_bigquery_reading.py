"""Read BigQuery: types, filters, interrupted and expired sessions, and cost limits."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steps.contract import ProjectLayout
from steps.errors import DataError, ExpiredError, RefeedError, SpecError
from steps.google.bigquery.rows import THREAD_NAME
from steps.records import Roles
from steps.runtime.progress import NoProgress
from steps.split.config import DatasetConfig
from steps.split.sources.base import LiveSource, open_source
from steps.split.step import SplitRequest, SplitResult, column_types, source_types, split
from steps.storage.local import LocalStorage
from steps.table.types import PrecisionWarning
from tests.cluster.fake_server import fake_server
from tests.fakes.bigquery import PROJECT
from tests.sources.rows_proxy import CREATE, READ, Fault
from tests.workspace import small_table

EXPIRED = (
    "there was an error operating on 'projects/x/locations/us/sessions/s/streams/t': session "
    "expired at 2024-11-23T09:59:13+00:00"
)
"""The service's message: GoogleCloudDataproc/spark-bigquery-connector#1316."""


def config(house: Any, table: str = "t", **more: Any) -> DatasetConfig:
    fields = {"partition_by": "key", "target": "target"} | more
    if "query" not in fields:
        fields["source"] = house.uri(table)
    return DatasetConfig(**fields)


def opened(config: DatasetConfig) -> LiveSource:
    source = open_source(config)
    assert isinstance(source, LiveSource)
    return source


def split_into(root: Path, config: DatasetConfig, name: str = "p") -> SplitResult:
    request = SplitRequest(config, None, None, "auto", 5)
    return split(request, ProjectLayout(str(root), name), LocalStorage(), NoProgress())


def read(source: LiveSource, columns: list[str]) -> pa.Table:
    return pa.Table.from_batches(source.batches(columns))


def pins(root: Path, name: str = "p") -> list[Path]:
    return sorted((root / name / "datasets" / "pins").glob("*"))


ALL_TYPES = """CREATE TABLE {d}.t AS SELECT * FROM UNNEST([
  STRUCT('a' AS key, 1.5 AS target, 7 AS whole, TRUE AS flag, NUMERIC '12.34' AS money,
    BIGNUMERIC '1234567890123456.125' AS exact, DATE '2026-01-02' AS day,
    DATETIME '2026-01-02 03:04:05.000006' AS local, TIMESTAMP '2026-01-02 03:04:05+01' AS moment,
    B'xy' AS octets, TIME '01:02:03' AS clock, [1, 2] AS list, STRUCT(1 AS a) AS record,
    JSON '{"a": 1}' AS json, ST_GEOGPOINT(1, 2) AS place, INTERVAL 1 DAY AS span),
  ('b', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
])"""
USABLE = {
    "key": "string",
    "target": "float64",
    "whole": "int64",
    "flag": "bool",
    "money": "float64",
    "exact": "float64",
    "day": "date",
    "local": "timestamp",
    "moment": "timestamp",
}
UNUSABLE = {
    "octets": "BYTES",
    "clock": "TIME",
    "list": "ARRAY<INTEGER>",
    "record": "STRUCT",
    "json": "JSON",
    "place": "GEOGRAPHY",
    "span": "INTERVAL",
}


def test_all_types(warehouse: Any, tmp_path: Path) -> None:
    warehouse.run(ALL_TYPES)
    usable = config(warehouse, features=[name for name in USABLE if name not in {"key", "target"}])
    source = opened(usable)
    assert source_types(source) == USABLE | dict.fromkeys(UNUSABLE, "?")
    for name, kind in UNUSABLE.items():
        with pytest.raises(DataError, match=f"Column {name!r} has the type {kind}, which no model"):
            column_types(source, Roles("key", "target", (name,), (), None, None, None))
    found = read(source, list(USABLE))
    assert found.num_rows == 2
    assert set(found.column_names) == set(USABLE)
    pq.write_table(found, tmp_path / "same.parquet")
    with pytest.warns(PrecisionWarning):
        made = split_into(tmp_path, usable)
    file = usable.model_copy(update={"source": str(tmp_path / "same.parquet")})
    with pytest.warns(PrecisionWarning):
        same = split_into(tmp_path, file, "q")
    assert same.index == made.index
    assert made.index.rows == 2


def test_only_selected_columns_are_read(warehouse: Any, tmp_path: Path) -> None:
    warehouse.run(ALL_TYPES)
    split_into(tmp_path, config(warehouse, features=["whole"]))
    options = [request.read_session.read_options for request in warehouse.proxy.sessions]
    assert [list(each.selected_fields) for each in options] == [["key", "target", "whole"]]


def test_unusable_column_is_named_in_error(warehouse: Any, tmp_path: Path) -> None:
    warehouse.run(ALL_TYPES)
    for name, kind in UNUSABLE.items():
        with pytest.raises(DataError, match=f"{name}.*{kind}"):
            split_into(tmp_path, config(warehouse, features=["whole", name]))
    assert not pins(tmp_path)


def test_filter_is_pushed_down(warehouse: Any, tmp_path: Path) -> None:
    table = small_table()
    warehouse.load(table)
    filtered = config(warehouse, filter="whole > 5 AND level IN ('red', r'\\d$')")
    made = split_into(tmp_path, filtered)
    (request,) = warehouse.proxy.sessions
    assert request.read_session.read_options.row_restriction == filtered.filter
    keep = (pa.compute.greater(table["whole"], 5), pa.compute.equal(table["level"], "red"))
    pq.write_table(table.filter(pa.compute.and_(*keep)), tmp_path / "same.parquet")
    file = DatasetConfig(source=f"{tmp_path}/same.parquet", partition_by="key", target="target")
    assert split_into(tmp_path, file, "q").index == made.index
    assert not split_into(tmp_path, config(warehouse)).reused


@pytest.mark.parametrize(
    "layout",
    ["PARTITION BY day", "PARTITION BY day CLUSTER BY key, level", "CLUSTER BY key"],
)
def test_partitioned_and_clustered_tables(warehouse: Any, tmp_path: Path, layout: str) -> None:
    warehouse.load(small_table(), "plain")
    warehouse.run(f"CREATE TABLE {{d}}.t {layout} AS SELECT * FROM {{d}}.plain")
    plain = split_into(tmp_path, config(warehouse, "plain"))
    assert split_into(tmp_path, config(warehouse), "q").index == plain.index


def test_unusual_column_names(warehouse: Any, tmp_path: Path) -> None:
    unusual = ["a b", "größe", "x-y", "select", "q&a", "100%"]
    table = small_table().select(["key", "target", "number", "whole", "flag", "level"])
    table = table.rename_columns(["key", "target", *unusual[:4]])
    warehouse.load(table)
    made = split_into(tmp_path, config(warehouse))
    assert made.roles.features == tuple(sorted(unusual[:4]))
    warehouse.run("CREATE VIEW {d}.v AS SELECT * FROM {d}.t")
    view = config(warehouse, "v", staging=warehouse.staging)
    assert split_into(tmp_path, view, "q").index == made.index


def test_empty_table_is_an_error(warehouse: Any, tmp_path: Path) -> None:
    warehouse.run("CREATE TABLE {d}.t (key STRING, target FLOAT64, x INT64)")
    with pytest.raises(DataError, match="no rows"):
        split_into(tmp_path, config(warehouse))
    assert not pins(tmp_path)


def test_interrupted_stream_resumes_at_its_offset(warehouse: Any) -> None:
    warehouse.load(small_table(20, rows=500))
    warehouse.proxy.faults += [
        Fault(READ, grpc.StatusCode.UNAVAILABLE, "connection reset", after) for after in (1, 1, 0)
    ]
    assert read(opened(config(warehouse)), ["key", "target"]).num_rows == 10_000
    offsets = [request.offset for request in warehouse.proxy.reads]
    assert len(offsets) == 4
    assert max(offsets) > 0


def test_expired_session_is_reopened_at_same_snapshot(warehouse: Any, tmp_path: Path) -> None:
    warehouse.load(small_table(20, rows=500))
    whole = split_into(tmp_path, config(warehouse), "whole")
    warehouse.proxy.sessions.clear()
    warehouse.proxy.faults += [Fault(READ, grpc.StatusCode.FAILED_PRECONDITION, EXPIRED, 2)]
    made = split_into(tmp_path, config(warehouse))
    assert made.index == whole.index
    times = [s.read_session.table_modifiers.snapshot_time for s in warehouse.proxy.sessions]
    assert len(times) == 2
    assert times[0] == times[1]


def test_repeated_session_expiry_is_an_error(warehouse: Any, tmp_path: Path) -> None:
    warehouse.load(small_table())
    fault = Fault(READ, grpc.StatusCode.FAILED_PRECONDITION, EXPIRED)
    warehouse.proxy.faults += [fault] * 3
    with pytest.raises(ExpiredError, match="time limit for reading"):
        split_into(tmp_path, config(warehouse))
    assert len(pins(tmp_path)) == 1
    assert split_into(tmp_path, config(warehouse)).index.rows == 450


def test_early_close_leaves_no_thread(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse.load(small_table(20, rows=500))
    source = opened(config(warehouse))
    started: list[str] = []
    start = threading.Thread.start

    def recorded(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", recorded)
    batches = source.batches(["key"])
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    source.close()
    assert any(name.startswith(THREAD_NAME) for name in started)
    assert not [t for t in threading.enumerate() if t.name.startswith(THREAD_NAME)]


def test_snapshot_beyond_time_travel_is_an_error(warehouse: Any, tmp_path: Path) -> None:
    warehouse.load(small_table())
    message = "request failed: Invalid snapshot time 1795 for table t. Cannot read before 1796"
    warehouse.proxy.faults += [Fault(CREATE, grpc.StatusCode.INVALID_ARGUMENT, message)]
    with pytest.raises(
        DataError, match=r"can no longer read the table .* as it was when the split began"
    ):
        split_into(tmp_path, config(warehouse))
    assert not pins(tmp_path)
    assert split_into(tmp_path, config(warehouse)).index.rows == 450


def test_max_bytes_is_enforced(warehouse: Any, tmp_path: Path) -> None:
    warehouse.load(small_table())  # the emulator counts 8 bytes per cell: 450 rows of 8 columns
    with pytest.raises(SpecError, match="would read 28,800 bytes, but only 28,672 are allowed"):
        split_into(tmp_path, config(warehouse, max_bytes="28Ki"))
    assert warehouse.proxy.reads == []
    assert split_into(tmp_path, config(warehouse, max_bytes="29KiB")).index.rows == 450


class RecordedProgress(NoProgress):
    """A progress that records notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def advance(self, units: int, note: str = "", *, failed: int = 0) -> None:  # noqa: ARG002
        self.notes += [note] if note else []


def dry_run_response(size: int, kind: str = "SELECT") -> dict[str, Any]:
    """Return the documented response of jobs.insert with dryRun, reduced to what the client reads.

    https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobStatistics2
    """
    kinds = {"key": "STRING", "target": "FLOAT", "x": "INTEGER"}
    fields = [{"name": name, "type": type_} for name, type_ in kinds.items()]
    return {
        "kind": "bigquery#job",
        "configuration": {"dryRun": True, "query": {"query": "..."}, "jobType": "QUERY"},
        "jobReference": {"projectId": PROJECT, "location": "EU"},
        "status": {"state": "DONE"},
        "statistics": {
            "creationTime": "1795581282773",
            "totalBytesProcessed": str(size),
            "query": {
                "totalBytesProcessed": str(size),
                "totalBytesBilled": "0",
                "cacheHit": False,
                "statementType": kind,
                "schema": {"fields": fields},
                "referencedTables": [],
            },
        },
    }


def test_dry_run_enforces_max_bytes_of_query(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    query = DatasetConfig(
        query="SELECT 1", partition_by="key", target="target", staging="pro-ject.d", max_bytes="1Ti"
    )
    with fake_server((200, dry_run_response(2 << 40))) as end:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://{end.address}")
        with pytest.raises(SpecError) as caught:
            split_into(tmp_path, query)
        requests = [request.body["configuration"] for request in end.requests]
    assert "would read 2,199,023,255,552 bytes, but only 1,099,511,627,776 are" in str(caught.value)
    assert all(each["dryRun"] and not each["query"]["useQueryCache"] for each in requests)
    assert not pins(tmp_path)


def test_bytes_are_reported_before_reading(warehouse: Any, tmp_path: Path) -> None:
    warehouse.load(small_table())
    progress = RecordedProgress()
    request = SplitRequest(config(warehouse), None, None, "auto", 5)
    split(request, ProjectLayout(str(tmp_path), "p"), LocalStorage(), progress)
    assert progress.notes == ["BigQuery will read 28.1 KiB"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELEC 1", "BigQuery rejected it"),
        ("SELECT nope FROM {t}", "BigQuery rejected it: .*nope"),
        ("DELETE FROM {t} WHERE TRUE", "it is a DELETE, not a single SELECT statement"),
        (
            "CREATE TABLE x.y AS SELECT 1 a",
            "it is a CREATE TABLE AS SELECT, not a single SELECT statement",
        ),
        ("SELECT 1; DROP TABLE {t}", "it is a SCRIPT, not a single SELECT statement"),
    ],
)
def test_query_must_be_one_select(warehouse: Any, tmp_path: Path, query: str, message: str) -> None:
    warehouse.load(small_table())
    sql = query.replace("{t}", f"`{warehouse.name('t')}`")
    with pytest.raises(SpecError, match=message) as caught:
        split_into(tmp_path, config(warehouse, query=sql, staging=warehouse.staging))
    assert caught.value.problems[0].where == "dataset.query"
    assert warehouse.jobs() == []
    warehouse.run("SELECT * FROM {d}.t")  # the table still exists


def test_filter_cannot_inject_sql(warehouse: Any, tmp_path: Path) -> None:
    warehouse.load(small_table())
    warehouse.run("CREATE VIEW {d}.v AS SELECT * FROM {d}.t")
    climbing = f"TRUE); DROP TABLE `{warehouse.name('t')}`; SELECT (1"
    with pytest.raises(SpecError, match=r"not a single SELECT|rejected it"):
        split_into(tmp_path, config(warehouse, "v", filter=climbing, staging=warehouse.staging))
    with pytest.raises(RefeedError):
        split_into(tmp_path, config(warehouse, filter=climbing))
    warehouse.run("SELECT * FROM {d}.t")  # the table still exists


def test_view_requires_staging_dataset(warehouse: Any, tmp_path: Path) -> None:
    warehouse.load(small_table())
    warehouse.run("CREATE VIEW {d}.v AS SELECT * FROM {d}.t")
    with pytest.raises(SpecError, match="a view, needs a BigQuery dataset") as caught:
        split_into(tmp_path, config(warehouse, "v"))
    assert caught.value.problems[0].where == "dataset.staging"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "set exactly one of source and query"),
        ({"source": "a.csv", "query": "SELECT 1"}, "set exactly one of source and query"),
        ({"source": "a.csv", "filter": "x > 1"}, "filter is only for bigquery:// sources"),
        ({"source": "gs://b/a.csv", "max_bytes": "1Ti"}, "max_bytes is only for bigquery://"),
        ({"source": "bigquery://p.d"}, "does not have the form bigquery://project.dataset.table"),
        ({"source": "bigquery://proj.d.events_*"}, "matches several tables"),
        ({"source": "bigquery://proj.d.t$20260101"}, "does not have the form"),
        ({"source": "bigquery://proj.d.{{=1}}"}, "does not have the form"),
        ({"query": "SELECT 1", "filter": "x"}, "use WHERE in the query"),
        ({"query": "SELECT 1", "staging": "a`b.c"}, "staging"),
        ({"query": "SELECT 1", "max_bytes": "lots"}, "max_bytes"),
    ],
)
def test_invalid_bigquery_settings(fields: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DatasetConfig.model_validate({"partition_by": "key", "target": "target", **fields})
