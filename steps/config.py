"""The base of every part of the experiment spec, and pydantic's errors by field."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails


class SpecPart(BaseModel):
    """A part of the spec: unknown keys are errors, types are not guessed at, values are fixed."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


def best_errors(error: ValidationError) -> dict[str, ErrorDetails]:
    """Return one error per field, by dotted path; of a union, that of its best matching branch."""
    best: dict[str, ErrorDetails] = {}
    for details in error.errors(include_url=False):
        where = _where(details)
        if where not in best or _rank(details) < _rank(best[where]):
            best[where] = details
    return {
        where: details
        for where, details in best.items()
        if not any(other.startswith(f"{where}.") for other in best)
    }


def _rank(details: ErrorDetails) -> int:
    kind = details["type"]
    return {"extra_forbidden": 0, "literal_error": 2, "is_instance_of": 3}.get(kind, 1)


_BRANCHES = re.compile(
    r"^(list\[.*|dict\[.*|ExcludedFeatures|PartialDependenceConfig|literal\[.*|str|int"
    r"|float|bool|nullable\[.*|constrained-.*|function-.*)$"
)


def _where(details: ErrorDetails) -> str:
    """Return the dotted path of a pydantic error, without the names of union branches."""
    return ".".join(
        str(part)
        for i, part in enumerate(details["loc"])
        if i == 0 or not (isinstance(part, str) and _BRANCHES.match(part))
    )
