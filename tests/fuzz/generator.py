"""Random tables, each of which follows from one whole number."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from tests.fuzz import columns
from tests.fuzz.table import Column, Dialect, Format, Table, Variant

_NAMES = (
    *("store", "x", "X", "price (€)", "a,b", 'the "best"', "two\nlines", "../../etc", "=cmd()"),
    *(
        "<script>alert(1)</script>",
        "n" * 300,
        "名前",
        "ключ",
        "e\u0301",
        "é",
        "a.b",
        "a;b",
        "a|b",
        "a\tb",
    ),
    *(
        "#note",
        "1",
        "1.5",
        "true",
        "null",
        "NaN",
        "index",
        "level_0",
        "key",
        "target",
        "rows",
        "fold",
    ),
    *(
        "trailing ",
        " leading",
        "a=b",
        "%41",
        "{{x}}",
        "$HOME",
        "-",
        "_",
        "__init__",
        "\\",
        "'",
        "🦊",
    ),
    *("missing", "partition", "weight", "2024-01-31", "sep=", "a\u00a0b", "DROP TABLE", "x" * 64),
)
_ROWS = (1, 2, 5, 12, 20, 30, 40, 60)
_FEW_KEYS = 5
_MAX_FOLDERS = 6


def generate(seed: int, rows: int | None = None) -> Table:
    """Return the table of a seed.

    Args:
        seed: decides everything.
        rows: about how many rows; None for a few.
    """
    rng = Random(seed)
    count = rows or rng.choice(_ROWS)
    names = rng.sample(_NAMES, rng.randint(4, 9))
    row_id = columns.integers(rng, names.pop(), count)
    numbers = rng.sample(range(count * 3), count)
    arrow = "int64" if count > 50 else rng.choice(["int16", "int64", "uint32"])
    row_id = replace(row_id, cells=tuple(numbers), texts=tuple(map(str, numbers)), arrow=arrow)
    key = _key(rng, names.pop(), count)
    target = rng.choice(columns.TARGETS)(rng, names.pop(), count)
    made = [row_id, key, _thinned(rng, target, 0.3)]
    group = time = ""
    if len(names) > 1 and rng.random() < 0.35:
        group = names.pop()
        made.append(_thinned(rng, _few(rng, rng.choice(columns.GROUPS)(rng, group, count)), 0.2))
    elif len(names) > 1 and rng.random() < 0.25:
        time = names.pop()
        made.append(_thinned(rng, rng.choice(columns.TIMES)(rng, time, count), 0.2))
    made += [_thinned(rng, rng.choice(columns.KINDS)(rng, name, count), 0.5) for name in names]
    if rng.random() < 0.15:
        made[-1] = replace(
            made[-1], cells=(None,) * count, texts=("",) * count
        )  # wholly missing; may be any column but the row's number
    rng.shuffle(made)
    method = "time" if time else rng.choice(["kfold", "kfold", "kfold", "holdout"])
    table = Table(
        seed=seed,
        columns=tuple(made),
        partition_by=key.name,
        target=target.name,
        row_id=row_id.name,
        group=group,
        time=time,
        listed=rng.random() < 0.5,
        evaluation={
            "method": method,
            "folds": rng.randint(2, 6),
            "seed": rng.randrange(5),
            "fraction": rng.choice([0.2, 0.4]),
        },
        variants=(),
    )
    table = _with_copies(rng, table)
    return replace(table, variants=_variants(rng, table))


def _key(rng: Random, name: str, rows: int) -> Column:
    column = _few(rng, rng.choice(columns.KEYS)(rng, name, rows))
    return _thinned(rng, column, 0.15)


def _few(rng: Random, column: Column) -> Column:
    """Return a column of few distinct values."""
    first = [rng.randrange(len(column.cells)) for _ in range(rng.randint(1, _FEW_KEYS))]
    return column.take(rng.choice(first) for _ in column.cells)


def _thinned(rng: Random, column: Column, chance: float) -> Column:
    """Return a column, possibly with missing cells."""
    if rng.random() >= chance:
        return column
    return columns.with_missing(rng, column, rng.choice([0.05, 0.3, 0.9]))


def _with_copies(rng: Random, table: Table) -> Table:
    """Return a table, possibly with rows that repeat."""
    rows = list(range(table.rows))
    if rng.random() < 0.4:
        rows += [rng.choice(rows) for _ in range(rng.randint(1, table.rows))]
    return table.take(rows)


# --- ways to write a table --------------------------------------------------------------------


def _variants(rng: Random, table: Table) -> tuple[Variant, ...]:
    """Return three or four ways to write a table, at least one of them as CSV."""
    others: list[Format] = ["csv", "parquet", "arrow"]
    chosen: list[Format] = ["csv", *rng.sample(others, 2)]
    if fits_workbook(table) and rng.random() < 0.6:
        chosen.append("xlsx")
    return tuple(_variant(rng, table, each) for each in chosen)


def _variant(rng: Random, table: Table, file_format: Format) -> Variant:
    files = rng.choice([1, 1, 2, 3])
    with_gaps = [each.name for each in table.columns if 0 < len(each.known) < table.rows]
    folders = [
        each.name for each in table.columns if fits_folder(each) and each.name != table.row_id
    ]
    return Variant(
        format=file_format,
        seed=rng.randrange(2**32),
        files=files,
        gap=rng.choice(with_gaps) if with_gaps and files > 1 and rng.random() < 0.6 else "",
        folder=rng.choice(folders) if folders and rng.random() < 0.2 else "",
        empty_file=rng.random() < 0.08,
        dialect=_dialect(rng, table) if file_format == "csv" else Dialect(),
    )


def _dialect(rng: Random, table: Table) -> Dialect:
    delimiter = rng.choice([",", ",", ",", ";", ";", "\t", "|"])
    encodings = ["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16"]
    if all(_encodable(text, "cp1252") for text in _all_texts(table)):
        encodings.append("cp1252")
    missing = rng.choice(["", "", "", "NA", "-999", "?"])
    if any(missing in column.texts for column in table.columns):
        missing = ""
    suffix = rng.choice([".csv", ".csv", ".csv", ".csv.gz", ".csv.zst"])
    if delimiter == "\t":
        suffix = suffix.replace("csv", "tsv")
    encoding = rng.choice(encodings)
    return Dialect(
        delimiter=delimiter,
        comma=delimiter == ";" and rng.random() < 0.6,
        encoding=encoding,
        named=encoding == "cp1252" or rng.random() < 0.2,
        quote_all=rng.random() < 0.15,
        newline=rng.choice(["\n", "\n", "\r\n"]),
        suffix=suffix,
        missing=missing,
        title=rng.choice([0, 0, 0, 0, 0, 1, 2]),
        sep_line=rng.random() < 0.08 and encoding == "utf-8" and delimiter in ";,|",
    )


def _all_texts(table: Table) -> list[str]:
    cells = [text for column in table.columns for text in column.texts]
    return [*cells, *(column.name for column in table.columns)]


def _encodable(text: str, encoding: str) -> bool:
    try:
        return text.encode(encoding).decode(encoding) == text
    except UnicodeError:
        return False


def fits_folder(column: Column) -> bool:
    """Return True if the values of a column can be names of folders."""
    texts = {
        text for cell, text in zip(column.cells, column.texts, strict=True) if cell is not None
    }
    return (
        len(texts) <= _MAX_FOLDERS
        and len(column.name) < 64
        and all(text.strip(".") and len(text) < 64 for text in texts)
        and "=" not in column.name
        and column.name[0] not in "_."
        and len({*zip(column.cells, column.texts, strict=True)}) == len(set(column.cells))
    )


def fits_workbook(table: Table) -> bool:
    """Return True if a workbook can contain the table: it has no empty strings."""
    return all(
        cell != "" and not (isinstance(cell, str) and _CONTROL & set(cell))
        for column in table.columns
        for cell in (*column.cells, column.name)
    )


_CONTROL = frozenset("\x0c\x0b\x00\r")
