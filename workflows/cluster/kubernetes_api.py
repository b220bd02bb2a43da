"""The Kubernetes API behind the cluster port; the one module that imports its client."""

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
"""To be connected, and to be answered."""

_HINT = (
    "Check `kubectl config current-context` and that `kubectl get workflows` answers; behind a VPN "
    "or a bastion, connect first."
)
_UNUSABLE = (config.ConfigException, yaml.YAMLError, OSError, ValueError, KeyError, TypeError)


class KubernetesApi:
    """Workflows through the API server.

    Args:
        configuration: the client's: address and credentials.
        whoami: whose credentials these are.
        timeout: seconds to be connected, and to be answered.
        patience: how reads are tried again.
    """

    def __init__(
        self,
        configuration: client.Configuration,
        whoami: str,
        *,
        timeout: tuple[float, float] = TIMEOUT_SECONDS,
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        configuration.retries = False  # ours know what may be asked twice
        self._host, self._whoami = str(configuration.host), whoami
        self._objects = client.CustomObjectsApi(client.ApiClient(configuration))
        self._timeout, self._retry_policy = timeout, retry_policy or RetryPolicy()

    @classmethod
    def of_kubeconfig(cls, files: str | None) -> KubernetesApi:
        """The cluster of the current context.

        Args:
            files: as in ``KUBECONFIG``; None for the one in the home folder.

        Raises:
            UnavailableError: they cannot be used.
        """
        configuration = client.Configuration()
        try:
            config.load_kube_config(files, client_configuration=configuration, persist_config=False)
            _, active = config.list_kube_config_contexts(files)
            whoami = f"user {active['context']['user']!r} of the kubeconfig"
        except _UNUSABLE as error:
            # Only what kind of error: a file with credentials is not quoted.
            why = str(error) if isinstance(error, config.ConfigException) else type(error).__name__
            raise UnavailableError(
                f"The kubeconfig {files or '~/.kube/config'} cannot be used: {why.rstrip('.')}.",
                hint="`kubectl config view` shows it; `kubectl config use-context` chooses.",
            ) from error
        return cls(configuration, whoami)

    @classmethod
    def in_cluster(cls, environment: Mapping[str, str]) -> KubernetesApi:
        """The cluster that this process runs in, with its pod's service account.

        Raises:
            UnavailableError: the pod has no token.
        """
        configuration = client.Configuration()
        loader = InClusterConfigLoader(
            SERVICE_TOKEN_FILENAME, SERVICE_CERT_FILENAME, environ=environment
        )
        try:
            loader.load_and_set(configuration)
        except _UNUSABLE as error:
            message = f"The pod's service account cannot be used: {error}."
            raise UnavailableError(message, hint="Mount its token into the pod.") from error
        return cls(configuration, "the pod's service account")

    @property
    def place(self) -> str:
        """See ``Cluster.place``."""
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
        found = self.find("Workflow", namespace, name)
        return found and with_nodes(found)

    def workflows(self, namespace: str, selector: str) -> list[Manifest]:
        """See ``Cluster.workflows``."""
        asked = self._asked("list", "Workflow", namespace)
        request = self._request(self._objects.list_namespaced_custom_object, asked)
        found = self._retry_policy.again(lambda: request(label_selector=selector))
        return [with_nodes(each) for each in found["items"]]

    def stop(self, namespace: str, name: str) -> None:
        """See ``Cluster.stop``."""
        asked = self._asked("patch", "Workflow", namespace, name)
        request = self._request(self._objects.patch_namespaced_custom_object, asked)
        body = {"spec": {"shutdown": "Stop"}}
        merge = "application/merge-patch+json"
        self._retry_policy.again(lambda: request(name=name, body=body, _content_type=merge))

    def find(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """See ``Objects.find``."""
        asked = self._asked("get", kind, namespace, name)
        request = self._request(self._objects.get_namespaced_custom_object, asked)
        try:
            return self._retry_policy.again(lambda: request(name=name))
        except MissingInputError:
            return None

    def insert(self, kind: str, manifest: Manifest) -> Manifest:
        """See ``Objects.insert``."""
        asked = self._asked_for("create", kind, manifest)
        request = self._request(self._objects.create_namespaced_custom_object, asked)
        return self._retry_policy.once(lambda: request(body=manifest))

    def update(self, kind: str, manifest: Manifest) -> Manifest:
        """See ``Objects.update``."""
        asked = self._asked_for("update", kind, manifest)
        request = self._request(self._objects.replace_namespaced_custom_object, asked)
        return self._retry_policy.once(lambda: request(name=asked.name, body=manifest))

    def _asked(self, verb: str, kind: str, namespace: str, name: str = "") -> ApiRequest:
        return ApiRequest(verb, kind, namespace, name, self.place, self.whoami)

    def _asked_for(self, verb: str, kind: str, manifest: Manifest) -> ApiRequest:
        metadata = manifest["metadata"]
        return self._asked(verb, kind, metadata["namespace"], metadata.get("name", ""))

    def _request(self, method: Callable[..., Any], asked: ApiRequest) -> Callable[..., Manifest]:
        """A method of the client, for one resource in one namespace, with our errors."""

        def request(**arguments: object) -> Manifest:
            try:
                answer: Manifest = method(
                    GROUP,
                    VERSION,
                    asked.namespace,
                    asked.resource,
                    _request_timeout=self._timeout,
                    **arguments,
                )
            except client.ApiException as error:
                if not error.status:  # it is an error of TLS, which the client keeps beside
                    cause = error.__context__ or error
                    raise unreachable(self.place, cause, _HINT) from error
                raise error_from_response(asked, error.status, _message(error.body)) from error
            except (HTTPError, OSError) as error:
                raise unreachable(self.place, error, _HINT) from error
            return answer

        return request


def with_nodes(workflow: Manifest) -> Manifest:
    """A Workflow with its nodes in full.

    Argo's controller packs them (gzip, base64) where the object would be too large for etcd; the
    Argo server unpacks them, the API server does not.
    """
    status = workflow.get("status") or {}
    packed = status.get("compressedNodes")
    if not packed:
        return workflow
    nodes = json.loads(gzip.decompress(base64.b64decode(packed)))
    return {**workflow, "status": {**status, "compressedNodes": "", "nodes": nodes}}


def _message(body: object) -> str:
    """What the API server says: a Status, or a line of text where there is no such resource."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    try:
        status = json.loads(text)
    except ValueError:
        return text
    return str(status.get("message", text)) if isinstance(status, dict) else text
