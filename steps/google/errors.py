"""What the clients of Google's services say alike of their errors. Imports none of them."""

from __future__ import annotations

LOGIN = (
    "On a workstation run `gcloud auth application-default login`; in a cluster give the pod's "
    "service account workload identity."
)
"""What to do where nobody is logged in."""

_LONGEST = 300


def brief(error: object) -> str:
    """An error's text on one line, without the full stop, 300 characters at the most."""
    return " ".join(str(error).split())[:_LONGEST].rstrip(".")
