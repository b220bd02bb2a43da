"""The cluster port: the few things that submitting and following a run needs of Argo.

Two adapters have it: ``workflows.cluster.kubernetes_api`` and ``workflows.cluster.argo_server``;
``workflows.cluster.connect`` chooses.
"""

from __future__ import annotations

from typing import Any, Protocol

Manifest = dict[str, Any]
"""An object as Kubernetes has it in JSON."""

GROUP, VERSION = "argoproj.io", "v1alpha1"
PLURALS = {
    "Workflow": "workflows",
    "WorkflowTemplate": "workflowtemplates",
    "CronWorkflow": "cronworkflows",
}
"""The kinds that Refeed touches, and the resource that each is in the API."""


class Cluster(Protocol):
    """Argo's objects in the namespaces of one cluster.

    Any of these raises ``UnavailableError`` where the cluster cannot be reached or has no Argo,
    ``ForbiddenError`` where it does not let us, and ``TransientError`` where it has too much to do.
    Reads are tried again before that, and so is ``stop``; nothing that could start a run twice is.
    """

    @property
    def place(self) -> str:
        """Which cluster this is, for messages: it follows "at" or "by"."""

    @property
    def whoami(self) -> str:
        """Whose credentials are used, for messages; never the credentials."""

    def apply(self, manifest: Manifest) -> None:
        """Create a WorkflowTemplate or CronWorkflow, or replace the one of that name.

        What a controller keeps in the object (its status, its annotations) outlives it.

        Raises:
            MissingInputError: there is no such namespace.
            TerminalError: the cluster does not accept it, in its own words.
            ValueError: it is of another kind; those are never touched.
        """

    def create(self, manifest: Manifest) -> Manifest:
        """Create a Workflow, which starts it, and return it as it was created.

        Args:
            manifest: with ``name`` or ``generateName`` in its metadata.

        Returns:
            At least ``metadata``, with ``name`` and ``creationTimestamp``, and ``spec``.

        Raises:
            MissingInputError: there is no such namespace, or no WorkflowTemplate that it refers to.
            TerminalError: there is one of that name, or the cluster does not accept it.
            ValueError: it is of another kind.
        """

    def workflow(self, namespace: str, name: str) -> Manifest | None:
        """The Workflow of a name; None if there is none. Its nodes are there in full."""

    def workflows(self, namespace: str, selector: str) -> list[Manifest]:
        """The Workflows that have the labels; all of them for an empty selector.

        Args:
            namespace: where they are; one that is not there has none.
            selector: as in ``kubectl get --selector``: ``a=b,c!=d``.

        Raises:
            TerminalError: this is no selector.
        """

    def stop(self, namespace: str, name: str) -> None:
        """Let no further pod start, and exit handlers run; no error if it has ended already.

        Raises:
            MissingInputError: there is no such Workflow.
        """
