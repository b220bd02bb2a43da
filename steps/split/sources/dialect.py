"""The dialect of a CSV file, from its first lines: separator, encoding, and where the header is."""

from __future__ import annotations

import codecs
import csv
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from steps.errors import DataError, SettingError

_HEAD_BYTES = 1 << 16
_LINES = 30
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
    lines = _text(path, head, encoding).splitlines()
    lines, skipped = lines[skip_lines:], skip_lines
    if lines and lines[0].lower().startswith("sep=") and len(lines[0]) == len("sep=;"):
        delimiter, lines, skipped = delimiter or lines[0][-1], lines[1:], skipped + 1
    delimiter = delimiter or _delimiter(lines)
    _reject_title(path, lines, delimiter)
    return Dialect(delimiter, encoding, skipped)


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
    """Return the whole lines of the first bytes."""
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
    if len(head) == _HEAD_BYTES and "\n" in text:
        text = text[: text.rindex("\n")]
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


def _delimiter(lines: list[str]) -> str:
    """Return the separator with which all lines have as many cells as the first, the most cells."""
    widths = {each: _width(lines, each) for each in _DELIMITERS}
    return max(_DELIMITERS, key=lambda each: widths[each])


def _width(lines: list[str], delimiter: str) -> int:
    """Return the number of cells per line; 1 if lines differ."""
    rows = [row for row in csv.reader(lines[:_LINES], delimiter=delimiter) if row]
    widths = {len(row) for row in (rows[:-1] if len(rows) == _LINES else rows)}
    return widths.pop() if len(widths) == 1 else 1


def _reject_title(path: Path, lines: list[str], delimiter: str) -> None:
    """Reject a file whose first line is a title or a comment.

    It has one cell, or starts with a #, and most lines have another number of cells.
    """
    rows = list(csv.reader(lines[:_LINES], delimiter=delimiter))
    widths = [len(row) for row in rows]
    common = max(set(widths), key=lambda width: (widths.count(width), width), default=0)
    comment = bool(lines) and lines[0].lstrip().startswith("#")
    if common <= 1 or widths[0] == common or (widths[0] > 1 and not comment):
        return  # a header; or a line with too many cells, which the reader names
    header = widths.index(common)
    raise SettingError(
        f"{str(path)!r} begins with {lines[0][:60]!r}, which is not a line of column names. "
        f"They seem to be in line {header + 1}: {lines[header][:60]!r}.",
        hint=f"Set dataset.skip_lines: {header}, or remove the lines above the column names.",
        setting="skip_lines",
        value=header,
    )
