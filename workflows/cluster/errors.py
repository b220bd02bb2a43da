"""Map the error responses of a cluster to RefeedErrors, equally for both adapters.

The Argo server forwards the API server's messages, mostly unchanged. Both adapters pass a status
and a message to ``error_from_response``, and a network error to ``unreachable``.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus

from steps.errors import (
    ForbiddenError,
    MissingInputError,
    RefeedError,
    TerminalError,
    TransientError,
    UnavailableError,
)
from workflows.cluster.base import GROUP, PLURALS

_MAX_LENGTH = 600
_DENIED = re.compile(
    r'User "(?P<user>[^"]+)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)"'
    r'(?: in API group "[^"]*")?(?: in the namespace "(?P<namespace>[^"]+)")?'
)
# The Argo server's own message, if it checks the permission before it reads the objects.
_DENIED_BY_ARGO = re.compile(
    r'not allowed to (?P<verb>\w+) (?P<resource>\w+) in namespace "(?P<namespace>[^"]+)"'
)
_NO_NAMESPACE = re.compile(r'namespaces "([^"]+)" not found')
_NO_OBJECT = re.compile(r'([a-z]+)\.[a-z.]+ "([^"]+)" not found')
_ACCOUNT = re.compile(r"system:serviceaccount:(?P<namespace>[^:]+):(?P<name>[^:]+)")
_POLICY = re.compile(
    "admission webhook|exceeded quota|ValidatingAdmissionPolicy|denied the request"
)
_ANONYMOUS = "system:anonymous"


@dataclass(frozen=True)
class ApiRequest:
    """A request to a cluster, as described in messages."""

    verb: str
    """RBAC verb: get, list, create, update or patch."""
    kind: str
    """One of ``PLURALS``."""
    namespace: str
    name: str
    """Empty for a list or a generated name."""
    server: str
    whoami: str

    @property
    def resource(self) -> str:
        """Resource of the kind, such as ``workflows`` for Workflow."""
        return PLURALS[self.kind]

    @property
    def target(self) -> str:
        """Description of the object, for messages."""
        name = f" {self.name!r}" if self.name else ""
        return f"{self.kind}{name} in namespace {self.namespace!r}"


class ConflictError(TerminalError):
    """The object already exists, or was changed since it was read."""


class UnreachableError(UnavailableError):
    """The cluster cannot be reached over the network.

    Args:
        permanent: true if a retry cannot help, as with an untrusted certificate.
    """

    def __init__(self, message: str, *, hint: str, permanent: bool) -> None:
        super().__init__(message, hint=hint)
        self.permanent = permanent


def error_from_response(request: ApiRequest, status: int, message: str) -> RefeedError:
    """Map an HTTP error to a RefeedError.

    Args:
        request: the request that failed.
        status: HTTP status.
        message: message of the API server or the Argo server.
    """
    message = shortened(message)
    if status in _BY_STATUS:
        return _BY_STATUS[status](request, message)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _busy(request, message or str(status))
    reason = (message or str(status)).rstrip(".")
    return TerminalError(
        f"The cluster rejects the request ({request.verb} {request.target}): {reason}.",
        hint="The message is from the cluster. Check names and labels in your spec; if they look "
        "right, ask a platform engineer.",
    )


def shortened(message: str) -> str:
    """Return a foreign message on one line, truncated to a length that fits a terminal."""
    line = " ".join(message.split())
    return line if len(line) <= _MAX_LENGTH else f"{line[:_MAX_LENGTH]}..."


def _unknown(request: ApiRequest, message: str) -> RefeedError:
    return ForbiddenError(
        f"Not authenticated with {request.server} as {request.whoami}: {message.rstrip('.')}.",
        hint="The credentials are missing, wrong or expired. Log in to the cluster again, or, for "
        "an Argo server, set a new ARGO_TOKEN.",
    )


def _forbidden(request: ApiRequest, message: str) -> RefeedError:
    if _ANONYMOUS in message:
        return _unknown(request, message)
    if _POLICY.search(message):
        hint = "A policy of the cluster rejects it. Ask a platform engineer."
        if "exceeded quota" in message:
            hint = (
                f"Delete finished Workflows in namespace {request.namespace!r}, or ask a platform "
                "engineer for a larger quota."
            )
        return TerminalError(
            f"The cluster rejects the {request.target}: {message.rstrip('.')}.", hint=hint
        )
    match = _DENIED.search(message) or _DENIED_BY_ARGO.search(message)
    groups = {key: value for key, value in match.groupdict().items() if value} if match else {}
    user, namespace = groups.get("user", ""), groups.get("namespace", request.namespace)
    verb, resource = groups.get("verb", request.verb), groups.get("resource", request.resource)
    subject = f"User {user!r}" if user else f"{request.whoami[:1].upper()}{request.whoami[1:]}"
    account = _ACCOUNT.fullmatch(user)
    option = f"--user={user or 'YOU'}"
    if account:
        option = f"--serviceaccount={account['namespace']}:{account['name']}"
    name = re.sub(r"[^a-z0-9.]+", "-", (account["name"] if account else user or "you").lower())
    grant = (
        f"kubectl create rolebinding refeed-{name.strip('-.').removeprefix('refeed-')} "
        f"--clusterrole=refeed-analyst {option} --namespace={namespace}"
    )
    return ForbiddenError(
        f"{subject} is not allowed to {verb} {resource} in namespace {namespace!r} "
        f"(at {request.server}).",
        hint=f"If the namespace is right, ask its owner to run: {grant}",
    )


def _missing(request: ApiRequest, message: str) -> RefeedError:
    if match := _NO_NAMESPACE.search(message):
        return MissingInputError(
            f"There is no namespace {match[1]!r} (at {request.server}).",
            hint="Check the project's namespace in the installation file. A platform engineer "
            "creates the namespace with `kubectl apply -k manifests/overlays/...`.",
        )
    if match := _NO_OBJECT.search(message):
        kinds = {plural: kind for kind, plural in PLURALS.items()}
        return MissingInputError(
            f"There is no {kinds.get(match[1], match[1])} {match[2]!r} in namespace "
            f"{request.namespace!r} (at {request.server}).",
            hint="It was deleted, or never existed in this namespace. List what exists with "
            f"`kubectl get {match[1]} --namespace={request.namespace}`.",
        )
    return UnavailableError(
        f"Argo Workflows is not installed in the cluster at {request.server}: it has no "
        f"{request.resource}.{GROUP}.",
        hint="Switch to another cluster (`kubectl config use-context NAME`), or ask a platform "
        "engineer to install Argo Workflows with its custom resource definitions.",
    )


def _conflict(request: ApiRequest, message: str) -> RefeedError:
    return ConflictError(
        f"The {request.target} cannot be written: {message.rstrip('.')}.",
        hint="Delete the existing object, or change `name` in the spec.",
    )


def _busy(request: ApiRequest, message: str) -> RefeedError:
    return TransientError(
        f"The cluster at {request.server} returned a server error: {message.rstrip('.')}.",
        hint="Try again in a minute.",
    )


_BY_STATUS: dict[int, Callable[[ApiRequest, str], RefeedError]] = {
    401: _unknown,
    403: _forbidden,
    404: _missing,
    408: _busy,
    409: _conflict,
    429: _busy,
}


def unreachable(server: str, error: BaseException, hint: str) -> UnreachableError:
    """Return the error for a server that cannot be reached.

    Args:
        server: description of the server.
        error: error of urllib or urllib3, whose cause is nested inside.
        hint: hint of the error.
    """
    causes = list(_causes(error))
    for kind, words in _REASONS.items():
        for cause in causes:
            if isinstance(cause, kind):
                detail = words.format(shortened(getattr(cause, "verify_message", str(cause))))
                permanent = isinstance(cause, ssl.SSLError)
                message = f"Cannot reach {server}: {detail}."
                return UnreachableError(message, hint=hint, permanent=permanent)
    message = f"Cannot reach {server}: {shortened(str(error)) or type(error).__name__}."
    return UnreachableError(message, hint=hint, permanent=False)


_REASONS: dict[type[BaseException], str] = {
    ssl.SSLCertVerificationError: "its TLS certificate is not trusted ({})",
    ssl.SSLError: "the TLS handshake failed ({})",
    socket.gaierror: "the host name cannot be resolved ({})",
    ConnectionRefusedError: "the connection was refused",
    TimeoutError: "the connection timed out",
    ConnectionError: "the connection was lost ({})",
}
"""Message by type of error, the most specific first."""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, which the libraries keep in different attributes."""
    yield error
    inner = [getattr(error, "reason", None), error.__cause__, *error.args]
    for each in inner:
        if isinstance(each, BaseException):
            yield from _causes(each)
