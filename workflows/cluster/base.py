"""The cluster port: the operations on Argo objects that Refeed needs.

Two adapters implement it, ``workflows.cluster.kubernetes_api`` and
``workflows.cluster.argo_server``; ``workflows.cluster.connect`` chooses one.
"""

from __future__ import annotations

from typing import Any, Protocol

Manifest = dict[str, Any]
"""A Kubernetes object as JSON values."""

GROUP, VERSION = "argoproj.io", "v1alpha1"
PLURALS = {
    "Workflow": "workflows",
    "WorkflowTemplate": "workflowtemplates",
    "CronWorkflow": "cronworkflows",
}
"""The kinds of object that Refeed uses, and the resource of each in the API."""

ENDED = {"Succeeded", "Failed", "Error"}
"""Phases of a Workflow that has ended."""


class Cluster(Protocol):
    """Argo objects in the namespaces of one cluster.

    Every method raises ``UnavailableError`` if the cluster cannot be reached or has no Argo,
    ``ForbiddenError`` if permission is denied, and ``TransientError`` if the cluster is overloaded.
    Reads and ``stop`` are retried first; requests that could start a run twice are not.
    """

    @property
    def server(self) -> str:
        """Description of the API server, for messages."""

    @property
    def whoami(self) -> str:
        """Description of the credentials' owner, for messages; never the credentials."""

    def find(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """Return an object of a kind in ``PLURALS``, or None if it does not exist."""

    def apply(self, manifest: Manifest) -> None:
        """Create or replace a WorkflowTemplate or CronWorkflow.

        A replaced object keeps its status and the controllers' annotations.

        Raises:
            MissingInputError: the namespace does not exist.
            TerminalError: the cluster rejects the object; the message is the cluster's.
            ValueError: the object is of another kind.
        """

    def create(self, manifest: Manifest) -> Manifest:
        """Create a Workflow, which starts it, and return the created object.

        Args:
            manifest: a Workflow with ``name`` or ``generateName`` in its metadata.

        Returns:
            At least ``metadata``, with ``name`` and ``creationTimestamp``, and ``spec``.

        Raises:
            MissingInputError: the namespace or the WorkflowTemplate it refers to does not exist.
            TerminalError: the name is taken, or the cluster rejects the object.
            ValueError: the object is of another kind.
        """

    def workflow(self, namespace: str, name: str) -> Manifest | None:
        """Return a Workflow with all its nodes, or None if it does not exist."""

    def workflows(self, namespace: str, selector: str) -> list[Manifest]:
        """Return the Workflows that match a label selector; all for an empty one.

        Args:
            namespace: namespace to search; one that does not exist has no Workflows.
            selector: label selector as in ``kubectl get --selector``: ``a=b,c!=d``.

        Raises:
            TerminalError: the selector is not valid.
        """

    def stop(self, namespace: str, name: str) -> None:
        """Start no further pods, and run exit handlers; do nothing if the Workflow has ended.

        Raises:
            MissingInputError: the Workflow does not exist.
        """
