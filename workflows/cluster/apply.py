"""Create or replace, on top of what both APIs can do."""

from __future__ import annotations

from typing import Protocol

from steps.errors import TransientError
from workflows.cluster.base import GROUP, VERSION, Manifest
from workflows.cluster.errors import ConflictError

_APPLIED = {"WorkflowTemplate", "CronWorkflow"}
_ATTEMPTS = 5
_KEPT = ("resourceVersion", "finalizers", "ownerReferences")


class Objects(Protocol):
    """The objects of any of our kinds, one request each."""

    def find(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """The object; None if there is none."""

    def insert(self, kind: str, manifest: Manifest) -> Manifest:
        """Create the object; ``ConflictError`` if it is there."""

    def update(self, kind: str, manifest: Manifest) -> Manifest:
        """Replace the object; ``ConflictError`` if it changed since its ``resourceVersion``."""


def apply(objects: Objects, manifest: Manifest) -> None:
    """See ``Cluster.apply``.

    Raises:
        TransientError: others keep changing the object between our reading and writing.
        ValueError: the object is of a kind that is not ours to replace.
    """
    kind = kind_of(manifest, _APPLIED)
    namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
    for _ in range(_ATTEMPTS):
        found = objects.find(kind, namespace, name)
        try:
            if found is None:
                objects.insert(kind, manifest)
            else:
                objects.update(kind, _successor(manifest, found))
        except ConflictError:  # a controller or a colleague was quicker
            continue
        return
    message = f"{kind} {name!r} in namespace {namespace!r} is changed by others all the time."
    raise TransientError(message, hint="Try again.")


def kind_of(manifest: Manifest, allowed: set[str]) -> str:
    """The kind of an object that may be touched.

    Raises:
        ValueError: it may not; that is a bug of ours, not of a user's.
    """
    kind, version = str(manifest.get("kind")), manifest.get("apiVersion")
    if version != f"{GROUP}/{VERSION}" or kind not in allowed:
        raise ValueError(f"{version} {kind} is not among {sorted(allowed)}")
    return kind


def _successor(manifest: Manifest, found: Manifest) -> Manifest:
    """The manifest in the place of what was found.

    Argo's definitions have no status subresource, so whoever replaces a CronWorkflow without its
    status makes the controller forget what it has scheduled, and start it once more.
    """
    old, new = found["metadata"], manifest["metadata"]
    metadata = {key: old[key] for key in _KEPT if key in old} | new
    annotations = {**(old.get("annotations") or {}), **(new.get("annotations") or {})}
    if annotations:
        metadata["annotations"] = annotations
    status = {"status": found["status"]} if found.get("status") else {}
    return {**manifest, "metadata": metadata, **status}
