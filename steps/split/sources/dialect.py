"""The dialect of a CSV file, from its first lines: separator, encoding, and where the header is."""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa

from steps.errors import DataError, SettingError

_HEAD_BYTES = 1 << 16
_ROWS = 30
_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    Attributes:
        delimiter: separator of the cells.
        encoding: Python's name of the encoding.
        skipped: lines before the header.
    """

    delimiter: str
    encoding: str
    skipped: int


def find_dialect(
    path: Path, delimiter: str | None, encoding: str | None, skip_lines: int
) -> Dialect:
    """Return the dialect of a file.

    Args:
        path: the file, possibly compressed.
        delimiter: separator that the spec sets; None to find it.
        encoding: encoding that the spec sets; None for UTF-8, or UTF-16 with its mark.
        skip_lines: lines before the header.

    Raises:
        DataError: the file is empty, has another encoding, or does not begin with column names.
    """
    head = _head(path)
    encoding = encoding or _marked_encoding(head) or "utf-8"
    text = _text(path, head, encoding)
    skipped = skip_lines
    for _ in range(skip_lines):
        text = _LINE.sub("", text, count=1)
    first = _LINE.match(text)
    line = first[0].rstrip("\r\n") if first else ""
    if line.lower().startswith("sep=") and len(line) == len("sep=;"):
        delimiter, text, skipped = delimiter or line[-1], _LINE.sub("", text, count=1), skipped + 1
    delimiter = delimiter or _delimiter(text)
    _reject_title(path, text, delimiter)
    return Dialect(delimiter, encoding, skipped)


_LINE = re.compile(r"\A[^\r\n]*(?:\r\n|\r|\n|\Z)")
"""The first line. Python's ``splitlines`` ends lines at more characters than CSV does."""


def _head(path: Path) -> bytes:
    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            head: bytes = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise DataError(
            f"{str(path)!r} cannot be decompressed: {error}.", hint="Write or copy it again."
        ) from error
    if not head:
        raise DataError(f"{str(path)!r} is empty. A CSV source starts with a line of column names.")
    return head


def _marked_encoding(head: bytes) -> str | None:
    """Return the encoding that a byte order mark says; UTF-8's is read like UTF-8."""
    return "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else None


def _text(path: Path, head: bytes, encoding: str) -> str:
    """Return the first bytes as text."""
    try:
        decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)
        text = decoder().decode(head, final=len(head) < _HEAD_BYTES)
    except LookupError as error:
        raise DataError(
            f"dataset.encoding is {encoding!r}, which is no encoding that Python knows.",
            hint="Use utf-8, utf-16, cp1252 or latin-1, for example.",
        ) from error
    except UnicodeError as error:
        raise not_decodable(path, encoding) from error
    return text


def not_decodable(path: Path, encoding: str) -> DataError:
    """Return the error for a file that has another encoding."""
    return SettingError(
        f"{str(path)!r} contains text that is not valid {encoding.upper()}.",
        hint="Set dataset.encoding, for example cp1252 (Windows in Western Europe and America) or "
        "shift_jis, or convert the file to UTF-8.",
        setting="encoding",
        value="cp1252" if encoding != "cp1252" else "latin-1",
    )


def _rows(text: str, delimiter: str) -> list[list[str]]:
    """Return the first rows; the last one of a long text is left out, as it may be cut."""
    try:
        rows = list(islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), _ROWS))
    except csv.Error:  # such as a cell of more than 128 KiB
        return []
    whole = len(text.encode("utf-8", "replace")) < _HEAD_BYTES // 4 or len(rows) == _ROWS
    return rows if whole else rows[:-1] or rows


def _delimiter(text: str) -> str:
    """Return the separator with which the most rows have equally many cells, and the most cells.

    Not all rows need to agree: a title above the header has no cells.
    """
    return max(_DELIMITERS, key=lambda each: _agreement(text, each))


def _agreement(text: str, delimiter: str) -> tuple[int, int]:
    """Return the number of rows of the usual width, and this width; (0, 1) if most differ."""
    widths = [len(row) for row in _rows(text, delimiter) if row]
    width = _usual(widths)
    count = widths.count(width)
    return (count, width) if width > 1 and 2 * count > len(widths) else (0, 1)


def _usual(widths: list[int]) -> int:
    """Return the width of most rows, the larger one of two; 0 without rows."""
    return max(set(widths), key=lambda width: (widths.count(width), width), default=0)


def _reject_title(path: Path, text: str, delimiter: str) -> None:
    """Reject a file whose first line is a title or a comment.

    It has one cell, or starts with a #, and most lines have another number of cells.
    """
    widths = [len(row) for row in _rows(text, delimiter)]
    common = _usual(widths)
    comment = text.lstrip().startswith("#")
    if common <= 1 or widths[0] == common or (widths[0] > 1 and not comment):
        return  # a header; or a line with too many cells, which the reader names
    header = widths.index(common)
    lines = re.split(r"\r\n|\r|\n", text)
    raise SettingError(
        f"{str(path)!r} begins with {lines[0][:60]!r}, which is not a line of column names. "
        f"They seem to be in line {header + 1}: {lines[header][:60]!r}.",
        hint=f"Set dataset.skip_lines: {header}, or remove the lines above the column names.",
        setting="skip_lines",
        value=header,
    )
