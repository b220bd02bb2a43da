"""Runs local-bigquery with three things put right; for the stand-in's own Python, see bigquery.py.

As it comes, it ignores the snapshot time of a read session, tells of each table that it was changed
just now, and of two that submit a job of one id at once it answers one with an error of its own.
"""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any

_MOMENTS: list[str] = []
_LOADED: dict[str, Any] = {}


def module(name: str) -> Any:
    """A module of the stand-in, which the project's own environment does not have."""
    return _LOADED.setdefault(name, importlib.import_module(f"local_bigquery.{name}"))


def read_as_of_the_snapshot() -> None:
    """Session for session, rows as of ``table_modifiers.snapshot_time``."""
    read = module("grpc.read")
    create, parse = read.create_session, read.parse

    def create_session(request: Any) -> Any:
        modifiers = request.read_session.table_modifiers
        _MOMENTS[:] = [modifiers.snapshot_time.isoformat()] if modifiers else []
        return create(request)

    def parse_as_of(sql: str) -> Any:
        if _MOMENTS and " FOR SYSTEM_TIME " not in sql:
            head, table, tail = sql.split("`", 2)
            moment = f" FOR SYSTEM_TIME AS OF TIMESTAMP '{_MOMENTS.pop()}'"
            sql = f"{head}`{table}`{moment}{tail}"
        return parse(sql)

    read.create_session, read.parse = create_session, parse_as_of


def tell_when_tables_changed() -> None:
    """``lastModifiedTime``: that of the newest snapshot which touched the table."""
    tables, database = module("catalog.tables"), module("engine.database")
    load = tables.load

    def load_dated(project: str, dataset: str, table: str) -> Any:
        found = load(project, dataset, table)
        if found.type != "TABLE" or dataset == tables.RESULTS:
            return found
        changed = _changed(database, project, f"{dataset}.{table}")
        return found.replace(lastModifiedTime=changed, creationTime=changed) if changed else found

    tables.load = load_dated


def submit_one_after_the_other() -> None:
    """Whether a job's id is taken and taking it are one act, so that the second is told so."""
    runner, lock = module("jobs.runner"), threading.Lock()
    submit = runner.submit

    def submit_alone(*arguments: Any, **options: Any) -> Any:
        with lock:
            return submit(*arguments, **options)

    runner.submit = submit_alone


def _changed(database: Any, project: str, name: str) -> str | None:
    """Milliseconds since 1970."""
    ids = database.fetch(  # of all tables of that name: the catalog has no names of their datasets
        "SELECT table_id FROM ducklake_table_info(?) WHERE table_name = ?",
        [project, name.partition(".")[2]],
    )
    snapshots = database.fetch(
        "SELECT epoch_ms(snapshot_time), changes FROM ducklake_snapshots(?)", [project]
    )
    known = {name, *(str(each) for (each,) in ids)}
    moments = [
        moment
        for moment, changes in snapshots
        if known & {each for names in changes.values() for each in names}
    ]
    return str(max(moments)) if moments else None


if __name__ == "__main__":
    # Under the names by which the server itself looks them up.
    read_as_of_the_snapshot()
    tell_when_tables_changed()
    submit_one_after_the_other()
    server, read = module("grpc.server"), module("grpc.read")
    service = server.SERVICES["google.cloud.bigquery.storage.v1.BigQueryRead"]
    requests = server.types
    service["CreateReadSession"] = server._unary(
        read.create_session, requests.CreateReadSessionRequest, requests.ReadSession
    )
    module("cli").main(sys.argv[1:])
