"""Infer the type of text columns from all of their rows, whatever the order of rows and files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from steps.table.column_type import ColumnType, NumberFormat
from steps.table.text_conversion import ISO_TIME, PLAIN_NUMBER, WHOLE_NUMBER, parse_text

Bytes = NDArray[np.uint8]

_TELEPHONE_DIGITS = 8
"""A whole number with a plus sign and at least as many digits is a telephone number."""
_CODE = rf"^[+-]?0[0-9]+(\.[0-9]+)?$|^[+-]?0[xX][0-9A-Fa-f]+$|^\+[0-9]{{{_TELEPHONE_DIGITS},}}$"
"""Codes that look like numbers."""
_LONG_DIGITS = 16
"""Digits from which on float64 does not hold every whole number."""
_LONG = rf"^[+-]?[0-9]{{{_LONG_DIGITS},}}$"
_BEYOND = 1 << 63
_FLAGS = pa.array(["true", "false", "0", "1"])
_DECIMAL_COMMA = NumberFormat(".", ",")
_DATE_LENGTHS = {"min": 10, "max": 10}
_NANOSECONDS = r"\.[0-9]{7,}"
_COMMA_TYPE = ColumnType("float64", _DECIMAL_COMMA)
_TRIED = 10
_WORDS = 3
"""Distinct words that may stand for missing in a column of numbers or dates."""
_MOSTLY = 0.9


class MixedTextError(Exception):
    """A column that is nearly all numbers or dates, but holds other text too.

    Attributes:
        kind: ``numbers`` or ``dates``; ``decimals`` where float64 would change the cell; ``zones``
            where some times have a zone and others have none.
        cell: one of the other cells.
    """

    def __init__(self, kind: str, cell: str) -> None:
        super().__init__(kind, cell)
        self.kind, self.cell = kind, cell


@dataclass
class TextEvidence:
    """What the cells of a text column, so far, allow its type to be.

    Every field only ever changes in one direction, so batches may come in any order.

    Attributes:
        known: cells that are not missing.
        numbers: cells that are plain numbers.
        times: cells that are dates or times in ISO 8601.
        whole: all cells are whole numbers of 64 bits.
        plus: some whole number has a plus sign.
        plain: all cells are plain numbers.
        fraction: some number has a fraction or an exponent, or is NaN.
        code: some number has a leading zero, or another sign of a code.
        beyond: some whole number is beyond 64 bits.
        lossy: a whole number that float64 cannot hold; the smallest as text.
        flags: all cells are true, false, 0 or 1.
        dates: all cells are dates.
        zones: whether times have a zone.
        nanoseconds: some time has more digits than microseconds have.
        commas: all cells are whole numbers, or numbers with a decimal comma.
        comma: some cell has a comma.
        words: the smallest distinct cells that are neither numbers nor times, a few.
    """

    known: int = 0
    numbers: int = 0
    times: int = 0
    whole: bool = True
    plus: bool = False
    plain: bool = True
    fraction: bool = False
    code: bool = False
    beyond: bool = False
    lossy: str = ""
    flags: bool = True
    dates: bool = True
    zones: set[bool] = field(default_factory=set)
    nanoseconds: bool = False
    commas: bool = True
    comma: bool = False
    words: list[str] = field(default_factory=list)

    @property
    def has_decimal_comma(self) -> bool:
        """True if all cells are numbers with a decimal comma, if that is what their commas are."""
        return self.commas and self.comma

    def add(self, column: pa.Array) -> None:
        """Add cells; a null is missing."""
        cells = column.drop_null()
        if not len(cells):
            return
        self.known += len(cells)
        if _contains(cells, _SPACES):
            cells = pc.utf8_trim_whitespace(cells)
        if not _contains(cells, _NOT_DIGITS) and self._is_whole(cells):
            self._add_whole(cells)
        elif _fits(cells, pa.float64()):
            self._add_fractions(cells)
        elif _fits(cells, pa.timestamp("us")):
            self._add_plain_times(cells)
        else:
            self._add_text(cells)

    def _is_whole(self, cells: pa.Array) -> bool:
        """Return True for whole numbers of 64 bits; Arrow does not take a plus sign for them."""
        plus = _contains(cells, _PLUS_SIGN)
        found = _fits(pc.utf8_ltrim(cells, "+") if plus else cells, pa.int64())
        self.plus = self.plus or (found and plus)
        return found

    def _add_whole(self, cells: pa.Array) -> None:
        self.numbers += len(cells)
        self.dates = False
        self.code = self.code or _looks_like_code(cells)
        self.flags = self.flags and bool(pc.all(pc.is_in(cells, _FLAGS)).as_py())
        self._add_long(cells)

    def _add_fractions(self, cells: pa.Array) -> None:
        self.numbers += len(cells)
        self.dates = self.whole = self.flags = False
        self.code = self.code or _looks_like_code(cells)
        self.fraction = self.fraction or _contains(cells, _NOT_DIGITS)
        if self.commas:
            self._add_commas(cells.unique())
        self._add_long(cells)

    def _add_long(self, cells: pa.Array) -> None:
        if pc.max(pc.binary_length(cells)).as_py() < _LONG_DIGITS:
            return
        texts = cells.filter(pc.match_substring_regex(cells, _LONG)).unique().to_pylist()
        self.beyond = self.beyond or any(not -_BEYOND <= int(text) < _BEYOND for text in texts)
        lossy = [text for text in texts if int(text) != int(float(text))]
        self.lossy = min([*lossy, *([self.lossy] if self.lossy else [])], default="")

    def _add_plain_times(self, cells: pa.Array) -> None:
        """Add times without a zone, of at most microseconds."""
        self.whole = self.plain = self.flags = self.commas = False
        self.times += len(cells)
        self.zones.add(False)
        lengths = pc.min_max(pc.binary_length(cells)).as_py()
        self.dates = self.dates and lengths == _DATE_LENGTHS

    def _add_text(self, cells: pa.Array) -> None:
        counts = cells.value_counts()
        distinct, count = counts.field("values"), counts.field("counts")
        self.whole = self.plain = False
        lower = pc.utf8_lower(distinct)
        self.flags = self.flags and bool(pc.all(pc.is_in(lower, _FLAGS)).as_py())
        if self.commas:
            self._add_commas(distinct)
        # Few texts begin like a number or a date, and only these are read further.
        initial = pa.array(_INITIALS[_first_bytes(distinct)])
        some, some_counts = distinct.filter(initial), count.filter(initial)
        number = pc.match_substring_regex(some, PLAIN_NUMBER)
        self.code = self.code or _any(some, _CODE)
        time = parse_text(some, ColumnType("timestamp")).is_valid()
        self.numbers += _total(some_counts.filter(number))
        self._add_times(some.filter(time), some_counts.filter(time))
        words = pc.invert(pc.or_(number, time))
        self.dates = self.dates and bool(pc.all(initial).as_py()) and not pc.any(words).as_py()
        candidates = (distinct.filter(pc.invert(initial)), some.filter(words))
        self.words = _smallest([*self.words, *(w for each in candidates for w in _least(each))])

    def _add_commas(self, distinct: pa.Array) -> None:
        self.commas = not parse_text(distinct, _COMMA_TYPE).null_count
        self.comma = self.comma or _any(distinct, ",")

    def _add_times(self, distinct: pa.Array, count: pa.Array) -> None:
        self.times += _total(count)
        zone = pc.struct_field(pc.extract_regex(distinct, ISO_TIME), "zone")
        self.zones |= {text != "" for text in zone.unique().to_pylist()}
        self.nanoseconds = self.nanoseconds or _any(distinct, _NANOSECONDS)
        days = pc.equal(pc.utf8_length(distinct), _DATE_LENGTHS["min"])
        self.dates = self.dates and bool(pc.all(days, min_count=0).as_py())

    def column_type(self, *, decimal_comma: bool = False) -> ColumnType | None:
        """Return the type of the column; None if all cells are missing.

        Args:
            decimal_comma: the file's numbers may have a decimal comma.

        Raises:
            MixedTextError: the column is nearly all numbers or dates, but not all.
        """
        if not self.known:
            return None
        if decimal_comma and self.commas and (self.comma or self.fraction) and not self.code:
            return _COMMA_TYPE
        if self.plain:
            return self._number_type()
        if self.flags:
            return ColumnType("bool")
        if self.times == self.known:
            if len(self.zones) > 1:
                raise MixedTextError("zones", "")
            return ColumnType("date" if self.dates else "timestamp")
        if not self.code:
            self._reject_mixed()
        return ColumnType("string")

    def _number_type(self) -> ColumnType:
        if self.code or (not self.fraction and (self.beyond or (self.lossy and not self.whole))):
            return ColumnType("string")
        if self.whole:
            return ColumnType("int64")
        if self.lossy:
            raise MixedTextError("decimals", self.lossy)
        return ColumnType("float64")

    def _reject_mixed(self) -> None:
        for kind, count in (("numbers", self.numbers), ("dates", self.times)):
            others = [*self.words]
            few = 0 < len(others) <= _WORDS and count > self.known / 2
            if others and (few or count > _MOSTLY * self.known):
                raise MixedTextError(kind, others[0])


def _fits(cells: pa.Array, kind: pa.DataType) -> bool:
    """Return True if all cells can be cast.

    A few are tried first, because Arrow makes a message for each cell that fails.
    """
    try:
        for part in (cells.slice(0, _TRIED), cells.slice(_TRIED)):
            part.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _any(cells: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(cells, pattern), min_count=0).as_py())


def _total(count: pa.Array) -> int:
    return int(pc.sum(count).as_py() or 0)


def _least(texts: pa.Array) -> list[str]:
    """Return the smallest texts, a few."""
    first = pc.select_k_unstable(texts, _WORDS + 1, [("", "ascending")])
    smallest: list[str] = texts.take(first).to_pylist()
    return smallest


def _smallest(words: Iterable[str]) -> list[str]:
    return sorted(set(words))[: _WORDS + 1]


# --- bytes: a look at each is many times faster than a regular expression ---------------------


def _table(characters: bytes) -> NDArray[np.bool_]:
    """Return True at the bytes of some characters; shape (256,)."""
    table = np.zeros(256, bool)
    table[np.frombuffer(characters, np.uint8)] = True
    return table


_SPACES = _table(b" \t\r\n\x0b\x0c\xc2\xe2\xe3")
"""Spaces, and the first bytes of those beyond ASCII."""
_PLUS_SIGN = _table(b"+")
_NOT_DIGITS = ~_table(b"0123456789+-")
_INITIALS = _table(b"0123456789+-.nNiI")
"""First bytes of numbers and dates."""
_SECOND = _table(b"0123456789xX")
_PLUS, _MINUS, _ZERO = b"+-0"


def _bytes_of(cells: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return all bytes of text cells without nulls, and where each cell begins and ends."""
    offsets = np.frombuffer(cells.buffers()[1], np.int32)
    offsets = offsets[cells.offset : cells.offset + len(cells) + 1].astype(np.int64)
    content = cells.buffers()[2]
    data = np.frombuffer(content, np.uint8) if content is not None else np.zeros(0, np.uint8)
    return data[offsets[0] : offsets[-1]], offsets - offsets[0]


def _contains(cells: pa.Array, table: NDArray[np.bool_]) -> bool:
    data, _ = _bytes_of(cells)
    return bool(table[data].any())


def _byte_at(data: NDArray[np.uint8], start: NDArray[np.int64], end: NDArray[np.int64]) -> Bytes:
    """Return the byte at each position, 0 where the cell has ended."""
    padded = np.append(data, np.uint8(0))
    bytes_: Bytes = np.where(start < end, padded[np.minimum(start, len(data))], 0)
    return bytes_


def _first_bytes(cells: pa.Array) -> Bytes:
    data, offsets = _bytes_of(cells)
    return _byte_at(data, offsets[:-1], offsets[1:])


def _looks_like_code(cells: pa.Array) -> bool:
    """Return True if a number looks like a code: 007, 0x1F, or a telephone number."""
    data, offsets = _bytes_of(cells)
    start, end = offsets[:-1], offsets[1:]
    first = _byte_at(data, start, end)
    digits = start + ((first == _PLUS) | (first == _MINUS))
    zero = _byte_at(data, digits, end) == _ZERO
    if bool((zero & _SECOND[_byte_at(data, digits + 1, end)]).any()):
        return True
    long = (first == _PLUS) & (end - start > _TELEPHONE_DIGITS)
    return bool(long.any()) and _any(cells.filter(pa.array(long)), WHOLE_NUMBER)
