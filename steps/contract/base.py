"""Versions of results, and how paths are joined."""

from __future__ import annotations

SPLIT_VERSION = 5
"""Increase this when the same source would produce different part files."""

TRAIN_VERSION = 6
"""Increase this when the same rows would give another model, metric or explanation."""

COMPARISON_VERSION = 1
"""Increase this when the same models would give another comparison with the base model."""

RESULTS_VERSION = f"{SPLIT_VERSION}.{TRAIN_VERSION}"
"""Runs can be resumed by versions of Refeed that have this version in common."""


LOCK = ".lock"
"""Name of a lock file; there are some in local folders only."""


def join(base: str, *parts: str) -> str:
    """Join with ``/`` on every platform, since a URI is not a path."""
    return "/".join([base.rstrip("/"), *parts])
