"""Read why a pod was ended from Argo's message about it.

The message has no code. It is the reason of the container's end, or the words of the kubelet.
"""

from __future__ import annotations

_CAUSES = (
    ("OOMKilled", "memory"),
    # pkg/kubelet/eviction/helpers.go of Kubernetes
    ("exceeded its local ephemeral storage limit", "disk"),
    ("Pod ephemeral local storage usage exceeds the total limit", "disk"),
    ("Usage of EmptyDir volume", "disk"),
    ("The node was low on resource: ephemeral-storage", "evicted"),
    ("The node was low on resource: inodes", "evicted"),
    ("The node had condition: [DiskPressure]", "evicted"),
)
DISK = frozenset({"disk", "evicted"})
"""Causes of an eviction: the pod used more disk than it may, or its node ran out of disk."""


def cause_in(message: str) -> str:
    """Return ``memory``, ``disk`` or ``evicted``; empty if the message names none of them."""
    return next((cause for words, cause in _CAUSES if words in message), "")
