"""Reading BigQuery: types, filters, sessions that break or expire, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steps.contract import ProjectLayout
from steps.errors import DataError, ExpiredError, RefeedError, SpecError
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
"""As the service says it: GoogleCloudDataproc/spark-bigquery-connector#1316."""


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


def test_only_the_columns_that_are_wanted(warehouse: Any, tmp_path: Path) -> None:
    warehouse.run(ALL_TYPES)
    split_into(tmp_path, config(warehouse, features=["whole"]))
    options = [request.read_session.read_options for request in warehouse.proxy.sessions]
    assert [list(each.selected_fields) for each in options] == [["key", "target", "whole"]]


def test_a_column_that_nobody_can_use_is_refused_by_name(warehouse: Any, tmp_path: Path) -> None:
    warehouse.run(ALL_TYPES)
    for name, kind in UNUSABLE.items():
        with pytest.raises(DataError, match=f"{name}.*{kind}"):
            split_into(tmp_path, config(warehouse, features=["whole", name]))
    assert not pins(tmp_path)


def test_a_filter_is_pushed_down(warehouse: Any, tmp_path: Path) -> None:
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


def test_names_of_columns_may_be_anything_that_bigquery_allows(
    warehouse: Any, tmp_path: Path
) -> None:
    strange = ["a b", "größe", "x-y", "select", "q&a", "100%"]
    table = small_table().select(["key", "target", "number", "whole", "flag", "level"])
    table = table.rename_columns(["key", "target", *strange[:4]])
    warehouse.load(table)
    made = split_into(tmp_path, config(warehouse))
    assert made.roles.features == tuple(sorted(strange[:4]))
    warehouse.run("CREATE VIEW {d}.v AS SELECT * FROM {d}.t")
    view = config(warehouse, "v", staging=warehouse.staging)
    assert split_into(tmp_path, view, "q").index == made.index


def test_a_table_without_rows(warehouse: Any, tmp_path: Path) -> None:
    warehouse.run("CREATE TABLE {d}.t (key STRING, target FLOAT64, x INT64)")
    with pytest.raises(DataError, match="no rows"):
        split_into(tmp_path, config(warehouse))
    assert not pins(tmp_path)


def test_a_broken_stream_goes_on_where_it_was(warehouse: Any) -> None:
    warehouse.load(small_table(20, rows=500))
    warehouse.proxy.faults += [
        Fault(READ, grpc.StatusCode.UNAVAILABLE, "connection reset", after) for after in (1, 1, 0)
    ]
    assert read(opened(config(warehouse)), ["key", "target"]).num_rows == 10_000
    offsets = [request.offset for request in warehouse.proxy.reads]
    assert len(offsets) == 4
    assert max(offsets) > 0


def test_an_expired_session_is_opened_again_at_the_same_snapshot(
    warehouse: Any, tmp_path: Path
) -> None:
    warehouse.load(small_table(20, rows=500))
    whole = split_into(tmp_path, config(warehouse), "whole")
    warehouse.proxy.sessions.clear()
    warehouse.proxy.faults += [Fault(READ, grpc.StatusCode.FAILED_PRECONDITION, EXPIRED, 2)]
    made = split_into(tmp_path, config(warehouse))
    assert made.index == whole.index
    times = [s.read_session.table_modifiers.snapshot_time for s in warehouse.proxy.sessions]
    assert len(times) == 2
    assert times[0] == times[1]


def test_sessions_that_expire_again_and_again(warehouse: Any, tmp_path: Path) -> None:
    warehouse.load(small_table())
    fault = Fault(READ, grpc.StatusCode.FAILED_PRECONDITION, EXPIRED)
    warehouse.proxy.faults += [fault] * 3
    with pytest.raises(ExpiredError, match="has expired"):
        split_into(tmp_path, config(warehouse))
    assert len(pins(tmp_path)) == 1
    assert split_into(tmp_path, config(warehouse)).index.rows == 450


def test_a_reader_that_stops_early_leaves_no_thread(warehouse: Any) -> None:
    warehouse.load(small_table(20, rows=500))
    source = opened(config(warehouse))
    batches = source.batches(["key"])
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    source.close()


def test_a_snapshot_that_is_older_than_time_travel(warehouse: Any, tmp_path: Path) -> None:
    warehouse.load(small_table())
    said = "request failed: Invalid snapshot time 1795 for table t. Cannot read before 1796"
    warehouse.proxy.faults += [Fault(CREATE, grpc.StatusCode.INVALID_ARGUMENT, said)]
    with pytest.raises(DataError, match=r"no longer has the table .* when the data set was begun"):
        split_into(tmp_path, config(warehouse))
    assert not pins(tmp_path)
    assert split_into(tmp_path, config(warehouse)).index.rows == 450


def test_more_bytes_than_are_allowed(warehouse: Any, tmp_path: Path) -> None:
    warehouse.load(small_table())  # the stand-in counts 8 bytes a cell: 450 rows of 8 columns
    with pytest.raises(SpecError, match="would read 28,800 bytes, and 28,672 are allowed"):
        split_into(tmp_path, config(warehouse, max_bytes="28Ki"))
    assert warehouse.proxy.reads == []
    assert split_into(tmp_path, config(warehouse, max_bytes="29KiB")).index.rows == 450


class Told(NoProgress):
    """Remembers what is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def advance(self, units: int, note: str = "", *, failed: int = 0) -> None:  # noqa: ARG002
        self.notes += [note] if note else []


def dry_run_answer(size: int, kind: str = "SELECT") -> dict[str, Any]:
    """The documented answer of jobs.insert with dryRun, shortened to what the client reads.

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


def test_a_dry_run_tells_the_bytes_of_a_query(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    query = DatasetConfig(
        query="SELECT 1", partition_by="key", target="target", staging="pro-ject.d", max_bytes="1Ti"
    )
    with fake_server((200, dry_run_answer(2 << 40))) as end:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://{end.address}")
        with pytest.raises(SpecError) as caught:
            split_into(tmp_path, query)
        asked = [request.body["configuration"] for request in end.requests]
    assert "would read 2,199,023,255,552 bytes, and 1,099,511,627,776 are" in str(caught.value)
    assert all(each["dryRun"] and not each["query"]["useQueryCache"] for each in asked)
    assert not pins(tmp_path)


def test_the_bytes_are_told_before_anything_is_read(warehouse: Any, tmp_path: Path) -> None:
    warehouse.load(small_table())
    told = Told()
    request = SplitRequest(config(warehouse), None, None, "auto", 5)
    split(request, ProjectLayout(str(tmp_path), "p"), LocalStorage(), told)
    assert told.notes == ["BigQuery will read 28.1 KiB"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELEC 1", "BigQuery does not take it"),
        ("SELECT nope FROM {t}", "BigQuery does not take it: .*nope"),
        ("DELETE FROM {t} WHERE TRUE", "it is a DELETE, not one SELECT"),
        ("CREATE TABLE x.y AS SELECT 1 a", "it is a CREATE TABLE AS SELECT, not one SELECT"),
        ("SELECT 1; DROP TABLE {t}", "it is a SCRIPT, not one SELECT"),
    ],
)
def test_a_query_is_one_select(warehouse: Any, tmp_path: Path, query: str, message: str) -> None:
    warehouse.load(small_table())
    sql = query.replace("{t}", f"`{warehouse.name('t')}`")
    with pytest.raises(SpecError, match=message) as caught:
        split_into(tmp_path, config(warehouse, query=sql, staging=warehouse.staging))
    assert caught.value.problems[0].where == "dataset.query"
    assert warehouse.jobs() == []
    warehouse.run("SELECT * FROM {d}.t")  # it is there still


def test_a_filter_cannot_climb_out_of_its_condition(warehouse: Any, tmp_path: Path) -> None:
    warehouse.load(small_table())
    warehouse.run("CREATE VIEW {d}.v AS SELECT * FROM {d}.t")
    climbing = f"TRUE); DROP TABLE `{warehouse.name('t')}`; SELECT (1"
    with pytest.raises(SpecError, match=r"not one SELECT|does not take it"):
        split_into(tmp_path, config(warehouse, "v", filter=climbing, staging=warehouse.staging))
    with pytest.raises(RefeedError):
        split_into(tmp_path, config(warehouse, filter=climbing))
    warehouse.run("SELECT * FROM {d}.t")  # it is there still


def test_a_view_needs_a_place_for_its_result(warehouse: Any, tmp_path: Path) -> None:
    warehouse.load(small_table())
    warehouse.run("CREATE VIEW {d}.v AS SELECT * FROM {d}.t")
    with pytest.raises(SpecError, match="a view, needs a dataset") as caught:
        split_into(tmp_path, config(warehouse, "v"))
    assert caught.value.problems[0].where == "dataset.staging"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "name either a source or a query"),
        ({"source": "a.csv", "query": "SELECT 1"}, "name either a source or a query"),
        ({"source": "a.csv", "filter": "x > 1"}, "filter is for bigquery:// sources"),
        ({"source": "gs://b/a.csv", "max_bytes": "1Ti"}, "max_bytes is for bigquery://"),
        ({"source": "bigquery://p.d"}, "not of the form bigquery://project.dataset.table"),
        ({"source": "bigquery://proj.d.events_*"}, "is several tables"),
        ({"source": "bigquery://proj.d.t$20260101"}, "not of the form"),
        ({"source": "bigquery://proj.d.{{=1}}"}, "not of the form"),
        ({"query": "SELECT 1", "filter": "x"}, "put it into the query"),
        ({"query": "SELECT 1", "staging": "a`b.c"}, "staging"),
        ({"query": "SELECT 1", "max_bytes": "lots"}, "max_bytes"),
    ],
)
def test_what_a_spec_cannot_say(fields: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DatasetConfig.model_validate({"partition_by": "key", "target": "target", **fields})
