"""Create or replace an Argo object, through either API."""

from __future__ import annotations

from typing import Protocol

from steps.errors import TransientError
from workflows.cluster.base import GROUP, VERSION, Manifest
from workflows.cluster.errors import ConflictError

_APPLIED = {"WorkflowTemplate", "CronWorkflow"}
_ATTEMPTS = 5
_KEPT_METADATA = ("resourceVersion", "finalizers", "ownerReferences")


class Objects(Protocol):
    """Access to Argo objects, one request per method."""

    def find(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """Return the object, or None if it does not exist."""

    def insert(self, kind: str, manifest: Manifest) -> Manifest:
        """Create the object; raise ``ConflictError`` if it exists."""

    def update(self, kind: str, manifest: Manifest) -> Manifest:
        """Replace the object; raise ``ConflictError`` if its ``resourceVersion`` is outdated."""


def apply(objects: Objects, manifest: Manifest) -> None:
    """See ``Cluster.apply``.

    Raises:
        TransientError: other clients keep changing the object between read and write.
        ValueError: Refeed does not replace objects of this kind.
    """
    kind = kind_of(manifest, _APPLIED)
    namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
    for _ in range(_ATTEMPTS):
        current = objects.find(kind, namespace, name)
        try:
            if current is None:
                objects.insert(kind, manifest)
            else:
                objects.update(kind, _replacement(manifest, current))
        except ConflictError:  # another client wrote the object first
            continue
        return
    raise TransientError(
        f"{kind} {name!r} in namespace {namespace!r} could not be updated: other clients changed "
        f"it during each of {_ATTEMPTS} attempts.",
        hint="Try again.",
    )


def kind_of(manifest: Manifest, allowed: set[str]) -> str:
    """Return the kind of an object, which must be one of ``allowed``.

    Raises:
        ValueError: the kind is not allowed, which is a bug in Refeed.
    """
    kind, version = str(manifest.get("kind")), manifest.get("apiVersion")
    if version != f"{GROUP}/{VERSION}" or kind not in allowed:
        raise ValueError(f"{version} {kind} is not among {sorted(allowed)}")
    return kind


def _replacement(manifest: Manifest, current: Manifest) -> Manifest:
    """Return the manifest with the status and metadata to keep from the current object.

    Argo's custom resources have no status subresource. Without its status, a replaced CronWorkflow
    would lose its last scheduled time, and the controller would start it again.
    """
    old, new = current["metadata"], manifest["metadata"]
    metadata = {key: old[key] for key in _KEPT_METADATA if key in old} | new
    annotations = {**(old.get("annotations") or {}), **(new.get("annotations") or {})}
    if annotations:
        metadata["annotations"] = annotations
    status = {"status": current["status"]} if current.get("status") else {}
    return {**manifest, "metadata": metadata, **status}
