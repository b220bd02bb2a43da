"""Good objects with one field broken, by the path that refusals name it with."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tests.policy.tools import Refusal

ABSENT = object()
"""In place of a value: the field is taken out."""


@dataclass(frozen=True)
class Broken:
    """One field that a rule must refuse.

    Attributes:
        rule: that refuses it.
        path: of the field, such as ``spec.templates[split].container.image``.
        value: that it gets.
        advice: part of the message.
        field: that the message names, if it is another one.
        object: that is broken, where there are several; an element of `Kind/namespace/name`.
        named: what the message calls it, if the break itself renames it.
    """

    rule: str
    path: str
    value: Any
    advice: str
    field: str = ""
    object: str = ""
    named: str = ""

    def __str__(self) -> str:
        """For pytest, which shows it as the case's name."""
        value = "absent" if self.value is ABSENT else str(self.value)[:30]
        return f"{self.rule}: {self.path} {value}"

    def seen_in(self, found: list[Refusal], object_: str) -> bool:
        """Whether the rule refuses that object's field, and the message says all three."""
        field = self.field or self.path
        return any(
            (one.rule, one.object, one.field) == (self.rule, object_, field)
            and one.message.startswith(f"{object_}: {field} ")
            and self.advice in one.message
            and one.message.endswith(f"[{self.rule}]")
            for one in found
        )


def broken(thing: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy with one field changed, added or taken out."""
    copy = deepcopy(thing)
    *parents, last = re.findall(r"(?<=\[)[^\]]+|[^.\[\]]+", path)
    inner: Any = copy
    for parent in parents:
        inner = inner[_key(inner, parent)]
    if value is ABSENT:
        del inner[_key(inner, last)]
    else:
        inner[_key(inner, last)] = deepcopy(value)
    return copy


def _key(inner: dict[str, Any] | list[Any], step: str) -> str | int:
    """A mapping's key; of a list's element its place, by its name or as it is."""
    if isinstance(inner, dict):
        return step
    names = [each.get("name") if isinstance(each, dict) else None for each in inner]
    return names.index(step) if step in names else int(step)
