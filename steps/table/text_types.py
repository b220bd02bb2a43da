"""Infer the type of text columns from all of their rows, whatever the order of rows and files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from steps.table.column_type import ColumnType, NumberFormat
from steps.table.text_conversion import ISO_TIME, PLAIN_NUMBER, parse_text

_LEADING_ZERO = r"^[+-]?0[0-9xX]|^\+[0-9]{8,}$"
"""Codes that look like numbers: 007, 0x1F, and telephone numbers."""
_LONG = r"^[+-]?[0-9]{16,}$"
_BEYOND = 1 << 63
_FRACTION = r"[.eEnNiI]"
_FLAGS = pa.array(["true", "false", "0", "1"])
_DECIMAL_COMMA = NumberFormat(".", ",")
_NANOSECONDS = r"\.[0-9]{7,}"
_COMMA_TYPE = ColumnType("float64", _DECIMAL_COMMA)
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
        if _fits(cells, pa.int64()):
            self._add_whole(cells)
            return
        cells = pc.utf8_trim_whitespace(cells)
        if _fits(cells, pa.int64()):
            self._add_whole(cells)
        elif _fits(cells, pa.float64()):
            self._add_fractions(cells)
        else:
            self._add_text(cells)

    def _add_whole(self, cells: pa.Array) -> None:
        self.numbers += len(cells)
        self.dates = False
        self.code = self.code or _any(cells, _LEADING_ZERO)
        self.flags = self.flags and bool(pc.all(pc.is_in(cells, _FLAGS)).as_py())
        self._add_long(cells)

    def _add_fractions(self, cells: pa.Array) -> None:
        self.numbers += len(cells)
        self.dates = self.whole = self.flags = False
        self.code = self.code or _any(cells, _LEADING_ZERO)
        self.fraction = self.fraction or _any(cells, _FRACTION)
        self._add_commas(cells.unique())
        self._add_long(cells)

    def _add_long(self, cells: pa.Array) -> None:
        if not _any(cells, _LONG):
            return
        texts = cells.filter(pc.match_substring_regex(cells, _LONG)).unique().to_pylist()
        self.beyond = self.beyond or any(abs(int(text)) >= _BEYOND for text in texts)
        lossy = [text for text in texts if int(text) != int(float(text))]
        self.lossy = min([*lossy, *([self.lossy] if self.lossy else [])], default="")

    def _add_text(self, cells: pa.Array) -> None:
        counts = cells.value_counts()
        distinct, count = counts.field("values"), counts.field("counts")
        number = pc.match_substring_regex(distinct, PLAIN_NUMBER)
        time = parse_text(distinct, ColumnType("timestamp")).is_valid()
        self.numbers += _total(count, number)
        self.whole = self.plain = False
        self.flags = self.flags and bool(pc.all(pc.is_in(pc.utf8_lower(distinct), _FLAGS)).as_py())
        self._add_times(distinct.filter(time), count.filter(time))
        self.dates = self.dates and bool(pc.all(time).as_py())
        self._add_commas(distinct)
        words = distinct.filter(pc.invert(pc.or_(number, time)))
        self.words = _smallest([*self.words, *words.to_pylist()])

    def _add_commas(self, distinct: pa.Array) -> None:
        if self.commas:
            self.commas = not parse_text(distinct, _COMMA_TYPE).null_count
            self.comma = self.comma or _any(distinct, ",")

    def _add_times(self, distinct: pa.Array, count: pa.Array) -> None:
        self.times += int(pc.sum(count).as_py() or 0)
        zone = pc.struct_field(pc.extract_regex(distinct, ISO_TIME), "zone")
        self.zones |= {text != "" for text in zone.unique().to_pylist()}
        self.nanoseconds = self.nanoseconds or _any(distinct, _NANOSECONDS)
        days = pc.equal(pc.utf8_length(distinct), 10)
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
    try:
        cells.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _any(cells: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(cells, pattern), min_count=0).as_py())


def _total(count: pa.Array, mask: pa.Array) -> int:
    return int(pc.sum(count.filter(mask)).as_py() or 0)


def _smallest(words: Iterable[str]) -> list[str]:
    return sorted(set(words))[: _WORDS + 1]
