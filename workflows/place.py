"""Where a project may write."""

from __future__ import annotations


def inside(root: str, output: str) -> bool:
    """Whether ``output`` is ``root`` or lies below it; dots do not climb out."""
    base, place = root.rstrip("/"), output.rstrip("/")
    climbs = any(part in {"..", "."} for part in place.partition("://")[2].split("/"))
    return not climbs and (place == base or place.startswith(f"{base}/"))
