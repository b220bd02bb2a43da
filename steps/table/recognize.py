"""Recognize numbers and dates that are written as text, and names that are nearly the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from steps.table.column_type import NUMBER_FORMATS, TIME_FORMATS, ColumnType
from steps.table.text_conversion import parse_text

MOSTLY = 0.9
"""Share of cells that must be numbers or dates for a column to be recognized."""
_FEWEST = 10
_TRIED = 50
_SHOWN = 5
_PLAIN = tuple(map(ColumnType, ("int64", "float64", "date", "timestamp")))
_NOTATIONS = (
    *(ColumnType("float64", each) for each in NUMBER_FORMATS),
    *(ColumnType(each.kind, each) for each in TIME_FORMATS),
)


@dataclass(frozen=True)
class Recognized:
    """What a text column seems to contain.

    Attributes:
        types: entries of ``dataset.types`` that read most cells. Several read the cells
            differently, so a person must choose.
        share: share of the cells that they read.
        example: one of the cells.
    """

    types: tuple[ColumnType, ...]
    share: float
    example: str

    @property
    def what(self) -> str:
        """``numbers`` or ``dates``."""
        return "numbers" if self.types[0].canonical in {"int64", "float64"} else "dates"

    def choices(self, name: str) -> str:
        """Return the settings that read the column, in words."""
        return " or ".join(kind.setting(name) for kind in self.types)


def recognize(column: pa.Array) -> Recognized | None:
    """Return what most cells of a text column are, if they are numbers or dates.

    Codes with leading zeros are neither.
    """
    cells = column.drop_null()
    if len(cells) < _FEWEST or pc.any(pc.match_substring_regex(cells, r"^\s*0[0-9]+$")).as_py():
        return None
    found: list[tuple[float, ColumnType, pa.Array]] = []
    for kind in _PLAIN + _NOTATIONS:
        tried = cells.slice(0, _TRIED)
        if parse_text(tried, kind).null_count > (1 - MOSTLY) * _TRIED * 2:
            continue
        parsed = parse_text(cells, kind)
        share = 1 - parsed.null_count / len(cells)
        if share == 1 and kind in _PLAIN:
            return Recognized((kind,), share, cells[0].as_py())
        if share >= MOSTLY and not any(_agree(parsed, other) for _, _, other in found):
            found.append((share, kind, parsed))
    if not found:
        return None
    best = max(share for share, _, _ in found)
    chosen = [(kind, parsed) for share, kind, parsed in found if share == best]
    example = cells.filter(chosen[0][1].is_valid())[0].as_py()
    return Recognized(tuple(kind for kind, _ in chosen), best, example)


def _agree(one: pa.Array, other: pa.Array) -> bool:
    """Return True if a reading adds nothing to another one: equal values, and no more of them."""
    if one.type != other.type or one.null_count < other.null_count:
        return False
    both = pc.and_(one.is_valid(), other.is_valid())
    return bool(one.filter(both).equals(other.filter(both)))


_TOTALS = frozenset(
    {"total", "totals", "grand total", "subtotal", "sum", "all", "overall"}
    | {"gesamt", "insgesamt", "summe", "totale", "合計", "総計"}
)


def text_warning(name: str, column: pa.Array) -> tuple[str, float, str] | None:
    """Return kind, share and message of a warning about a text column; None if there is none."""
    if not pa.types.is_string(column.type):
        return None
    found = recognize(column)
    if found is None:
        return None
    share = "all" if found.share == 1 else f"{found.share:.0%}"
    advice = "Unless they are codes, set" if found.types[0].canonical == "int64" else "Set"
    text = (
        f"{name!r} is text, but {share} of its cells are {found.what} such as {found.example!r}. A "
        f"model sees {len(column.unique()):,} levels without order. {advice} {found.choices(name)}."
    )
    return f"{found.what}_as_text", found.share, text


def key_warnings(column: str, keys: Sequence[str]) -> Iterator[tuple[str, float, str]]:
    """Yield kind, number and message of warnings about the values of the partition column."""
    groups = list(similar_names(keys))
    if groups:
        shown = "; ".join(" and ".join(map(repr, group)) for group in groups[:_SHOWN])
        more = "; ..." if len(groups) > _SHOWN else ""
        yield (
            "similar_keys",
            float(len(groups)),
            f"Some values of {column!r} are written in more than one way: {shown}{more}."
            " Each is a partition of its own. Correct them in the source if they mean the same.",
        )
    found = totals(keys)
    if found and len(keys) > len(found):
        names = " and ".join(map(repr, found))
        yield (
            "total_key",
            float(len(found)),
            f"The partition {names} seems to hold sums of the others. If so, remove its rows.",
        )


def plain_name(text: str) -> str:
    """Return a name without differences that people overlook: case, width, spaces, final dots."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"\s+", " ", folded).strip(" .")


def similar_names(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Yield names that are nearly the same, in groups."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(plain_name(name), []).append(name)
    for group in groups.values():
        if len(group) > 1:
            yield tuple(sorted(group))


def totals(names: Iterable[str]) -> list[str]:
    """Return the names that seem to be sums of the others."""
    return sorted(name for name in names if plain_name(name) in _TOTALS)
