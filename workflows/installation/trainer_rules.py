"""A platform's rules for a trainer: defaults and limits of its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from steps.errors import Problem


def with_defaults(
    params: Mapping[str, Any], defaults: Mapping[str, Any], aliases: Mapping[str, str]
) -> dict[str, Any]:
    """Return a spec's parameters, with the platform's defaults where it does not set them.

    Args:
        params: the spec's parameters.
        defaults: the platform's.
        aliases: the parameter that each other name means.
    """
    chosen = {aliases.get(name, name) for name in params}
    added = {
        name: value for name, value in defaults.items() if aliases.get(name, name) not in chosen
    }
    return {**added, **params}


def limit_problems(
    params: Mapping[str, Any], limits: Mapping[str, Mapping[str, float | None]]
) -> Iterator[Problem]:
    """Yield a problem for each parameter beyond its limits; a value such as auto has none."""
    for name, limit in limits.items():
        value = params.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        low, high = limit.get("min"), limit.get("max")
        if low is not None and value < low:
            yield _beyond(name, value, f"less than the platform's minimum of {low:g}", low)
        if high is not None and value > high:
            yield _beyond(name, value, f"more than the platform's maximum of {high:g}", high)


def _beyond(name: str, value: float, how: str, bound: float) -> Problem:
    where = f"trainer.params.{name}"
    return Problem(where, f"{value:g} is {how}", f"For example --set {where}={bound:g}")
