"""What BigQuery's errors say to whoever runs Refeed: try again, ask for a role, or log in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import requests
import urllib3
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.exceptions import GoogleAuthError, TransportError

from steps.errors import (
    DataError,
    ExpiredError,
    ForbiddenError,
    MissingInputError,
    RefeedError,
    TransientError,
)
from steps.google.errors import LOGIN
from steps.google.errors import brief as shortened

_AWAY = (
    RetryError,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
    ConnectionError,
    TransportError,
    TimeoutError,
)
_TRANSIENT_CODES = {408, 429, 499, 500, 502, 503, 504}
_TRANSIENT_REASONS = {"rateLimitExceeded", "backendError", "internalError", "jobRateLimitExceeded"}
_PERMISSION = re.compile(r"bigquery\.\w+\.\w+")
_TABLE = re.compile(r"[Tt]able ([\w.-]+(?::[\w.-]+)?:?[\w$-]+\.[\w$-]+)")
_DISABLED = re.compile(r"has not been used in project|SERVICE_DISABLED|is disabled")


@contextmanager
def translated(what: str, billing: str, staging: str | None = None) -> Iterator[None]:
    """Turn the clients' errors into ours.

    Args:
        what: is asked for, such as a table's name.
        billing: the project that pays.
        staging: the dataset that is written to, if one is.

    Raises:
        TransientError: trying again may help.
        ExpiredError: reading again from the beginning helps.
        ForbiddenError: says which role on which resource is missing, or that nobody is logged in.
        MissingInputError: there is no such table.
        DataError: it cannot be read so.
    """
    try:
        yield
    except _AWAY as error:
        raise _transient(what, error) from error
    except GoogleAPICallError as error:
        raise _refusal(what, billing, staging, error) from error
    except GoogleAuthError as error:
        if error.retryable:
            raise _transient(what, error) from error
        raise _unknown(what, error) from error


def is_passing(error: BaseException) -> bool:
    """Whether asking again may help: the service was away, busy, or asks for patience."""
    if isinstance(error, GoogleAPICallError):
        return error.code in _TRANSIENT_CODES or reason_of(error) in _TRANSIENT_REASONS
    return isinstance(error, _AWAY)


def brief(error: object) -> str:
    """An error's text on one line, without the full stop."""
    message = error.message if isinstance(error, GoogleAPICallError) else error
    text = re.sub(r"^(GET|POST|PATCH) https?://\S+: ", "", " ".join(str(message).split()))
    return shortened(text)


def reason_of(error: GoogleAPICallError) -> str:
    """The first reason in an answer of the REST API, such as ``rateLimitExceeded``."""
    found = [each.get("reason", "") for each in error.errors if isinstance(each, dict)]
    return found[0] if found else ""


def _unknown(what: str, error: object) -> ForbiddenError:
    return ForbiddenError(
        f"Google Cloud does not know who asks for {what}: {brief(error)}.", hint=LOGIN
    )


def _transient(what: str, error: Exception) -> TransientError:
    cause = error.cause if isinstance(error, RetryError) and error.cause else error
    return TransientError(
        f"BigQuery cannot be reached for {what}: {brief(cause)}.",
        hint="It was tried again for a while. Run again to go on: the same rows are read.",
    )


def _refusal(
    what: str, billing: str, staging: str | None, error: GoogleAPICallError
) -> RefeedError:
    text, code = str(error), error.code
    if "session expired" in text or (code == requests.codes.not_found and "/streams/" in text):
        return ExpiredError(
            f"The session in which {what} was read has expired: {brief(error)}.",
            hint="Run again: the same rows are read from the beginning.",
        )
    if is_passing(error):
        return _transient(what, error)
    if code == requests.codes.unauthorized:
        return _unknown(what, error)
    if code == requests.codes.forbidden:
        return _forbidden(what, billing, staging, error)
    return _unfit(what, error)


def _unfit(what: str, error: GoogleAPICallError) -> RefeedError:
    """What can be asked for by nobody."""
    text = str(error)
    if error.code == requests.codes.not_found:
        return MissingInputError(
            f"There is no {what} in BigQuery: {brief(error)}.",
            hint="Check project, dataset and table; a query's tables must be in one location.",
        )
    if "snapshot" in text.lower() or "time travel" in text.lower():
        return DataError(
            f"BigQuery no longer has {what} as it was when the data set was begun: {brief(error)}.",
            hint="Time travel goes back 7 days at the most, and not beyond the table's creation. "
            "Run again: the data set is begun anew, with the rows of now.",
        )
    return DataError(f"BigQuery cannot do what was asked of {what}: {brief(error)}.")


def _forbidden(
    what: str, billing: str, staging: str | None, error: GoogleAPICallError
) -> ForbiddenError:
    said = f"BigQuery refuses {what}: {brief(error)}."
    text = str(error)
    if reason_of(error) == "accessNotConfigured" or _DISABLED.search(text):
        return ForbiddenError(
            said,
            hint=f"Switch the APIs on: `gcloud services enable bigquery.googleapis.com "
            f"bigquerystorage.googleapis.com --project={billing}`",
        )
    if reason_of(error) == "quotaExceeded":
        return ForbiddenError(said, hint=f"A quota of the project {billing} is used up.")
    return ForbiddenError(said, hint=_role_hint(what, billing, staging, text))


def _role_hint(what: str, billing: str, staging: str | None, text: str) -> str:
    """Which role on which resource, and the command that grants it."""
    found = _PERMISSION.search(text)
    permission = found.group() if found else ""
    for start, role in (
        ("bigquery.readsessions.", "roles/bigquery.readSessionUser"),
        ("bigquery.jobs.", "roles/bigquery.jobUser"),
    ):
        if permission.startswith(start):
            return (
                f"Whoever runs this needs {role} on the project {billing}: `gcloud projects "
                f"add-iam-policy-binding {billing} --role={role} --member=...`"
            )
    if staging and permission in {"bigquery.tables.create", "bigquery.tables.update"}:
        role = "roles/bigquery.dataEditor"
        return (
            f"Whoever runs this needs {role} on the staging dataset {staging}: GRANT `{role}` ON "
            f'SCHEMA `{staging}` TO "..." in BigQuery.'
        )
    named = _TABLE.search(text)
    table = named.group(1).replace(":", ".") if named else what
    role = "roles/bigquery.dataViewer"
    return (
        f"Whoever runs this needs {role} on the table {table}: GRANT `{role}` ON TABLE "
        f'`{table}` TO "..." in BigQuery.'
    )
