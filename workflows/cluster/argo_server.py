"""The Argo server's REST API behind the cluster port, with nothing but the standard library.

It reads what Argo's own command line reads: ``ARGO_SERVER`` (host:port), ``ARGO_TOKEN`` ("Bearer
..." or the token alone), ``ARGO_SECURE`` (true), ``ARGO_INSECURE_SKIP_VERIFY`` (false) and
``ARGO_BASE_HREF``. A token goes to that address only: no redirect is followed.
"""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from steps.errors import MissingInputError, TransientError, UnavailableError, UsageError
from workflows.cluster import apply
from workflows.cluster.base import Manifest
from workflows.cluster.errors import ApiRequest, error_from_response, unreachable
from workflows.cluster.retry import RetryPolicy

TIMEOUT_SECONDS = 30.0

_FOLDERS = {
    "Workflow": ("workflows", "workflow"),
    "WorkflowTemplate": ("workflow-templates", "template"),
    "CronWorkflow": ("cron-workflows", "cronWorkflow"),
}
"""Where the objects of a kind are, and how the body of a request calls one."""

_VERBS = {"GET": "get", "POST": "create", "PUT": "update"}
_ENDED = "cannot shutdown a completed workflow"
_WRONG_SCHEME = "HTTP request to an HTTPS server"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The standard library would take the token along to wherever it is sent."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


class ArgoServer:
    """Workflows through an Argo server.

    Args:
        address: host:port.
        token: of the person; with ``Bearer`` in front or without; empty where none is asked for.
        secure: whether it speaks TLS.
        verify: whether its certificate must be trusted.
        base: the path that it is served under.
        timeout: seconds to wait for an answer.
        patience: how reads are tried again.

    Raises:
        UsageError: the address or the token cannot be one.
    """

    def __init__(
        self,
        address: str,
        token: str = "",
        *,
        secure: bool = True,
        verify: bool = True,
        base: str = "",
        timeout: float = TIMEOUT_SECONDS,
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        self._root = f"{'https' if secure else 'http'}://{_checked(address)}{_path(base)}/api/v1"
        self._address, self._secure, self._timeout = address, secure, timeout
        self._authorization = _authorization(token)
        self._retry_policy = retry_policy or RetryPolicy()
        context = ssl.create_default_context()
        if not verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._opener = urllib.request.build_opener(
            _NoRedirects, urllib.request.HTTPSHandler(context=context)
        )

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> ArgoServer:
        """The server that the environment names, read as Argo's command line does."""
        return cls(
            environment["ARGO_SERVER"],
            environment.get("ARGO_TOKEN", ""),
            secure=environment.get("ARGO_SECURE", "").lower() != "false",
            verify=environment.get("ARGO_INSECURE_SKIP_VERIFY", "").lower() != "true",
            base=environment.get("ARGO_BASE_HREF", ""),
        )

    @property
    def place(self) -> str:
        """See ``Cluster.place``."""
        return f"the Argo server {self._address}"

    @property
    def whoami(self) -> str:
        """See ``Cluster.whoami``."""
        return "the holder of ARGO_TOKEN" if self._authorization else "nobody (no ARGO_TOKEN)"

    def apply(self, manifest: Manifest) -> None:
        """See ``Cluster.apply``."""
        apply.apply(self, manifest)

    def create(self, manifest: Manifest) -> Manifest:
        """See ``Cluster.create``."""
        return self.insert(apply.kind_of(manifest, {"Workflow"}), manifest)

    def workflow(self, namespace: str, name: str) -> Manifest | None:
        """See ``Cluster.workflow``."""
        return self.find("Workflow", namespace, name)

    def workflows(self, namespace: str, selector: str) -> list[Manifest]:
        """See ``Cluster.workflows``."""
        asked = self._asked("list", "Workflow", namespace)
        query = urlencode({"listOptions.labelSelector": selector})
        path = f"{self._folder('Workflow', namespace)}?{query}"
        answer = self._retry_policy.again(lambda: self._call("GET", path, asked))
        return answer.get("items") or []

    def stop(self, namespace: str, name: str) -> None:
        """See ``Cluster.stop``."""
        asked = self._asked("patch", "Workflow", namespace, name)
        self._retry_policy.again(lambda: self._stop(asked))

    def _stop(self, asked: ApiRequest) -> None:
        path = f"{self._folder('Workflow', asked.namespace)}/{quote(asked.name)}/stop"
        body = {"namespace": asked.namespace, "name": asked.name}
        try:
            self._call("PUT", path, asked, body)
        except TransientError as error:  # the server calls it an internal error
            if _ENDED not in error.message:
                raise

    def find(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """See ``Objects.find``."""
        asked = self._asked("get", kind, namespace, name)
        path = f"{self._folder(kind, namespace)}/{quote(name)}"
        try:
            return self._retry_policy.again(lambda: self._call("GET", path, asked))
        except MissingInputError:
            return None

    def insert(self, kind: str, manifest: Manifest) -> Manifest:
        """See ``Objects.insert``."""
        return self._write("POST", kind, manifest, "")

    def update(self, kind: str, manifest: Manifest) -> Manifest:
        """See ``Objects.update``."""
        return self._write("PUT", kind, manifest, f"/{quote(manifest['metadata']['name'])}")

    def _write(self, method: str, kind: str, manifest: Manifest, tail: str) -> Manifest:
        metadata = manifest["metadata"]
        namespace, name = metadata["namespace"], metadata.get("name", "")
        asked = self._asked(_VERBS[method], kind, namespace, name)
        body = {"namespace": namespace, _FOLDERS[kind][1]: manifest} | (
            {"name": name} if tail else {}
        )
        path = self._folder(kind, namespace) + tail
        return self._retry_policy.once(lambda: self._call(method, path, asked, body))

    def _asked(self, verb: str, kind: str, namespace: str, name: str = "") -> ApiRequest:
        return ApiRequest(verb, kind, namespace, name, self.place, self.whoami)

    @staticmethod
    def _folder(kind: str, namespace: str) -> str:
        return f"/{_FOLDERS[kind][0]}/{quote(namespace)}"

    def _call(
        self, method: str, path: str, asked: ApiRequest, body: Manifest | None = None
    ) -> dict[str, Any]:
        status, content = self._exchange(method, path, body)
        answer = _parsed(content)
        if status == HTTPStatus.OK and answer is not None:
            return answer
        message = content.decode(errors="replace") if answer is None else answer.get("message", "")
        if _WRONG_SCHEME in message:
            raise self._foreign("it speaks TLS")
        if answer is None and status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _GATES:
            raise self._foreign(f"its answer, with status {status}, is no JSON")
        if status == HTTPStatus.NOT_IMPLEMENTED:
            raise self._foreign("it has no such call")
        raise error_from_response(asked, status, _readable(message) if answer is None else message)

    def _exchange(self, method: str, path: str, body: Manifest | None) -> tuple[int, bytes]:
        """Status and content of the answer, whatever the status."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        # S310 warns of file: URLs, which this one cannot be.
        request = urllib.request.Request(self._root + path, data, headers, method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(self.place, error, self._hint()) from error

    def _hint(self) -> str:
        secure = "false if it speaks no TLS" if self._secure else "true if it speaks TLS"
        return (
            f"Check ARGO_SERVER (host:port), set ARGO_SECURE={secure}, or use the Kubernetes API "
            "with REFEED_CLUSTER=kubernetes."
        )

    def _foreign(self, why: str) -> UnavailableError:
        return UnavailableError(
            f"What answers at {self._address} is not the API of an Argo server as asked: {why}.",
            hint="It may be a login page or another path. Set ARGO_SERVER (host:port), ARGO_SECURE "
            "and ARGO_BASE_HREF as for Argo's own command line.",
        )


_GATES = {401, 403, 408, 429}
"""What a proxy in front says with a page of its own, and means as the server would."""


def _parsed(content: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(content)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _readable(page: str) -> str:
    """A message in plain text; a web page says nothing that is worth showing."""
    return "" if page.lstrip().startswith("<") else page


def _path(base: str) -> str:
    inner = base.strip("/")
    return f"/{quote(inner)}" if inner else ""


def _checked(address: str) -> str:
    if any(not c.isprintable() or c in " /@?#" for c in address):
        raise UsageError(
            f"ARGO_SERVER is {address!r}; it must be host:port, without a scheme or a path.",
            hint="Whether it speaks TLS is told by ARGO_SECURE, and its path by ARGO_BASE_HREF.",
        )
    return address


def _authorization(token: str) -> str:
    """The header. An error of the standard library about it would show the token."""
    token = token.strip()
    if not (token.isascii() and token.isprintable()):
        raise UsageError(
            "ARGO_TOKEN has characters that no token has.", hint="Copy it again, on one line."
        )
    return token if " " in token or not token else f"Bearer {token}"
