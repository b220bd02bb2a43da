"""Defects that are known and not fixed yet. Tables that meet one are not checked.

When a defect is fixed, its case in ``cases/`` passes, which fails the test until its line in
``DEFECTS`` and its function are deleted.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.fuzz.table import Table

_OTHER_LINE_ENDS = frozenset("\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")


def _decimal(table: Table) -> bool:
    return any(column.arrow.startswith("decimal") for column in table.columns)


def _early_nanoseconds(table: Table) -> bool:
    return any(
        isinstance(cell, int) and cell < 0 and nano
        for column in table.columns
        for cell, nano in zip(column.cells, column.nanos, strict=False)
    )


def _hexadecimal(table: Table) -> bool:
    return any(re.match("0x[0-9A-F]", text) for each in table.columns for text in each.texts)


def _plus(table: Table) -> bool:
    return any(
        text.startswith("+")
        for each in table.columns
        if each.kind == "int64"
        for text in each.texts
    )


def _smallest_integer(table: Table) -> bool:
    return any(
        cell == -(2**63) for each in table.columns if each.kind == "int64" for cell in each.cells
    )


def _line_ends(table: Table) -> bool:
    texts = [text for each in table.columns for text in (each.name, *each.texts)]
    return any(_OTHER_LINE_ENDS & set(text) for text in texts)


def _codes_with_words(table: Table) -> bool:
    words = {"unknown", "n/a"}
    return any(words & set(each.texts) for each in table.columns)


def _empty_text_and_null_values(table: Table) -> bool:
    empty = any(cell == "" for each in table.columns for cell in each.cells)
    return empty and any(variant.dialect.missing for variant in table.variants)


def _newlines(table: Table) -> bool:
    lines = any("\n" in text for each in table.columns for text in (each.name, *each.texts))
    return lines and any(variant.dialect.delimiter != "," for variant in table.variants)


def _padded(table: Table) -> bool:
    return any(
        isinstance(cell, str) and cell != cell.strip()
        for each in table.columns
        for cell in each.cells
    )


def _holdout_of_few_groups(table: Table) -> bool:
    return bool(table.group) and table.evaluation["method"] == "holdout"


DEFECTS: dict[str, Callable[[Table], bool]] = {
    "decimals": _decimal,
    "early-nanoseconds": _early_nanoseconds,
    "hexadecimal-among-numbers": _hexadecimal,
    "plus-signs": _plus,
    "smallest-integer": _smallest_integer,
    "other-line-ends": _line_ends,
    "codes-and-a-word": _codes_with_words,
    "quoted-empty-cells": _empty_text_and_null_values,
    "cells-of-several-lines": _newlines,
    "padded-text": _padded,
    "holdout-of-few-groups": _holdout_of_few_groups,
}
"""Name of the defect's case, and a function that returns True if a table may meet the defect."""


def is_known(table: Table) -> bool:
    """Return True if a table meets a defect that is not fixed yet."""
    return any(meets(table) for meets in DEFECTS.values())


def is_known_in_training(table: Table) -> bool:
    """Return True if a table has numbers whose squares overflow.

    Its partitions fail with the message "Out of range float values are not JSON compliant".
    """
    numbers = [cell for each in table.columns for cell in each.cells if isinstance(cell, float)]
    return any(abs(number) > _LARGEST for number in numbers)


_LARGEST = 1e100
