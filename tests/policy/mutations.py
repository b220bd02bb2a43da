"""Change one field of a valid object and expect a violation of that field."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tests.policy.tools import Violation

REMOVED = object()
"""The value of a mutation that removes the field."""


@dataclass(frozen=True)
class Mutation:
    """A change of one field that a rule must reject.

    Attributes:
        rule: the rule that rejects the change.
        path: the path of the field, such as ``spec.templates[split].container.image``.
        value: the new value.
        remedy: a part of the message.
        field: the field in the message, if it differs from the path.
        object: the object to change, as `Kind/namespace/name` or a Terraform address.
        reported_object: the object in the message, if the change renames it.
    """

    rule: str
    path: str
    value: Any
    remedy: str
    field: str = ""
    object: str = ""
    reported_object: str = ""

    def __str__(self) -> str:
        """Return the test ID."""
        value = "removed" if self.value is REMOVED else str(self.value)[:30]
        return f"{self.rule}: {self.path} {value}"

    def is_reported(self, violations: list[Violation], object_: str) -> bool:
        """Return true if a violation names the rule, object, field and remedy."""
        field = self.field or self.path
        return any(
            (each.rule, each.object, each.field) == (self.rule, object_, field)
            and each.message.startswith(f"{object_}: {field} ")
            and self.remedy in each.message
            and each.message.endswith(f"[{self.rule}]")
            for each in violations
        )


def mutated(thing: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return a copy with one field changed, added or removed."""
    copy = deepcopy(thing)
    *parents, last = re.findall(r"(?<=\[)[^\]]+|[^.\[\]]+", path)
    inner: Any = copy
    for parent in parents:
        inner = inner[_key(inner, parent)]
    if value is REMOVED:
        del inner[_key(inner, last)]
    else:
        inner[_key(inner, last)] = deepcopy(value)
    return copy


def _key(inner: dict[str, Any] | list[Any], step: str) -> str | int:
    """Return the key in a mapping, or the index of a list element given by name or number."""
    if isinstance(inner, dict):
        return step
    names = [each.get("name") if isinstance(each, dict) else None for each in inner]
    return names.index(step) if step in names else int(step)
