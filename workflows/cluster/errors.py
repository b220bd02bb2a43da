"""What a cluster refuses, as one clear error each: the same words whoever relays them.

The Argo server passes on what the API server says, mostly word by word, so both adapters give a
status and a message to ``error_from_response``, and a failure to get there to ``unreachable``.
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

_LONGEST = 600
_DENIED = re.compile(
    r'User "(?P<user>[^"]+)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)"'
    r'(?: in API group "[^"]*")?(?: in the namespace "(?P<namespace>[^"]+)")?'
)
# The Argo server's own words, where it finds out before it asks for the objects.
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
    """What was asked for, of whom, by whom."""

    verb: str
    """As RBAC calls it: get, list, create, update, patch."""
    kind: str
    """One of ``PLURALS``."""
    namespace: str
    name: str
    """Empty for a list or a generated name."""
    place: str
    whoami: str

    @property
    def resource(self) -> str:
        """``workflows`` of Workflow."""
        return PLURALS[self.kind]

    @property
    def thing(self) -> str:
        """The object, for messages."""
        name = f" {self.name!r}" if self.name else ""
        return f"{self.kind}{name} in namespace {self.namespace!r}"


class ConflictError(TerminalError):
    """The object is there already, or was changed since it was read."""


class UnreachableError(UnavailableError):
    """The network does not lead there.

    Args:
        lasting: whether it stays like that, as a certificate does that is not trusted.
    """

    def __init__(self, message: str, *, hint: str, lasting: bool) -> None:
        super().__init__(message, hint=hint)
        self.lasting = lasting


def error_from_response(asked: ApiRequest, status: int, message: str) -> RefeedError:
    """The error for an answer that is none.

    Args:
        asked: what was asked for.
        status: of HTTP.
        message: what the API server or the Argo server said.
    """
    said = shortened(message)
    if status in _BY_STATUS:
        return _BY_STATUS[status](asked, said)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _busy(asked, said or str(status))
    return _invalid(asked, said or str(status))


def shortened(message: str) -> str:
    """A message of somebody else on one line, and not too long for a terminal."""
    line = " ".join(message.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def _unknown(asked: ApiRequest, said: str) -> RefeedError:
    return ForbiddenError(
        f"The cluster at {asked.place} does not know who {asked.whoami} is: {said.rstrip('.')}.",
        hint="The credentials are missing, wrong or have expired: log in again, or set ARGO_TOKEN "
        "anew where ARGO_SERVER is set.",
    )


def _forbidden(asked: ApiRequest, said: str) -> RefeedError:
    if _ANONYMOUS in said:
        return _unknown(asked, said)
    if _POLICY.search(said):
        return _by_policy(asked, said)
    found = _DENIED.search(said) or _DENIED_BY_ARGO.search(said)
    facts = {key: value for key, value in found.groupdict().items() if value} if found else {}
    return _denied(
        facts.get("user", ""),
        facts.get("verb", asked.verb),
        facts.get("resource", asked.resource),
        facts.get("namespace", asked.namespace),
        asked,
    )


def _denied(user: str, verb: str, resource: str, namespace: str, asked: ApiRequest) -> RefeedError:
    who = f"User {user!r}" if user else f"{asked.whoami[:1].upper()}{asked.whoami[1:]}"
    return ForbiddenError(
        f"{who} may not {verb} {resource} in namespace {namespace!r} (at {asked.place}).",
        hint=f"If that is the right namespace, ask its owner for: {_binding(user, namespace)}",
    )


def _binding(user: str, namespace: str) -> str:
    """The command that lets somebody in."""
    account = _ACCOUNT.fullmatch(user)
    subject = f"--user={user or 'YOU'}"
    if account:
        subject = f"--serviceaccount={account['namespace']}:{account['name']}"
    name = re.sub(r"[^a-z0-9.]+", "-", (account["name"] if account else user or "you").lower())
    return (
        f"kubectl create rolebinding refeed-{name.strip('-.').removeprefix('refeed-')} "
        f"--clusterrole=refeed-analyst {subject} --namespace={namespace}"
    )


def _by_policy(asked: ApiRequest, said: str) -> RefeedError:
    hint = "This is a rule of the cluster: ask whoever runs it."
    if "exceeded quota" in said:
        hint = f"Delete what has ended in namespace {asked.namespace!r}, or ask for a larger quota."
    return TerminalError(f"The cluster refuses the {asked.thing}: {said.rstrip('.')}.", hint=hint)


def _missing(asked: ApiRequest, said: str) -> RefeedError:
    if found := _NO_NAMESPACE.search(said):
        return MissingInputError(
            f"There is no namespace {found[1]!r} (at {asked.place}).",
            hint="The installation file names the namespace of each project; a platform engineer "
            "makes it with `kubectl apply -k manifests/overlays/...`.",
        )
    if found := _NO_OBJECT.search(said):
        kinds = {plural: kind for kind, plural in PLURALS.items()}
        return MissingInputError(
            f"There is no {kinds.get(found[1], found[1])} {found[2]!r} in namespace "
            f"{asked.namespace!r} (at {asked.place}).",
            hint="It was deleted, or never submitted there.",
        )
    return UnavailableError(
        f"Argo Workflows is not installed in the cluster at {asked.place}: it has no "
        f"{asked.resource}.{GROUP}.",
        hint="Choose another cluster (`kubectl config current-context`), or ask a platform "
        "engineer to install Argo Workflows, with its custom resource definitions.",
    )


def _conflict(asked: ApiRequest, said: str) -> RefeedError:
    return ConflictError(
        f"The {asked.thing} cannot be written: {said.rstrip('.')}.",
        hint="Choose another name, or delete the one that is there.",
    )


def _invalid(asked: ApiRequest, said: str) -> RefeedError:
    return TerminalError(
        f"The cluster does not accept this ({asked.verb} {asked.thing}): {said.rstrip('.')}."
    )


def _busy(asked: ApiRequest, said: str) -> RefeedError:
    return TransientError(
        f"The cluster at {asked.place} has trouble of its own: {said.rstrip('.')}.",
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


def unreachable(place: str, error: BaseException, hint: str) -> UnreachableError:
    """The error for a network that does not lead there.

    Args:
        place: the address, with what it should be.
        error: what urllib or urllib3 raised; the reason lies somewhere inside.
        hint: what to do, where the reason suggests nothing better.
    """
    causes = list(_causes(error))
    for kind, words in _WORDS.items():
        for cause in causes:
            if isinstance(cause, kind):
                detail = words.format(shortened(getattr(cause, "verify_message", str(cause))))
                lasting = isinstance(cause, ssl.SSLError)
                message = f"Cannot reach {place}: {detail}."
                return UnreachableError(message, hint=hint, lasting=lasting)
    message = f"Cannot reach {place}: {shortened(str(error)) or type(error).__name__}."
    return UnreachableError(message, hint=hint, lasting=False)


_WORDS: dict[type[BaseException], str] = {
    ssl.SSLCertVerificationError: "its TLS certificate is not trusted ({})",
    ssl.SSLError: "it does not speak TLS as we do ({})",
    socket.gaierror: "no such host name is known here ({})",
    ConnectionRefusedError: "nobody listens at this address",
    TimeoutError: "it does not answer in time",
    ConnectionError: "the connection broke ({})",
}
"""In words, the most particular first."""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it was made of; the libraries keep them in different places."""
    yield error
    inner = [getattr(error, "reason", None), error.__cause__, *error.args]
    for each in inner:
        if isinstance(each, BaseException):
            yield from _causes(each)
