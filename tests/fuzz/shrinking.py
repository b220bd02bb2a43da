"""Make a failing table as small as possible: fewer variants, columns, rows and files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.fuzz.table import Dialect, Table, Variant

Fails = Callable[[Table], bool]
_MAX_TRIES = 400


def shrink(table: Table, fails: Fails) -> Table:
    """Return a small table that still fails.

    Args:
        table: a table that fails.
        fails: returns True if a table fails in the same way.
    """
    tries = 0
    smaller = True
    while smaller:
        smaller = False
        for candidate in _candidates(table):
            tries += 1
            if tries > _MAX_TRIES:
                return table
            if fails(candidate):
                table, smaller = candidate, True
                break
    return table


def _candidates(table: Table) -> Iterator[Table]:
    """Yield smaller tables, the smallest first."""
    variants = table.variants
    if len(variants) > 1:
        yield from (replace(table, variants=(each,)) for each in variants)
        yield from (
            replace(table, variants=variants[:i] + variants[i + 1 :])
            for i in range(len(variants))
            if len(variants) > 2
        )
    yield from _of_rows(table)
    for column in table.columns:
        if column.name in table.features and column.name != table.row_id:
            yield _without(table, column.name)
    if table.group or table.time:
        dropped = _without(table, table.group or table.time)
        evaluation = {**table.evaluation, "method": "kfold"}
        yield replace(dropped, group="", time="", evaluation=evaluation)
    for position, variant in enumerate(variants):
        for simpler in _simpler(variant):
            yield replace(
                table, variants=(*variants[:position], simpler, *variants[position + 1 :])
            )


def _of_rows(table: Table) -> Iterator[Table]:
    """Yield tables with half of the rows, a quarter and so on down to one row less."""
    size = table.rows // 2
    while size:
        for start in range(0, table.rows, size):
            kept = [row for row in range(table.rows) if not start <= row < start + size]
            if kept:
                yield table.take(kept)
        size //= 2


def _without(table: Table, name: str) -> Table:
    columns = tuple(column for column in table.columns if column.name != name)
    variants = tuple(
        replace(
            each,
            gap="" if each.gap == name else each.gap,
            folder="" if each.folder == name else each.folder,
        )
        for each in table.variants
    )
    return replace(table, columns=columns, variants=variants)


def _simpler(variant: Variant) -> Iterator[Variant]:
    if variant.files > 1:
        yield replace(variant, files=1, gap="")
    if variant.gap:
        yield replace(variant, gap="")
    if variant.folder:
        yield replace(variant, folder="")
    if variant.empty_file:
        yield replace(variant, empty_file=False)
    for name, plain in vars(Dialect()).items():
        if name != "encoding" and getattr(variant.dialect, name) != plain:
            yield replace(variant, dialect=replace(variant.dialect, **{name: plain}))
