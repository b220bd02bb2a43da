"""Queries: estimate the bytes that they read, and store their result as a table for a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from google.api_core.exceptions import BadRequest, Conflict, GoogleAPICallError, NotFound
from google.cloud import bigquery
from google.cloud.bigquery import SchemaField

from steps.errors import MissingInputError, Problem, SpecError, UnavailableError
from steps.google.bigquery import protections
from steps.google.bigquery.clients import Clients
from steps.google.bigquery.errors import BigQueryErrors
from steps.google.bigquery.request import TableName
from steps.google.errors import brief

KEPT_HOURS = 30
"""Lifetime of a result: a snapshot's day, and the six hours that a session lasts."""

_ATTEMPTS = 20
_LEAST_BILLED = 10 << 20
"""Minimum number of bytes that BigQuery bills for each table of a query."""


@dataclass(frozen=True)
class DryRun:
    """BigQuery's description of a query that is not run.

    Attributes:
        bytes: number of bytes that the query would read and that would be billed.
        tables: tables that the query reads.
        fields: columns of the result.
        calls_routines: True if the query calls stored routines, which can change.
        location: location in which the query would run; empty if it is unknown.
        warnings: warnings about protections of the tables, if BigQuery reports them.
    """

    bytes: int
    tables: tuple[TableName, ...]
    fields: tuple[SchemaField, ...]
    calls_routines: bool
    location: str = ""
    warnings: tuple[str, ...] = ()


def dry_run(clients: Clients, sql: str, field: str) -> DryRun:
    """Return the bytes, tables and columns of a query, at no cost.

    Args:
        clients: BigQuery clients.
        sql: one SELECT statement.
        field: the spec field that contains the query, for errors.

    Raises:
        SpecError: the query is not valid SQL, or not a SELECT statement.
        RefeedError: see ``ErrorTranslator.translated``.
    """
    config = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)
    errors = BigQueryErrors("the query", clients.billing)
    with errors.translated():
        try:
            job = clients.rest.query(sql, job_config=config, job_retry=None, **clients.options)
        except BadRequest as error:
            if errors.is_transient(error):
                raise
            refusal = errors.refusal_of(error)
            hint = "Use GoogleSQL, with tables as `project.dataset.table`."
            hint = refusal.hint(error, errors.names()) if refusal else hint
            raise _spec_error(field, f"BigQuery rejected it: {brief(error)}", hint) from error
    if job.statement_type != "SELECT":
        kind = (job.statement_type or "SCRIPT").replace("_", " ")
        message = f"it is a {kind}, not a single SELECT statement"
        raise _spec_error(field, message, "Refeed only reads a source. Use a SELECT statement.")
    return DryRun(
        job.total_bytes_processed or 0,
        tuple(map(TableName.of, job.referenced_tables)),
        tuple(job.schema or ()),
        "referencedRoutines" in job._properties["statistics"]["query"],  # noqa: SLF001
        job.location or "",
        protections.of_job(job),
    )


def _spec_error(field: str, message: str, hint: str) -> SpecError:
    return SpecError("the spec", [Problem(field, message, hint)])


@dataclass(frozen=True)
class Result:
    """The result of a query, stored as a table.

    Attributes:
        staging: the BigQuery dataset that contains the table.
        name: prefix of jobs and tables, to which the number of the attempt is added.
        started: start of the dataset build, in microseconds since 1970.
    """

    staging: TableName
    name: str
    started: int

    def table(self, number: int) -> TableName:
        """Return the table that an attempt writes."""
        return TableName(self.staging.project, self.staging.dataset, self.job(number))

    def job(self, number: int) -> str:
        """Return the job id of an attempt."""
        return f"{self.name}_{number}"

    @property
    def options(self) -> str:
        """SQL options of the table: its expiration time."""
        end = datetime.fromtimestamp(self.started / 1e6 + KEPT_HOURS * 3600, UTC)
        return f"OPTIONS(expiration_timestamp = TIMESTAMP '{end:%Y-%m-%d %H:%M:%S}+00')"


def staging_of(text: str) -> TableName:
    """Return a BigQuery dataset, ``project.dataset``, as a table without a name."""
    return TableName.parse(f"{text}.")


@dataclass(frozen=True)
class ResultTable:
    """The table that a job has written.

    Attributes:
        name: its name.
        warnings: warnings about protections that applied to the query.
    """

    name: TableName
    warnings: tuple[str, ...] = ()


def find_result(clients: Clients, result: Result) -> ResultTable | None:
    """Return the table that a job has written or is writing; None if there is no such job."""
    location = _location(clients, result.staging)
    for number in range(_ATTEMPTS):
        with BigQueryErrors("a job", clients.billing).translated():
            try:
                job = clients.rest.get_job(result.job(number), location=location, **clients.options)
            except NotFound:
                return None
        if _failure(clients, job) is None:
            return ResultTable(result.table(number), protections.of_job(job))
    raise _all_failed(result)


def materialize(clients: Clients, sql: str, result: Result, max_bytes: int | None) -> ResultTable:
    """Store a query's result as a table. Concurrent calls share one job, found by its id.

    Args:
        clients: BigQuery clients.
        sql: one SELECT statement, checked by ``dry_run``.
        result: the table to write.
        max_bytes: limit above which BigQuery itself rejects the query.

    Raises:
        DataError: the query cannot be run.
        RefeedError: see ``ErrorTranslator.translated``.
    """
    location = _location(clients, result.staging)
    for number in range(_ATTEMPTS):
        job, started_here = _start(clients, sql, result, number, location, max_bytes)
        failure = _failure(clients, job)
        if failure is None:
            return ResultTable(result.table(number), protections.of_job(job))
        if started_here:
            with BigQueryErrors(
                "the result of the query", clients.billing, _name(result.staging)
            ).translated():
                raise failure
    raise _all_failed(result)


def _start(
    clients: Clients,
    sql: str,
    result: Result,
    number: int,
    location: str,
    max_bytes: int | None,
) -> tuple[bigquery.QueryJob, bool]:
    """Return the job of an attempt, and whether this call started it."""
    config = bigquery.QueryJobConfig(labels={"refeed": "split"})
    if max_bytes is not None:
        config.maximum_bytes_billed = max_bytes + _LEAST_BILLED
    statement = f"CREATE TABLE `{result.table(number)}` {result.options} AS\n{sql}"
    job_id = result.job(number)
    with BigQueryErrors(
        "the result of the query", clients.billing, _name(result.staging)
    ).translated():
        try:
            job = clients.rest.query(
                statement,
                job_config=config,
                job_id=job_id,
                location=location,
                job_retry=None,
                **clients.options,
            )
        except Conflict:  # another process started the job, or our response was lost
            return clients.rest.get_job(job_id, location=location, **clients.options), False
    return job, True


def _failure(clients: Clients, job: bigquery.QueryJob) -> GoogleAPICallError | None:
    """Wait for a job, and return the error with which it failed, if any.

    Raises:
        RefeedError: the outcome is unknown, see ``ErrorTranslator.translated``.
    """
    with BigQueryErrors("the query", clients.billing).translated():
        try:
            job.result(retry=clients.options["retry"], job_retry=None)
        except GoogleAPICallError as error:
            if job.state == "DONE" and job.error_result:
                return error
            raise
    return None


def check_location(clients: Clients, query: DryRun, staging: TableName) -> None:
    """Check that a query and the BigQuery dataset for its result are in one location.

    Raises:
        SpecError: they are not, so BigQuery would not find the query's tables.
    """
    theirs, ours = query.location, _location(clients, staging)
    if not query.tables or not theirs or theirs.casefold() == ours.casefold():
        return
    if theirs.startswith(_OTHER_CLOUDS):
        return
    raise _spec_error(
        "dataset.staging",
        f"the staging dataset {_name(staging)} is in {ours}, but the tables of the query are in "
        f"{theirs}",
        f"Use a staging dataset in {theirs}: `bq --location={theirs} mk --dataset "
        f"{staging.project}:NAME`. A cluster's project has the one of the installation file.",
    )


_OTHER_CLOUDS = ("aws-", "azure-")
"""Locations from which BigQuery Omni copies a result to the location of its dataset."""


def _location(clients: Clients, staging: TableName) -> str:
    """Return the location of a BigQuery dataset, which is needed to find a job by its id."""
    name = _name(staging)
    with BigQueryErrors(f"the dataset {name}", clients.billing, name).translated():
        try:
            return str(clients.rest.get_dataset(name, **clients.options).location)
        except NotFound as error:
            raise MissingInputError(
                f"The BigQuery dataset {name}, which is set for query results, does not exist.",
                hint=f"Create it in the location of the tables: `bq --location=... mk --dataset "
                f"{staging.project}:{staging.dataset}`, or set another with dataset.staging.",
            ) from error


def _name(staging: TableName) -> str:
    return f"{staging.project}.{staging.dataset}"


def _all_failed(result: Result) -> UnavailableError:
    return UnavailableError(
        f"The query failed in BigQuery {_ATTEMPTS} times, in the jobs {result.name}_0 to "
        f"{result.name}_{_ATTEMPTS - 1}.",
        hint="See the reason with `bq show -j JOB`. When it is fixed, start over with --set "
        "execution.force=true.",
    )


def bytes_error(size: int, limit: int, target: str) -> SpecError:
    """Return the error for a read that exceeds the spec's limit."""
    return _spec_error(
        "dataset.max_bytes",
        f"{target} would read {size:,} bytes, but only {limit:,} are allowed",
        "Use fewer columns, a filter on the partitioning column, or a larger max_bytes.",
    )
