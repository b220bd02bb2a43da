"""Queries: what they would read, and their result as a table that lies for a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from google.api_core.exceptions import BadRequest, Conflict, GoogleAPICallError, NotFound
from google.cloud import bigquery
from google.cloud.bigquery import SchemaField

from steps.errors import MissingInputError, Problem, SpecError, UnavailableError
from steps.google.bigquery.clients import Clients
from steps.google.bigquery.errors import BigQueryErrors
from steps.google.bigquery.request import TableName
from steps.google.errors import brief

KEPT_HOURS = 30
"""How long a result lies: a pin's day, and the six hours that a session lasts."""

_TRIES = 20
_LEAST_BILLED = 10 << 20
"""Bytes that BigQuery bills at the least for each table of a query."""


@dataclass(frozen=True)
class DryRun:
    """What BigQuery says of a query without running it.

    Attributes:
        bytes: that it would read; BigQuery bills by them.
        tables: that it reads.
        fields: of its result.
        plain: it calls no function that somebody keeps beside the tables, and may change.
    """

    bytes: int
    tables: tuple[TableName, ...]
    fields: tuple[SchemaField, ...]
    plain: bool


def dry_run(clients: Clients, sql: str, field: str) -> DryRun:
    """Ask what a query would read; costs nothing.

    Args:
        clients: to ask.
        sql: one SELECT.
        field: of the spec that it stands in, for errors.

    Raises:
        SpecError: it is no SQL, or no SELECT.
        RefeedError: see ``translated``.
    """
    config = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)
    with BigQueryErrors("the query", clients.billing).translated():
        try:
            job = clients.rest.query(sql, job_config=config, job_retry=None, **clients.options)
        except BadRequest as error:
            hint = "It is GoogleSQL, with tables as `project.dataset.table`."
            raise _wrong(field, f"BigQuery does not take it: {brief(error)}", hint) from error
    if job.statement_type != "SELECT":
        kind = (job.statement_type or "SCRIPT").replace("_", " ")
        raise _wrong(field, f"it is a {kind}, not one SELECT", "A source is only read.")
    return DryRun(
        job.total_bytes_processed or 0,
        tuple(TableName(t.project, t.dataset_id, t.table_id) for t in job.referenced_tables),
        tuple(job.schema or ()),
        "referencedRoutines" not in job._properties["statistics"]["query"],  # noqa: SLF001
    )


def _wrong(field: str, message: str, hint: str) -> SpecError:
    return SpecError("the spec", [Problem(field, message, hint)])


@dataclass(frozen=True)
class Result:
    """Where the result of a query is to lie.

    Attributes:
        staging: the dataset.
        name: of jobs and tables, to which a number is added.
        begun: when the data set was begun, microseconds since 1970.
    """

    staging: TableName
    name: str
    begun: int

    def table(self, number: int) -> TableName:
        """The table that the try of this number writes."""
        return TableName(self.staging.project, self.staging.dataset, self.job(number))

    def job(self, number: int) -> str:
        """The id of the job of this number."""
        return f"{self.name}_{number}"

    @property
    def options(self) -> str:
        """What is said of the table: when it goes."""
        end = datetime.fromtimestamp(self.begun / 1e6 + KEPT_HOURS * 3600, UTC)
        return f"OPTIONS(expiration_timestamp = TIMESTAMP '{end:%Y-%m-%d %H:%M:%S}+00')"


def staging_of(text: str) -> TableName:
    """A dataset, ``project.dataset``, as a table without a name."""
    return TableName.parse(f"{text}.")


def find_result(clients: Clients, result: Result) -> TableName | None:
    """The table that a job has written, or is writing; None if there is no such job."""
    location = _location(clients, result.staging)
    for number in range(_TRIES):
        job = _known(clients, result.job(number), location)
        if job is None:
            return None
        if _failure(clients, job) is None:
            return result.table(number)
    raise _hopeless(result)


def materialise(clients: Clients, sql: str, result: Result, max_bytes: int | None) -> TableName:
    """Run a query into a table, once however many ask: all find the same job by its id.

    Args:
        clients: to ask.
        sql: one SELECT, as ``dry_run`` has found.
        result: where it goes.
        max_bytes: BigQuery itself refuses to bill more.

    Raises:
        DataError: it cannot be run.
        RefeedError: see ``translated``.
    """
    location = _location(clients, result.staging)
    for number in range(_TRIES):
        job, mine = _start(clients, sql, result, number, location, max_bytes)
        failure = _failure(clients, job)
        if failure is None:
            return result.table(number)
        if mine:
            with BigQueryErrors(
                "the result of the query", clients.billing, _name(result.staging)
            ).translated():
                raise failure
    raise _hopeless(result)


def _start(
    clients: Clients,
    sql: str,
    result: Result,
    number: int,
    location: str,
    max_bytes: int | None,
) -> tuple[bigquery.QueryJob, bool]:
    """The job of a number, and whether this call has started it."""
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
        except Conflict:  # somebody has started it, or the answer to ours was lost
            return clients.rest.get_job(job_id, location=location, **clients.options), False
    return job, True


def _known(clients: Clients, job_id: str, location: str) -> bigquery.QueryJob | None:
    with BigQueryErrors("a job", clients.billing).translated():
        try:
            return clients.rest.get_job(job_id, location=location, **clients.options)
        except NotFound:
            return None


def _failure(clients: Clients, job: bigquery.QueryJob) -> GoogleAPICallError | None:
    """Wait for a job; why it has failed, or None.

    Raises:
        RefeedError: nobody knows how it ended, see ``translated``.
    """
    with BigQueryErrors("the query", clients.billing).translated():
        try:
            job.result(retry=clients.options["retry"], job_retry=None)
        except GoogleAPICallError as error:
            if job.state == "DONE" and job.error_result:
                return error
            raise
    return None


def _location(clients: Clients, staging: TableName) -> str:
    """Where the dataset lies: a job is found by its id only with that."""
    name = _name(staging)
    with BigQueryErrors(f"the dataset {name}", clients.billing, name).translated():
        try:
            return str(clients.rest.get_dataset(name, **clients.options).location)
        except NotFound as error:
            raise MissingInputError(
                f"There is no staging dataset {name}, where results of queries and views lie.",
                hint=f"Make it in the location of the tables: `bq --location=... mk --dataset "
                f"{staging.project}:{staging.dataset}`, or name another as dataset.staging.",
            ) from error


def _name(staging: TableName) -> str:
    return f"{staging.project}.{staging.dataset}"


def _hopeless(result: Result) -> UnavailableError:
    return UnavailableError(
        f"{_TRIES} jobs named {result.name} have failed one after the other.",
        hint="`bq show -j` with such a name tells why. --set execution.force=true begins anew.",
    )


def bytes_error(asked: int, allowed: int, what: str) -> SpecError:
    """What is said where more would be read than the spec allows."""
    return _wrong(
        "dataset.max_bytes",
        f"{what} would read {asked:,} bytes, and {allowed:,} are allowed",
        "Name fewer columns, a filter on the partitioning column, or a larger max_bytes.",
    )
