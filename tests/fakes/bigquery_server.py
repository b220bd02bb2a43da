"""Run local-bigquery with four fixes, in the emulator's own Python; see bigquery.py.

Unmodified, it ignores the snapshot time of a read session, reports the current time as every
table's modification time, fails one of two concurrent submissions with the same job id, and neither
refuses time travel on a table with row access policies nor reports them for a query.
"""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any

_MOMENTS: list[str] = []
_LOADED: dict[str, Any] = {}


def module(name: str) -> Any:
    """Return a module of the emulator, which the project's environment does not contain."""
    return _LOADED.setdefault(name, importlib.import_module(f"local_bigquery.{name}"))


def read_as_of_the_snapshot() -> None:
    """Read the rows of each session as of ``table_modifiers.snapshot_time``."""
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


def report_modification_times() -> None:
    """Set ``lastModifiedTime`` to the time of the newest snapshot that changed the table."""
    tables, database = module("catalog.tables"), module("engine.database")
    load = tables.load

    def load_dated(project: str, dataset: str, table: str) -> Any:
        loaded = load(project, dataset, table)
        if loaded.type != "TABLE" or dataset == tables.RESULTS:
            return loaded
        changed = _modified(database, project, f"{dataset}.{table}")
        return loaded.replace(lastModifiedTime=changed, creationTime=changed) if changed else loaded

    tables.load = load_dated


def serialize_submissions() -> None:
    """Make the check and the use of a job id atomic, so the second submission gets a conflict."""
    runner, lock = module("jobs.runner"), threading.Lock()
    submit = runner.submit

    def submit_alone(*arguments: Any, **options: Any) -> Any:
        with lock:
            return submit(*arguments, **options)

    runner.submit = submit_alone


_FORBIDDEN = (
    "request failed: Access Denied: BigQuery BigQuery: Time travel on table {} is forbidden as it "
    "has (or has had) row access policies."
)


def report_row_access_policies() -> None:
    """Refuse time travel on tables with row access policies, and report them for other jobs."""
    read, rules, runner = module("grpc.read"), module("catalog.row_access"), module("jobs.runner")
    create, done = read.create_session, runner._done

    def create_session(request: Any) -> Any:
        project, dataset, table = key = read.table(request.read_session.table)
        if request.read_session.table_modifiers and key in rules.secured():
            message = _FORBIDDEN.format(f"{project}:{dataset}.{table}")
            raise read.StorageError(read.grpc.StatusCode.PERMISSION_DENIED, message)
        return create(request)

    def done_reported(job: Any, statistics: Any, error: Any = None) -> Any:
        query = job.configuration.query
        applied = query and any(f"{key[1]}.{key[2]}" in query.query for key in rules.secured())
        if applied and not job.configuration.dryRun:
            reported = {"rowLevelSecurityApplied": True}
            statistics = statistics.replace(rowLevelSecurityStatistics=reported)
        return done(job, statistics, error)

    read.create_session, runner._done = create_session, done_reported


def _modified(database: Any, project: str, name: str) -> str | None:
    """Return the time of the table's last change, in milliseconds since 1970."""
    ids = database.fetch(  # all tables of that name, because the catalog lacks dataset names
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
    # Patch the names that the server itself uses.
    read_as_of_the_snapshot()
    report_modification_times()
    serialize_submissions()
    report_row_access_policies()
    server, read = module("grpc.server"), module("grpc.read")
    service = server.SERVICES["google.cloud.bigquery.storage.v1.BigQueryRead"]
    requests = server.types
    service["CreateReadSession"] = server._unary(
        read.create_session, requests.CreateReadSessionRequest, requests.ReadSession
    )
    module("cli").main(sys.argv[1:])
