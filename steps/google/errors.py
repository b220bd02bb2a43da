"""Translate errors of Google's clients, in one place for all services.

A service's own module defines the names of its resources and the roles they require. Which errors
are transient, and what a status code means, is the same for all services.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import requests
import urllib3
from google.api_core.exceptions import Aborted, GoogleAPICallError, RetryError, Unknown
from google.api_core.retry import Retry
from google.auth.exceptions import GoogleAuthError, TransportError

from steps.errors import ForbiddenError, RefeedError, TransientError
from steps.google.refusals import COMMON, Refusal, codes_of, message_of

DEADLINE_SECONDS = 60.0
"""How long a call is retried before it fails. The step's own retry follows, in a fresh process."""

LOGIN = (
    "On a workstation run `gcloud auth application-default login`; in a cluster give the pod's "
    "service account workload identity."
)
"""Hint for missing credentials."""

TRANSIENT_CODES = frozenset({408, 429, 499, 500, 502, 503, 504})
"""HTTP status codes after which a call is retried; gRPC's codes are mapped to them."""

CONNECTION_ERRORS: tuple[type[Exception], ...] = (
    RetryError,
    TransportError,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
    ConnectionError,
    TimeoutError,
)

_DISABLED_CODES = frozenset({"accessNotConfigured", "SERVICE_DISABLED"})
_DISABLED = re.compile(r"API has not been used in project .* or it is disabled")
"""https://cloud.google.com/bigquery/docs/error-messages; gRPC gives no code for it."""
_REQUEST_LINE = re.compile(r"^(GET|POST|PUT|PATCH|DELETE) https?://\S+: ")
_LONGEST = 300


def brief(error: object) -> str:
    """Return an error's text on one line, without its full stop, of 300 characters at most."""
    message = message_of(error) if isinstance(error, GoogleAPICallError) else error
    text = _REQUEST_LINE.sub("", " ".join(str(message).split()))
    return text[:_LONGEST].rstrip(".")


def call_options(
    is_transient: Callable[[Exception], bool], deadline: float, **pauses: float
) -> dict[str, Any]:
    """Return the ``retry`` and ``timeout`` arguments for methods of Google's clients.

    Args:
        is_transient: predicate for exceptions after which a call is retried.
        deadline: seconds during which a call is retried.
        pauses: ``initial`` and ``maximum`` seconds between two attempts.
    """
    return {"retry": Retry(is_transient, timeout=deadline, **pauses), "timeout": deadline}


class ErrorTranslator:
    """A translator of the errors of one service.

    Args:
        target: the requested resource, as messages show it.
        denied: type of the error for a denied request.

    Attributes:
        service: name of the service, as messages show it.
        retry_hint: hint for a transient error.
        refusals: refusals that have a remedy of their own.
    """

    service: ClassVar[str]
    refusals: ClassVar[tuple[Refusal, ...]] = COMMON
    retry_hint: ClassVar[str] = (
        "Refeed retried for a while. Run again to resume: finished work is kept."
    )
    connection_errors: ClassVar[tuple[type[Exception], ...]] = CONNECTION_ERRORS

    def __init__(self, target: str, denied: type[RefeedError] = ForbiddenError) -> None:
        self.target, self.denied = target, denied

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise a RefeedError in place of each error of the client.

        Raises:
            TransientError: a retry may help.
            RefeedError: see the service's own translator.
        """
        try:
            yield
        except self.connection_errors as error:
            cause = getattr(error, "cause", None) or error
            if isinstance(cause, GoogleAPICallError):
                raise self.from_response(cause) from error
            raise self.unreachable(cause) from error
        except GoogleAPICallError as error:
            raise self.from_response(error) from error
        except GoogleAuthError as error:
            if error.retryable:
                raise self.unreachable(error) from error
            raise self.not_authenticated(error) from error

    @classmethod
    def is_transient(cls, error: BaseException) -> bool:
        """Return True if a retry may help: the service was unreachable, busy or throttling."""
        if isinstance(error, GoogleAPICallError):
            return isinstance(error, Aborted | Unknown) or error.code in TRANSIENT_CODES
        return isinstance(error, cls.connection_errors)

    def from_response(self, error: GoogleAPICallError) -> RefeedError:
        """Return the error for an error response of the service."""
        translated = self._by_status(error)
        refusal = self.refusal_of(error)
        if refusal is not None and not translated.transient:
            translated.hint = refusal.hint(error, self.names())
        return translated

    def refusal_of(self, error: GoogleAPICallError) -> Refusal | None:
        """Return the kind of a refusal that has its own remedy, or None."""
        return next((each for each in self.refusals if each.matches(error)), None)

    def names(self) -> dict[str, str]:
        """Return names that remedies of refusals may contain."""
        return {"billing": "that is billed", "project": "PROJECT"}

    def _by_status(self, error: GoogleAPICallError) -> RefeedError:
        if self.is_transient(error):
            return self.unreachable(error)
        if error.code == requests.codes.unauthorized:
            return self.not_authenticated(error)
        if error.code == requests.codes.not_found:
            return self.not_found(error)
        if error.code == requests.codes.forbidden:
            return self.forbidden(error)
        return self.invalid(error)

    def unreachable(self, error: object) -> TransientError:
        """Return the error for a service that cannot be reached, or is busy."""
        return TransientError(
            f"{self.service} cannot be reached for {self.target}: {brief(error)}.",
            hint=self.retry_hint,
        )

    def not_authenticated(self, error: object) -> RefeedError:
        """Return the error for missing or expired credentials."""
        return self.denied(
            f"Not authenticated with Google Cloud, needed for {self.target}: {brief(error)}.",
            hint=LOGIN,
        )

    def forbidden(self, error: GoogleAPICallError) -> RefeedError:
        """Return the error for a missing permission, or an API that is not enabled."""
        disabled = _DISABLED_CODES & codes_of(error) or _DISABLED.search(str(error))
        hint = self.enable_hint() if disabled else self.role_hint(error)
        return self.denied(
            f"{self.service} denied access to {self.target}: {brief(error)}.", hint=hint
        )

    def not_found(self, error: GoogleAPICallError) -> RefeedError:
        """Return the error for a resource that does not exist."""
        return self.denied(f"{self.service} cannot find {self.target}: {brief(error)}.")

    def invalid(self, error: GoogleAPICallError) -> RefeedError:
        """Return the error for an invalid request."""
        return self.denied(
            f"{self.service} rejected the request for {self.target}: {brief(error)}."
        )

    def enable_hint(self) -> str:
        """Return the command that enables the service's API."""
        return ""

    def role_hint(self, error: GoogleAPICallError) -> str:
        """Return the missing role, its resource, and the command that grants it."""
        del error
        return ""


def grant_hint(role: str, resource: str, command: str) -> str:
    """Return the hint for a missing role.

    Args:
        role: name of the role, such as ``roles/datastore.user``.
        resource: description of the resource that the role is granted on.
        command: command that grants the role.
    """
    return f"The caller needs {role} on {resource}: {command}"


def project_role_hint(role: str, project: str) -> str:
    """Return the hint for a role that is missing on a Google Cloud project."""
    command = f"gcloud projects add-iam-policy-binding {project} --role={role} --member=..."
    return grant_hint(role, f"the project {project}", f"`{command}`")
