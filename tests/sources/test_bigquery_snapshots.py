"""Snapshots of a BigQuery source: rows are fixed when a build starts, and are never stale."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.cloud import bigquery
from google.cloud.bigquery import SchemaField

from steps.contract import ProjectLayout
from steps.errors import DataError, SpecError, TransientError
from steps.google.bigquery import protections
from steps.google.bigquery.clients import Clients
from steps.google.bigquery.source import BigQuerySnapshot, BigQuerySource
from steps.records import PartitionIndex
from steps.runtime.progress import NoProgress
from steps.split.config import DatasetConfig
from steps.split.sources.base import open_source
from steps.split.step import SplitRequest, split
from steps.storage.local import LocalStorage
from tests.cluster.fake_server import fake_server
from tests.command import refeed
from tests.fakes.bigquery import PROJECT
from tests.sources.rows_proxy import CREATE, Fault
from tests.sources.test_bigquery_errors import body
from tests.sources.test_bigquery_reading import (
    config,
    dry_run_response,
    opened,
    pins,
    read,
    split_into,
)
from tests.workspace import Workspace, small_table

COMMAND = [sys.executable, "-c", "from workflows.cli.app import main; main()"]
OLD = small_table(20, rows=500)
NEW = small_table(20, rows=500, seed=1)


def file(table: pa.Table, folder: Path) -> DatasetConfig:
    """Write the same rows to a file."""
    pq.write_table(table, folder / "same.parquet")
    return DatasetConfig(source=f"{folder}/same.parquet", partition_by="key", target="target")


def spec(lab: Workspace, dataset: dict[str, Any]) -> Path:
    return lab.write_spec(
        dataset={"partition_by": "key", "target": "target", "min_rows": 20, **dataset},
        explain={"rows": 60},
    )


def start(command: str, path: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, command, str(path), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ),
    )


def finish(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors.decode()
    facts: dict[str, Any] = json.loads(output)
    return facts


@contextmanager
def killed_while_it_reads(house: Any, path: Path) -> Iterator[None]:
    """Kill ``refeed split`` while it reads rows."""
    house.proxy.hold_after = 0
    process = start("split", path)
    assert house.proxy.held.wait(60)
    process.kill()
    process.communicate()
    house.proxy.hold_after = None
    house.proxy.resume.set()
    yield


def test_restarted_split_reads_the_same_rows(warehouse: Any, lab: Workspace) -> None:
    warehouse.load(OLD)
    path = spec(lab, {"source": warehouse.uri("t")})
    with killed_while_it_reads(warehouse, path):
        assert len(pins(lab.folder / "runs", "lab")) == 1
        warehouse.run("UPDATE {d}.t SET target = 0 WHERE TRUE")
        warehouse.run("INSERT INTO {d}.t (key, target) VALUES ('new', 1)")
    old = split_into(lab.folder, file(OLD, lab.folder))
    assert finish(start("split", path))["dataset"] == old.index.dataset
    assert pins(lab.folder / "runs", "lab") == []
    assert finish(start("split", path))["dataset"] != old.index.dataset


def test_restarted_split_reads_the_same_view(warehouse: Any, lab: Workspace) -> None:
    warehouse.load(OLD)
    warehouse.load(NEW, "other")
    warehouse.run("CREATE VIEW {d}.v AS SELECT * FROM {d}.t")
    path = spec(lab, {"source": warehouse.uri("v"), "staging": warehouse.staging})
    with killed_while_it_reads(warehouse, path):
        warehouse.run("CREATE OR REPLACE VIEW {d}.v AS SELECT * FROM {d}.other")
        warehouse.run("UPDATE {d}.t SET target = 0 WHERE TRUE")
    old = split_into(lab.folder, file(OLD, lab.folder))
    assert finish(start("split", path))["dataset"] == old.index.dataset
    assert len(warehouse.jobs()) == 1
    new = split_into(lab.folder, file(NEW, lab.folder), "q")
    assert finish(start("split", path))["dataset"] == new.index.dataset


def test_concurrent_splits_share_snapshot_and_job(warehouse: Any, tmp_path: Path) -> None:
    warehouse.load(small_table())
    query = config(
        warehouse, query=f"SELECT * FROM `{warehouse.name('t')}`", staging=warehouse.staging
    )
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: split_into(tmp_path, query), range(4)))
    assert len({each.index.dataset for each in made}) == 1
    assert len(warehouse.jobs()) <= 2  # one that starts after the others have ended runs its own
    assert pins(tmp_path) == []


def test_existing_job_is_awaited(warehouse: Any) -> None:
    warehouse.load(small_table())
    query = config(
        warehouse, query=f"SELECT * FROM `{warehouse.name('t')}`", staging=warehouse.staging
    )
    first = opened(query)
    pin = first.take_snapshot()
    sources = [opened(query) for _ in range(4)]
    for source in sources:
        source.resume(pin)
    with ThreadPoolExecutor(5) as pool:
        rows = list(pool.map(lambda s: read(s, ["key"]).num_rows, [first, *sources]))
    assert rows == [450] * 5
    assert warehouse.jobs() == [f"{BigQuerySnapshot.from_json(pin).name}_0"]


def test_failed_job_is_followed_by_next_number(warehouse: Any) -> None:
    warehouse.load(small_table())
    query = config(
        warehouse, query=f"SELECT * FROM `{warehouse.name('t')}`", staging=warehouse.staging
    )
    source = opened(query)
    name = BigQuerySnapshot.from_json(source.take_snapshot()).name
    for number in range(2):
        job = warehouse.server.client.query(
            f"CREATE TABLE {warehouse.dataset}.x AS SELECT nope FROM {warehouse.dataset}.t",
            job_id=f"{name}_{number}",
            job_retry=None,
        )
        assert job.exception() is not None
    assert read(source, ["key"]).num_rows == 450
    assert warehouse.results() == [f"{name}_2"]


def test_result_table_expires(warehouse: Any) -> None:
    warehouse.load(small_table())
    query = config(
        warehouse, query=f"SELECT * FROM `{warehouse.name('t')}`", staging=warehouse.staging
    )
    read(opened(query), ["key"])
    (name,) = warehouse.results()
    table = warehouse.server.client.get_table(f"{warehouse.staging}.{name}")
    hours = (table.expires.timestamp() - time.time()) / 3600
    assert 29.9 < hours < 30.1


def test_unchanged_source_is_reused(warehouse: Any, tmp_path: Path) -> None:
    warehouse.load(small_table())
    warehouse.run("CREATE VIEW {d}.v AS SELECT * FROM {d}.t WHERE whole < 6")
    configs = [
        config(warehouse),
        config(warehouse, "v", staging=warehouse.staging),
        config(
            warehouse, query=f"SELECT * FROM `{warehouse.name('v')}`", staging=warehouse.staging
        ),
    ]
    for source_config in configs:
        assert not split_into(tmp_path, source_config).reused
        assert split_into(tmp_path, source_config).reused
    assert len(warehouse.jobs()) == 2
    warehouse.run("INSERT INTO {d}.t (key, target) VALUES ('new', 1)")
    assert [split_into(tmp_path, source_config).reused for source_config in configs] == [False] * 3
    assert not split_into(tmp_path, configs[0].model_copy(update={"filter": "whole < 6"})).reused


def test_change_of_nested_view_is_detected(warehouse: Any, tmp_path: Path) -> None:
    warehouse.load(small_table())
    warehouse.run("CREATE VIEW {d}.inner_view AS SELECT * FROM {d}.t")
    warehouse.run("CREATE VIEW {d}.v AS SELECT * FROM {d}.inner_view")
    view = config(warehouse, "v", staging=warehouse.staging)
    assert not split_into(tmp_path, view).reused
    assert split_into(tmp_path, view).reused
    warehouse.run("CREATE OR REPLACE VIEW {d}.inner_view AS SELECT * FROM {d}.t WHERE whole < 6")
    assert not split_into(tmp_path, view).reused


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM {t} WHERE day < CURRENT_DATE()",
        "SELECT * FROM {t} WHERE RAND() < 2",
        "SELECT * EXCEPT (flag), TRUE AS flag FROM {t} CROSS JOIN {clock}",
    ],
)
def test_nondeterministic_query_is_run_again(warehouse: Any, tmp_path: Path, query: str) -> None:
    warehouse.load(small_table())
    warehouse.run("CREATE VIEW {d}.clock AS SELECT CURRENT_DATE() AS today")
    sql = query.replace("{t}", f"`{warehouse.name('t')}`")
    sql = sql.replace("{clock}", f"`{warehouse.name('clock')}`")
    live = config(warehouse, query=sql, staging=warehouse.staging)
    assert [split_into(tmp_path, live).reused for _ in range(2)] == [False, False]


def test_words_in_literals_and_comments_are_ignored(warehouse: Any, tmp_path: Path) -> None:
    warehouse.load(small_table())
    sql = f"SELECT *, 'now' AS x -- RAND()\nFROM `{warehouse.name('t')}` /* CURRENT_DATE() */"
    query = config(warehouse, query=sql, staging=warehouse.staging)
    assert [split_into(tmp_path, query).reused for _ in range(2)] == [False, True]


def test_forced_split_reads_current_rows(warehouse: Any, lab: Workspace) -> None:
    warehouse.load(OLD)
    path = spec(lab, {"source": warehouse.uri("t")})
    with killed_while_it_reads(warehouse, path):
        warehouse.load(NEW)
    forced = subprocess.run(
        [*COMMAND, "split", str(path), "--json", "--set", "execution.force=true"],
        capture_output=True,
        check=True,
        env=dict(os.environ),
    )
    new = split_into(lab.folder, file(NEW, lab.folder))
    assert json.loads(forced.stdout)["dataset"] == new.index.dataset


class KilledError(BaseException):
    """A kill of the process, which no code catches."""


def test_resumed_run_keeps_its_snapshot(warehouse: Any, tmp_path: Path) -> None:
    """Both runs are forced, but the restarted one takes no second snapshot."""
    warehouse.load(OLD)
    live, old = config(warehouse), split_into(tmp_path, file(OLD, tmp_path), "files")
    request = SplitRequest(live, None, None, "auto", 5, force=True)
    project, storage = ProjectLayout(str(tmp_path), "p"), LocalStorage()

    def killed(*_: object) -> PartitionIndex:
        raise KilledError

    with pytest.raises(KilledError):
        split(request, project, storage, NoProgress(), killed, str(tmp_path / "begun.json"))
    warehouse.run("UPDATE {d}.t SET target = 0 WHERE TRUE")
    other = split(request, project, storage, NoProgress())
    assert pins(tmp_path) == []
    for _ in range(2):
        resumed = split(
            request, project, storage, NoProgress(), checkpoint=str(tmp_path / "begun.json")
        )
        assert resumed.index.dataset == old.index.dataset != other.index.dataset


@pytest.mark.parametrize("damage", ["old", "no json", "of another version"])
def test_invalid_snapshot_is_replaced(
    warehouse: Any, tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.load(small_table())
    source = opened(config(warehouse))
    pin = json.loads(source.take_snapshot())
    text = {
        "old": json.dumps(pin | {"micros": pin["micros"] - 25 * 3_600_000_000}),
        "no json": "{",
        "of another version": json.dumps({"when": 1}),
    }[damage]
    made = split_into(tmp_path, config(warehouse), "first")
    monkeypatch.setattr(
        "steps.split.coordination.snapshot.StoredSnapshot.remove", lambda _self: None
    )
    split_into(tmp_path, config(warehouse))
    (path,) = pins(tmp_path)
    path.write_text(text)
    for link in (tmp_path / "p" / "datasets" / "sources").iterdir():
        link.unlink()
    monkeypatch.undo()
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", warehouse.server.rest)
    monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", warehouse.proxy.address)
    assert split_into(tmp_path, config(warehouse)).index == made.index
    assert pins(tmp_path) == []


def test_flights_from_bigquery_equal_the_file(warehouse: Any, tmp_path: Path) -> None:
    flights = Path("data/flights.parquet")
    if not flights.is_file():
        pytest.skip("make demo writes data/flights.parquet")
    warehouse.load(pq.read_table(flights))
    roles: dict[str, Any] = {"partition_by": "dest", "target": "arr_delay"}
    made = split_into(tmp_path, DatasetConfig(source=warehouse.uri("t"), **roles))
    file = split_into(tmp_path, DatasetConfig(source=str(flights), **roles), "q")
    assert made.index == file.index


def test_run_from_bigquery_equals_run_from_file(warehouse: Any, lab: Workspace) -> None:
    table = small_table(3)
    warehouse.load(table)
    lab.write_table(table)
    dataset = {"partition_by": "key", "target": "target", "min_rows": 20}
    sources = {
        "file": {"source": "table.parquet"},
        "table": {"source": warehouse.uri("t"), "max_bytes": "1Mi"},
        "query": {"query": "SELECT * FROM " + warehouse.name("t"), "staging": warehouse.staging},
    }
    tables = []
    for name, where in sources.items():
        path = lab.write_spec(f"{name}.yaml", dataset={**dataset, **where}, output=name)
        made = finish(start("run", path))
        tables.append(lab.tables(made["folder"]))
    assert len(tables[0]) > 10
    assert tables[0] == tables[1] == tables[2]


def test_types_null_values_and_two_keys_apply_to_bigquery(warehouse: Any, lab: Workspace) -> None:
    """The same settings give the same tables as for a file; a typed column is text in both."""
    table = small_table(2)
    rows = range(len(table))
    price = pa.array(["-" if i % 31 == 0 else f"{i % 17 + 1}.000,{i % 10}" for i in rows])
    day = pa.array([f"{i % 28 + 1:02d}/{i % 12 + 1:02d}/2024" for i in rows])
    size = pa.array([i % 2 for i in rows])
    for name, column in (("price", price), ("when", day), ("size", size)):
        table = table.append_column(name, column)
    warehouse.load(table)
    lab.write_table(table)
    dataset: dict[str, Any] = {
        "partition_by": ["key", "size"],
        "target": "target",
        "features": ["number", "price", "when"],
        "types": {"price": "number(1.234,5)", "when": "date(%d/%m/%Y)"},
        "null_values": ["", "-"],
        "min_rows": 20,
    }
    tables = []
    for name, source in (("file", "table.parquet"), ("table", warehouse.uri("t"))):
        path = lab.write_spec(f"{name}.yaml", dataset=dataset | {"source": source}, output=name)
        made = finish(start("run", path))
        assert made["counts"] == {"trained": 4, "skipped": 0, "failed": 0}
        tables.append(lab.tables(made["folder"]))
        features = {row["feature"]: row for row in lab.read(made["folder"], "features").to_pylist()}
        assert {name: row["type"] for name, row in features.items()} == {
            "number": "float64",
            "price": "float64",
            "when": "date",
        }
        assert features["price"]["missing"] == price.to_pylist().count("-")
        column = lab.read(made["folder"], "column_statistics").to_pylist()
        (whole,) = [r for r in column if r["scope"] == "table" and r["column"] == "price"]
        assert (whole["min"], whole["max"]) == (1000.0, 17000.9)
    assert tables[0] == tables[1]


def test_validate_reports_bytes_and_warnings(warehouse: Any, lab: Workspace) -> None:
    warehouse.load(small_table())
    path = spec(lab, {"source": warehouse.uri("t")})
    done = subprocess.run(
        [*COMMAND, "validate", str(path)], capture_output=True, check=True, env=dict(os.environ)
    )
    assert b"BigQuery will read 28.1 KiB" in done.stderr
    assert b"450 rows" in done.stdout
    wrong = subprocess.run(
        [*COMMAND, "validate", str(path), "--set", "dataset.max_bytes=1k"],
        capture_output=True,
        check=False,
        env=dict(os.environ),
    )
    assert wrong.returncode == 65
    assert b"would read 28,800 bytes, but only 1,000 are allowed" in wrong.stderr


REPORTED = {
    "a changed type": lambda fields: [
        SchemaField(f.name, "INTEGER") if f.name == "number" else f for f in fields
    ],
    "a new column": lambda fields: [f for f in fields if f.name != "number"],
    "a dropped column": lambda fields: [*fields, SchemaField("gone", "FLOAT")],
}


@pytest.mark.parametrize("change", REPORTED)
def test_reported_schema_of_view_is_ignored(
    change: str, warehouse: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BigQuery reports the schema of a view as it was when the view was created.

    See https://cloud.google.com/bigquery/docs/views-intro#view_limitations.
    """
    warehouse.load(OLD)
    warehouse.run("CREATE VIEW {d}.v AS SELECT * FROM {d}.t")
    get_table = bigquery.Client.get_table

    def stale(client: Any, name: str, **options: Any) -> Any:
        table = get_table(client, name, **options)
        if table.table_type == "VIEW":
            table.schema = REPORTED[change](table.schema)
        return table

    monkeypatch.setattr(bigquery.Client, "get_table", stale)
    made = split_into(tmp_path, config(warehouse, "v", staging=warehouse.staging))
    assert made.index == split_into(tmp_path, file(OLD, tmp_path), "q").index


def star(warehouse: Any) -> DatasetConfig:
    query = f"SELECT * FROM `{warehouse.name('t')}`"
    return config(warehouse, query=query, staging=warehouse.staging)


def table(warehouse: Any) -> DatasetConfig:
    return config(warehouse)


def view(warehouse: Any) -> DatasetConfig:
    warehouse.run("CREATE VIEW {d}.v AS SELECT * FROM {d}.t")
    return config(warehouse, "v", staging=warehouse.staging)


@pytest.mark.parametrize("source", [star, view])
@pytest.mark.parametrize("name", ["number", "whole"])
def test_type_that_changes_before_the_read_is_an_error(
    source: Any, name: str, warehouse: Any
) -> None:
    warehouse.load(OLD)
    live = opened(source(warehouse))
    live.take_snapshot()
    warehouse.run(
        f"CREATE OR REPLACE TABLE {{d}}.t AS SELECT * EXCEPT ({name}), CAST({name} AS STRING) AS "
        f"{name} FROM {{d}}.t"
    )
    message = f"The column '{name}' was .* when the split began, and is string now"
    with pytest.raises(DataError, match=message):
        read(live, ["key", name])


@pytest.mark.parametrize("source", [star, view, table])
def test_column_that_is_dropped_before_the_read_is_an_error(source: Any, warehouse: Any) -> None:
    warehouse.load(OLD)
    live = opened(source(warehouse))
    live.take_snapshot()
    warehouse.run("ALTER TABLE {d}.t DROP COLUMN number")
    if source is table:  # the emulator still has the column at the time of the snapshot
        message = "request failed: The following selected fields do not exist in the table schema"
        warehouse.proxy.faults.append(Fault(CREATE, grpc.StatusCode.INVALID_ARGUMENT, message))
    with pytest.raises(DataError, match="had the column 'number' when the split began"):
        read(live, ["key", "number"])


@pytest.mark.parametrize("source", [star, view, table])
def test_column_that_is_added_before_the_read_is_ignored(source: Any, warehouse: Any) -> None:
    warehouse.load(OLD)
    live = opened(source(warehouse))
    live.take_snapshot()
    warehouse.run("ALTER TABLE {d}.t ADD COLUMN fresh FLOAT64")
    assert read(live, ["key", "number"]).num_rows == len(OLD)


def test_table_read_with_another_type_is_an_error(warehouse: Any, tmp_path: Path) -> None:
    """The split ends with exit code 65, and the next one starts over."""
    warehouse.load(OLD)
    source = opened(config(warehouse))
    pin = json.loads(source.take_snapshot())
    pin["fields"] = [[n, "STRING" if n == "whole" else k, m] for n, k, m in pin["fields"]]
    source.resume(json.dumps(pin))
    with pytest.raises(DataError, match=r"'whole' was string .* and is int64 now") as caught:
        read(source, ["key", "whole"])
    assert caught.value.exit_code == 65


REFUSED_INSIDE = {
    "partition filter": (
        400,
        "invalidQuery",
        "Cannot query over table 'p.raw.events' without a filter over column(s) 'day' that can be "
        "used for partition elimination",
    ),
    "authorized view": (
        403,
        "accessDenied",
        "Access Denied: Table p:raw.events: User does not have permission to query table "
        "p:raw.events, or perhaps it does not exist in location US.",
    ),
    "lost table": (404, "notFound", "Not found: Table p:raw.events"),
}


def stored(name: str, **fields: Any) -> dict[str, Any]:
    """Return the resource of a table, reduced to what the client reads."""
    project, dataset, table = name.split(".")
    reference = {"projectId": project, "datasetId": dataset, "tableId": table}
    columns = [{"name": "key", "type": "STRING"}, {"name": "target", "type": "FLOAT"}]
    times = {"creationTime": "1795581282773", "lastModifiedTime": "1795581282773"}
    return {
        "tableReference": reference,
        "type": "TABLE",
        "schema": {"fields": columns},
        **times,
        **fields,
    }


@pytest.mark.parametrize("case", REFUSED_INSIDE)
def test_view_whose_own_query_is_refused_can_be_read(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the outermost query has to run: it has a filter, or the view is authorized."""
    code, reason, message = REFUSED_INSIDE[case]
    view = stored(
        "proj.mart.v", type="VIEW", view={"query": "SELECT * FROM `p.raw.e`", "useLegacySql": False}
    )
    outer = dry_run_response(1000)
    listed = {"projectId": "proj", "datasetId": "raw", "tableId": "events"}
    outer["statistics"]["query"]["referencedTables"] = [listed]
    replies = [(200, view), (200, outer), (200, stored("proj.raw.events")), (200, view)]
    replies.append((code, body(code, reason, message)))
    live = DatasetConfig(
        source="bigquery://proj.mart.v",
        filter="day >= '2026-01-01'",
        staging="proj.stage",
        partition_by="key",
        target="target",
        billing="proj",
    )
    with fake_server(*replies) as end:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://{end.address}")
        source = opened(live)
        state = BigQuerySnapshot.from_json(source.take_snapshot()).state
        queries = [r.body["configuration"]["query"]["query"] for r in end.requests if r.body]
    assert "WHERE" in queries[0]
    assert queries[1:] == ["SELECT * FROM `p.raw.e`"]
    assert source.schema().names == ["key", "target", "x"]
    with fake_server(*replies) as end:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://{end.address}")
        again = BigQuerySnapshot.from_json(opened(live).take_snapshot()).state
    assert again != state


def test_unreachable_bigquery_is_no_unknown_state(monkeypatch: pytest.MonkeyPatch) -> None:
    sql = {"query": "SELECT 1 FROM `p.raw.e`", "useLegacySql": False}
    view, outer = stored("proj.mart.v", type="VIEW", view=sql), dry_run_response(1)
    outer["statistics"]["query"]["referencedTables"] = [view["tableReference"]]
    busy = (503, body(503, "backendError", "Busy."))
    config = DatasetConfig(
        source="bigquery://proj.mart.v", partition_by="key", target="target", billing="proj"
    )
    with fake_server((200, view), (200, outer), (200, view), busy) as end:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://{end.address}")
        source = open_source(config)
        assert isinstance(source, BigQuerySource)
        with pytest.raises(TransientError):
            BigQuerySource(source.request, deadline=1.0).take_snapshot()


def secure(warehouse: Any) -> None:
    """Let every caller read a part of the rows."""
    warehouse.run(
        "CREATE ROW ACCESS POLICY some ON {d}.t GRANT TO ('allUsers') FILTER USING (whole > 5)"
    )


def test_table_with_row_access_policies_is_read_by_a_query(warehouse: Any, lab: Workspace) -> None:
    """The remedy of the error works; the rows are those of the policy, with a warning."""
    warehouse.load(OLD)
    secure(warehouse)
    code, _, errors = refeed("validate", spec(lab, {"source": warehouse.uri("t")}))
    assert code == 77
    query = f"SELECT * FROM `{warehouse.name('t')}`"
    assert f'dataset.query: "{query}"' in errors.replace("\n", " ")
    path = spec(lab, {"query": query, "staging": warehouse.staging})
    code, output, errors = refeed("validate", path)
    assert code == 0, errors
    assert "A table of the query has row access policies" in output
    few = OLD.filter(pa.compute.greater(OLD["whole"], 5))
    same = split_into(lab.folder, file(few, lab.folder), "q")
    for _ in range(2):  # another caller may read other rows, so nothing is reused
        code, output, errors = refeed("split", path, "--json")
        assert code == 0, errors
        assert "A table of the query has row access policies" in errors
        made = json.loads(output)
        assert (made["dataset"], made["reused"]) == (same.index.dataset, False)


def test_administrator_is_warned_of_row_access_policies(warehouse: Any) -> None:
    warehouse.load(OLD)
    clients = Clients(PROJECT)
    found = clients.rest.get_table(warehouse.name("t"))
    assert protections.of_table(clients, found, ["key"]) == ()
    secure(warehouse)
    (warning,) = protections.of_table(clients, found, ["key"])
    assert f"{warehouse.name('t')} has row access policies (some)" in warning


def test_reader_of_tagged_columns_is_warned() -> None:
    tags = {"policyTags": {"names": ["projects/p/locations/eu/taxonomies/1/policyTags/2"]}}
    fields = [
        {"name": "email", "type": "STRING", **tags},
        {"name": "phone", "type": "STRING", **tags},
        {"name": "x", "type": "FLOAT"},
    ]
    table = bigquery.Table.from_api_repr(stored("proj.d.t", schema={"fields": fields}))
    assert list(protections.tagged(table, ["x"])) == []
    (one,) = protections.tagged(table, ["x", "email"])
    assert one.startswith("The column 'email' has a policy tag. If the caller is a masked reader")
    (two,) = protections.tagged(table, ["phone", "email"])
    assert two.startswith("The columns 'email', 'phone' have policy tags.")


def test_protections_of_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names as in https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#jobstatistics."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:1")
    job = dry_run_response(1)
    job["jobReference"]["jobId"] = "x"
    assert protections.of_job(bigquery.QueryJob.from_api_repr(job, Clients(PROJECT).rest)) == ()
    job["statistics"]["rowLevelSecurityStatistics"] = {"rowLevelSecurityApplied": True}
    job["statistics"]["dataMaskingStatistics"] = {"dataMaskingApplied": True}
    rows, masked = protections.of_job(bigquery.QueryJob.from_api_repr(job, Clients(PROJECT).rest))
    assert "row access policies" in rows
    assert "Data masking" in masked


def test_staging_dataset_in_another_location_is_an_error(warehouse: Any) -> None:
    warehouse.load(OLD)
    far = bigquery.Dataset(f"{PROJECT}.{warehouse.dataset}_far")
    far.location = "EU"
    warehouse.server.client.create_dataset(far)
    live = opened(star(warehouse).model_copy(update={"staging": f"{far.project}.{far.dataset_id}"}))
    with pytest.raises(SpecError, match="is in EU, but the tables of the query are in US") as error:
        read(live, ["key"])
    assert error.value.problems[0].where == "dataset.staging"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("VIEW", "a view,"),
        ("MATERIALIZED_VIEW", "a materialized view,"),
        ("EXTERNAL", "an external table,"),
    ],
)
def test_tables_that_only_queries_read_need_a_staging_dataset(
    kind: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = DatasetConfig(
        source="bigquery://proj.mart.v", partition_by="key", target="target", billing="proj"
    )
    with fake_server((200, stored("proj.mart.v", type=kind)), (200, dry_run_response(1))) as end:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://{end.address}")
        with pytest.raises(SpecError, match=f"proj.mart.v, {text} needs a BigQuery dataset"):
            read(opened(config), ["key"])


def test_materialized_view_is_read_by_a_query(warehouse: Any, tmp_path: Path) -> None:
    warehouse.load(OLD)
    warehouse.run("CREATE MATERIALIZED VIEW {d}.m AS SELECT * FROM {d}.t")
    made = split_into(tmp_path, config(warehouse, "m", staging=warehouse.staging))
    assert made.index == split_into(tmp_path, file(OLD, tmp_path), "q").index
    assert warehouse.proxy.sessions[0].read_session.table.rpartition("/")[2].startswith("refeed_")


def test_wildcard_tables_are_read_by_a_query(warehouse: Any, tmp_path: Path) -> None:
    """The remedy that the error for a wildcard table as ``source`` names."""
    warehouse.load(OLD, "events_20260101")
    warehouse.load(NEW, "events_20250101")
    with pytest.raises(ValueError, match=r"dataset\.query: (.*)") as caught:
        config(warehouse, "events_*")
    query = str(caught.value).partition("dataset.query: ")[2].split(" [type=")[0]
    live = config(warehouse, query=query, staging=warehouse.staging)
    same = split_into(tmp_path, file(OLD, tmp_path), "q")
    for _ in range(2):
        made = split_into(tmp_path, live)
        assert made.index == same.index
        assert not made.reused  # tables can be added
