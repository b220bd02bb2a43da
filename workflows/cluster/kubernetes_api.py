"""Adapter of the cluster port for the Kubernetes API; the only module that imports its client."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Mapping
from typing import Any

import yaml
from kubernetes import client, config
from kubernetes.config.incluster_config import (
    SERVICE_CERT_FILENAME,
    SERVICE_TOKEN_FILENAME,
    InClusterConfigLoader,
)
from urllib3.exceptions import HTTPError

from steps.errors import MissingInputError, UnavailableError
from workflows.cluster import apply
from workflows.cluster.base import GROUP, VERSION, Manifest
from workflows.cluster.errors import ApiRequest, error_from_response, unreachable
from workflows.cluster.retry import RetryPolicy

TIMEOUT_SECONDS = (10.0, 30.0)
"""Timeouts of connecting and of reading the response."""

_HINT = (
    "Check `kubectl config current-context` and that `kubectl get workflows` responds. If the "
    "cluster is behind a VPN or a bastion host, connect to it first."
)
_CONFIG_ERRORS = (config.ConfigException, yaml.YAMLError, OSError, ValueError, KeyError, TypeError)


class KubernetesApi:
    """Cluster accessed through its API server.

    Args:
        configuration: the client's address and credentials.
        whoami: description of the credentials' owner.
        timeout: seconds to connect, and to read the response.
        retry_policy: retries of calls that can be repeated.
    """

    def __init__(
        self,
        configuration: client.Configuration,
        whoami: str,
        *,
        timeout: tuple[float, float] = TIMEOUT_SECONDS,
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        configuration.retries = False  # RetryPolicy knows which calls can be repeated
        self._host, self._whoami = str(configuration.host), whoami
        self._objects = client.CustomObjectsApi(client.ApiClient(configuration))
        self._timeout, self._retry_policy = timeout, retry_policy or RetryPolicy()

    @classmethod
    def from_kubeconfig(cls, files: str | None) -> KubernetesApi:
        """Return the cluster of the current context.

        Args:
            files: kubeconfig files as in ``KUBECONFIG``; None for the one in the home folder.

        Raises:
            UnavailableError: the files cannot be used.
        """
        configuration = client.Configuration()
        try:
            config.load_kube_config(files, client_configuration=configuration, persist_config=False)
            _, active = config.list_kube_config_contexts(files)
            whoami = f"user {active['context']['user']!r} of the kubeconfig"
        except _CONFIG_ERRORS as error:
            # Other errors may quote a file with credentials, so only their type is shown.
            own = isinstance(error, config.ConfigException)
            reason = str(error).rstrip(".") if own else type(error).__name__
            raise UnavailableError(
                f"The kubeconfig {files or '~/.kube/config'} cannot be used: {reason}.",
                hint="Show it with `kubectl config view`, and choose a context with "
                "`kubectl config use-context`.",
            ) from error
        return cls(configuration, whoami)

    @classmethod
    def in_cluster(cls, environment: Mapping[str, str]) -> KubernetesApi:
        """Return the cluster that this process runs in, with its pod's service account.

        Raises:
            UnavailableError: the pod has no token.
        """
        configuration = client.Configuration()
        loader = InClusterConfigLoader(
            SERVICE_TOKEN_FILENAME, SERVICE_CERT_FILENAME, environ=environment
        )
        try:
            loader.load_and_set(configuration)
        except _CONFIG_ERRORS as error:
            message = f"The pod's service account cannot be used: {error}."
            raise UnavailableError(
                message, hint="Check that the pod has its service account's token mounted."
            ) from error
        return cls(configuration, "the pod's service account")

    @property
    def server(self) -> str:
        """See ``Cluster.server``."""
        return f"the Kubernetes API {self._host}"

    @property
    def whoami(self) -> str:
        """See ``Cluster.whoami``."""
        return self._whoami

    def apply(self, manifest: Manifest) -> None:
        """See ``Cluster.apply``."""
        apply.apply(self, manifest)

    def create(self, manifest: Manifest) -> Manifest:
        """See ``Cluster.create``."""
        return self.insert(apply.kind_of(manifest, {"Workflow"}), manifest)

    def workflow(self, namespace: str, name: str) -> Manifest | None:
        """See ``Cluster.workflow``."""
        workflow = self.find("Workflow", namespace, name)
        return workflow and with_nodes(workflow)

    def workflows(self, namespace: str, selector: str) -> list[Manifest]:
        """See ``Cluster.workflows``."""
        api_request = self._api_request("list", "Workflow", namespace)
        call = self._call(self._objects.list_namespaced_custom_object, api_request)
        response = self._retry_policy.call(lambda: call(label_selector=selector))
        return [with_nodes(workflow) for workflow in response["items"]]

    def stop(self, namespace: str, name: str) -> None:
        """See ``Cluster.stop``."""
        api_request = self._api_request("patch", "Workflow", namespace, name)
        call = self._call(self._objects.patch_namespaced_custom_object, api_request)
        body = {"spec": {"shutdown": "Stop"}}
        merge = "application/merge-patch+json"
        self._retry_policy.call(lambda: call(name=name, body=body, _content_type=merge))

    def find(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """See ``Objects.find``."""
        api_request = self._api_request("get", kind, namespace, name)
        call = self._call(self._objects.get_namespaced_custom_object, api_request)
        try:
            return self._retry_policy.call(lambda: call(name=name))
        except MissingInputError:
            return None

    def insert(self, kind: str, manifest: Manifest) -> Manifest:
        """See ``Objects.insert``."""
        api_request = self._api_request_for("create", kind, manifest)
        call = self._call(self._objects.create_namespaced_custom_object, api_request)
        return self._retry_policy.call_once(lambda: call(body=manifest))

    def update(self, kind: str, manifest: Manifest) -> Manifest:
        """See ``Objects.update``."""
        api_request = self._api_request_for("update", kind, manifest)
        call = self._call(self._objects.replace_namespaced_custom_object, api_request)
        return self._retry_policy.call_once(lambda: call(name=api_request.name, body=manifest))

    def _api_request(self, verb: str, kind: str, namespace: str, name: str = "") -> ApiRequest:
        return ApiRequest(verb, kind, namespace, name, self.server, self.whoami)

    def _api_request_for(self, verb: str, kind: str, manifest: Manifest) -> ApiRequest:
        metadata = manifest["metadata"]
        return self._api_request(verb, kind, metadata["namespace"], metadata.get("name", ""))

    def _call(self, method: Callable[..., Any], api_request: ApiRequest) -> Callable[..., Manifest]:
        """Bind a method of the client to the resource of a request, and translate its errors."""

        def call(**arguments: object) -> Manifest:
            try:
                response: Manifest = method(
                    GROUP,
                    VERSION,
                    api_request.namespace,
                    api_request.resource,
                    _request_timeout=self._timeout,
                    **arguments,
                )
            except client.ApiException as error:
                if not error.status:  # a TLS error, which the client keeps as the context
                    cause = error.__context__ or error
                    raise unreachable(self.server, cause, _HINT) from error
                raise error_from_response(
                    api_request, error.status, _message(error.body)
                ) from error
            except (HTTPError, OSError) as error:
                raise unreachable(self.server, error, _HINT) from error
            return response

        return call


def with_nodes(workflow: Manifest) -> Manifest:
    """Return a Workflow with its nodes decompressed.

    Argo's controller compresses the nodes (gzip, base64) if the object would be too large for etcd.
    The Argo server decompresses them, but the API server does not.
    """
    status = workflow.get("status") or {}
    compressed = status.get("compressedNodes")
    if not compressed:
        return workflow
    nodes = json.loads(gzip.decompress(base64.b64decode(compressed)))
    return {**workflow, "status": {**status, "compressedNodes": "", "nodes": nodes}}


def _message(body: object) -> str:
    """Return the message of a response: a Status, or plain text for an unknown resource."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    try:
        status = json.loads(text)
    except ValueError:
        return text
    return str(status.get("message", text)) if isinstance(status, dict) else text
