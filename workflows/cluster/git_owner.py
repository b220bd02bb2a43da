"""Objects that Argo CD keeps as they are in Git: it reverts other changes within seconds."""

from __future__ import annotations

from dataclasses import dataclass

from workflows.cluster.base import GROUP, Manifest

SPEC_FILE = "refeed/spec-file"
"""Annotation with the path of an object's spec in its project's folder."""

_TRACKING_ID = "argocd.argoproj.io/tracking-id"
"""Annotation of the tracking methods ``annotation``, the default, and ``annotation+label``:
``<application>:<group>/<kind>:<namespace>/<name>``."""
_INSTANCE_LABELS = ("app.kubernetes.io/instance", "argocd.argoproj.io/instance")
"""Labels of the tracking method ``label``: the default one, and the one that Argo CD's
documentation suggests instead. An installation may define another."""


@dataclass(frozen=True)
class GitOwner:
    """The owner of an object whose manifest is in Git.

    Attributes:
        application: name of Argo CD's Application.
        spec_file: path of the spec in the project's folder; empty if unknown.
    """

    application: str
    spec_file: str


def git_owner(current: Manifest) -> GitOwner | None:
    """Return the owner of an object in the cluster; None if it is not in Git."""
    metadata = current["metadata"]
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    application, _, tracked = annotations.get(_TRACKING_ID, "").partition(":")
    # Argo CD ignores the id of another object, which a copy has.
    if tracked != f"{GROUP}/{current['kind']}:{metadata['namespace']}/{metadata['name']}":
        application = next((labels[key] for key in _INSTANCE_LABELS if labels.get(key)), "")
    return GitOwner(application, annotations.get(SPEC_FILE, "")) if application else None
