"""Adapter of the cluster port for the Argo server's REST API; uses the standard library only.

It reads the variables of Argo's own CLI: ``ARGO_SERVER`` (host:port), ``ARGO_TOKEN`` ("Bearer ..."
or the token alone), ``ARGO_SECURE`` (true), ``ARGO_INSECURE_SKIP_VERIFY`` (false) and
``ARGO_BASE_HREF``. It follows no redirects, so the token is sent to that address only.
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

_RESOURCES = {
    "Workflow": ("workflows", "workflow"),
    "WorkflowTemplate": ("workflow-templates", "template"),
    "CronWorkflow": ("cron-workflows", "cronWorkflow"),
}
"""Path segment of each kind, and the key of its object in a request body."""

_VERBS = {"GET": "get", "POST": "create", "PUT": "update"}
_ENDED = "cannot shutdown a completed workflow"  # the server reports no code for this
_WRONG_SCHEME = "HTTP request to an HTTPS server"  # nor for this


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Handler that follows no redirect; the default one would forward the token."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


class ArgoServer:
    """Cluster accessed through an Argo server.

    Args:
        address: host:port.
        token: the user's token, with or without ``Bearer``; empty if the server needs none.
        secure: use TLS.
        verify: verify the server's certificate.
        base: path under which the server is served.
        timeout: seconds to wait for a response.
        retry_policy: retries of calls that can be repeated.

    Raises:
        UsageError: the address or the token is not valid.
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
        if any(not c.isprintable() or c in " /@?#" for c in address):
            raise UsageError(
                f"ARGO_SERVER is {address!r}. It must be host:port, without a scheme or a path.",
                hint="Set ARGO_SECURE to choose TLS, and ARGO_BASE_HREF to set the path.",
            )
        path = f"/{quote(base.strip('/'))}" if base.strip("/") else ""
        self._root = f"{'https' if secure else 'http'}://{address}{path}/api/v1"
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
    def from_environment(cls, environment: Mapping[str, str]) -> ArgoServer:
        """Return the server that the environment configures, as for Argo's CLI."""
        return cls(
            environment["ARGO_SERVER"],
            environment.get("ARGO_TOKEN", ""),
            secure=environment.get("ARGO_SECURE", "").lower() != "false",
            verify=environment.get("ARGO_INSECURE_SKIP_VERIFY", "").lower() != "true",
            base=environment.get("ARGO_BASE_HREF", ""),
        )

    @property
    def server(self) -> str:
        """See ``Cluster.server``."""
        return f"the Argo server {self._address}"

    @property
    def whoami(self) -> str:
        """See ``Cluster.whoami``."""
        return "the user of ARGO_TOKEN" if self._authorization else "anonymous (no ARGO_TOKEN)"

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
        api_request = self._api_request("list", "Workflow", namespace)
        query = urlencode({"listOptions.labelSelector": selector})
        path = f"{self._path('Workflow', namespace)}?{query}"
        response = self._retry_policy.call(lambda: self._call("GET", path, api_request))
        return response.get("items") or []

    def stop(self, namespace: str, name: str) -> None:
        """See ``Cluster.stop``."""
        api_request = self._api_request("patch", "Workflow", namespace, name)
        self._retry_policy.call(lambda: self._stop(api_request))

    def _stop(self, api_request: ApiRequest) -> None:
        path = f"{self._path('Workflow', api_request.namespace)}/{quote(api_request.name)}/stop"
        body = {"namespace": api_request.namespace, "name": api_request.name}
        try:
            self._call("PUT", path, api_request, body)
        except TransientError as error:  # the server reports an internal error
            if _ENDED not in error.message:
                raise

    def find(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """See ``Objects.find``."""
        api_request = self._api_request("get", kind, namespace, name)
        path = f"{self._path(kind, namespace)}/{quote(name)}"
        try:
            return self._retry_policy.call(lambda: self._call("GET", path, api_request))
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
        api_request = self._api_request(_VERBS[method], kind, namespace, name)
        body = {"namespace": namespace, _RESOURCES[kind][1]: manifest} | (
            {"name": name} if tail else {}
        )
        path = self._path(kind, namespace) + tail
        return self._retry_policy.call_once(lambda: self._call(method, path, api_request, body))

    def _api_request(self, verb: str, kind: str, namespace: str, name: str = "") -> ApiRequest:
        return ApiRequest(verb, kind, namespace, name, self.server, self.whoami)

    @staticmethod
    def _path(kind: str, namespace: str) -> str:
        return f"/{_RESOURCES[kind][0]}/{quote(namespace)}"

    def _call(
        self, method: str, path: str, api_request: ApiRequest, body: Manifest | None = None
    ) -> dict[str, Any]:
        status, content = self._send(method, path, body)
        try:
            value = json.loads(content)
        except ValueError:
            value = None
        response = value if isinstance(value, dict) else None
        if status == HTTPStatus.OK and response is not None:
            return response
        text = content.decode(errors="replace")
        message = text if response is None else response.get("message", "")
        if _WRONG_SCHEME in message:
            raise self._not_argo("it requires TLS")
        if response is None:
            if status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _PROXY_STATUSES:
                raise self._not_argo(f"its response, with status {status}, is not JSON")
            message = "" if text.lstrip().startswith("<") else text  # omit HTML pages
        if status == HTTPStatus.NOT_IMPLEMENTED:
            raise self._not_argo("it does not implement this request")
        raise error_from_response(api_request, status, message)

    def _send(self, method: str, path: str, body: Manifest | None) -> tuple[int, bytes]:
        """Send a request, and return the status and content of the response."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        # S310 warns about file: URLs, which this one cannot be.
        request = urllib.request.Request(self._root + path, data, headers, method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except (OSError, http.client.HTTPException) as error:
            secure = "false if it does not use TLS" if self._secure else "true if it uses TLS"
            hint = (
                f"Check ARGO_SERVER (host:port), set ARGO_SECURE={secure}, or use the Kubernetes "
                "API with REFEED_CLUSTER=kubernetes."
            )
            raise unreachable(self.server, error, hint) from error

    def _not_argo(self, reason: str) -> UnavailableError:
        return UnavailableError(
            f"The server at {self._address} does not respond like an Argo server: {reason}.",
            hint="The address may lead to a login page, or its path may be wrong. Check "
            "ARGO_SERVER (host:port), ARGO_SECURE and ARGO_BASE_HREF: they work as in Argo's CLI.",
        )


_PROXY_STATUSES = {401, 403, 408, 429}
"""Statuses that a proxy returns with its own page and the same meaning as Argo's."""


def _authorization(token: str) -> str:
    """Return the header, checked here since the standard library's error would show the token."""
    token = token.strip()
    if not (token.isascii() and token.isprintable()):
        raise UsageError(
            "ARGO_TOKEN has characters that are not allowed in a token.",
            hint="Copy it again, on one line.",
        )
    return token if " " in token or not token else f"Bearer {token}"
