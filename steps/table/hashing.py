"""Row hashes: 64-bit hashes of a row's content, computed on whole columns at a time.

They assign rows to folds, choose samples and define the canonical order. They depend only on names,
canonical types and values, not on the order of rows or columns, nor on the source. They do not
resist deliberate collisions. A collision only puts two rows into the same fold, and never loses a
row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd (Knuth, TAOCP 6.4)
_BLOCK_ROWS = 16_384
_STRING_BASE = np.uint64(0xD6E8FEB86659FD93)  # odd, so that its powers never vanish modulo 2**64


def mix(values: Hashes) -> Hashes:
    """Mix bits with the finalizer of SplitMix64, a bijection that spreads each bit over all 64.

    Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    mixed = values.copy()
    scratch = np.empty(min(len(mixed), _BLOCK_ROWS), np.uint64)
    for start in range(0, len(mixed), _BLOCK_ROWS):  # blocks stay in the processor's cache
        block = mixed[start : start + _BLOCK_ROWS]
        _mix_in_place(block, scratch[: len(block)])
    return mixed


def _mix_in_place(values: Hashes, scratch: Hashes) -> None:
    """Mix like ``mix``, without allocation; ``scratch`` is as long as ``values``."""
    np.right_shift(values, np.uint64(30), out=scratch)
    np.bitwise_xor(values, scratch, out=values)
    np.multiply(values, np.uint64(0xBF58476D1CE4E5B9), out=values)
    np.right_shift(values, np.uint64(27), out=scratch)
    np.bitwise_xor(values, scratch, out=values)
    np.multiply(values, np.uint64(0x94D049BB133111EB), out=values)
    np.right_shift(values, np.uint64(31), out=scratch)
    np.bitwise_xor(values, scratch, out=values)


def seeded(hashes: Hashes, seed: int | str) -> Hashes:
    """Return different hashes of the same rows for each seed."""
    return mix(hashes ^ _seed_of(f"seed:{seed}"))


def row_hashes(batch: pa.RecordBatch) -> Hashes:
    """Return one hash per row of a canonical batch; shape (rows,).

    Each cell is mixed with a seed from its column's name and type. The sum of the cells, which does
    not depend on the order of columns, is mixed again.
    """
    total = np.zeros(batch.num_rows, np.uint64)
    scratch = np.empty((2, min(batch.num_rows, _BLOCK_ROWS)), np.uint64)
    for field, column in zip(batch.schema, batch.columns, strict=True):
        seed = _seed_of(f"{field.type}:{field.name}")
        bits = _cell_bits(column)
        # Add mix(bits * _MULTIPLIER + seed), in blocks that stay in the processor's cache.
        for start in range(0, len(total), _BLOCK_ROWS):
            block = bits[start : start + _BLOCK_ROWS]
            mixed, spare = scratch[:, : len(block)]
            np.multiply(block, _MULTIPLIER, out=mixed)
            np.add(mixed, seed, out=mixed)
            _mix_in_place(mixed, spare)
            total[start : start + _BLOCK_ROWS] += mixed
    return mix(total)


def _seed_of(text: str) -> np.uint64:
    raw = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return np.uint64(int.from_bytes(raw[:8], "little"))


_NULL = _seed_of("null")


def value_hashes(values: pa.Array) -> Hashes:
    """Return one hash per value of a canonical column, independent of the column."""
    return mix(_cell_bits(values) * _MULTIPLIER)


def _cell_bits(column: pa.Array) -> Hashes:
    """Return 64 bits per cell, with a distinct value for null."""
    if pa.types.is_string(column.type):
        encoded = column.dictionary_encode()  # so that each distinct string is hashed once
        bits = np.zeros(len(column), np.uint64)
        if len(encoded.dictionary):
            codes = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)
            bits = _polynomial(encoded.dictionary)[codes]
    else:
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.uint8())
        elif pa.types.is_date(column.type):
            column = column.cast(pa.int32())
        width = column.type.bit_width // 8
        raw = np.frombuffer(column.buffers()[1], f"i{width}" if width > 1 else "u1")
        cells = raw[column.offset : column.offset + len(column)]
        bits = cells.view(np.uint64) if width == 8 else cells.astype(np.uint64)  # noqa: PLR2004
    if column.null_count:
        bits = np.where(column.is_null().to_numpy(zero_copy_only=False), _NULL, bits)
    return bits


def _polynomial(strings: pa.Array) -> Hashes:
    """Sum mix(b_i + 1) * base**i over the bytes b_i, and mix it with the length, modulo 2**64."""
    offsets = np.frombuffer(strings.buffers()[1], np.int32)
    offsets = offsets[strings.offset : strings.offset + len(strings) + 1].astype(np.int64)
    lengths = np.diff(offsets)
    start, end = int(offsets[0]), int(offsets[-1])
    if start == end:
        return mix(lengths.astype(np.uint64))
    content = np.frombuffer(strings.buffers()[2], np.uint8)[start:end]
    position = np.arange(end - start) - np.repeat(offsets[:-1] - start, lengths)
    powers = np.full(int(lengths.max()), _STRING_BASE, np.uint64)
    powers[0] = 1
    powers = np.multiply.accumulate(powers)
    terms = _BYTE_BITS[content] * powers[position]
    # Differences of running totals allow empty strings, unlike reduceat.
    running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    sums = running[offsets[1:] - start] - running[offsets[:-1] - start]
    return mix(sums + mix(lengths.astype(np.uint64)))


_BYTE_BITS = mix(np.arange(1, 257, dtype=np.uint64) * _MULTIPLIER)


ContentSums = tuple[int, int, int]
"""The number of rows, and two sums of their hashes modulo 2**64."""


def content_sums(hashes: Hashes) -> ContentSums:
    """Return the three numbers that identify a multiset of rows."""
    return len(hashes), int(hashes.sum(dtype=np.uint64)), int(mix(hashes).sum(dtype=np.uint64))


def add_sums(sums: Iterable[ContentSums]) -> ContentSums:
    """Add the sums of several sets of rows."""
    rows, plain, mixed = map(sum, zip(*sums, strict=True))
    return rows, plain % _MODULUS, mixed % _MODULUS


_MODULUS = 1 << 64


def digest_of_sums(schema: pa.Schema, sums: Iterable[ContentSums]) -> str:
    """Return 32 hex digits that identify a multiset of rows, in any order and any parts."""
    columns = sorted(f"{field.name}\x00{field.type}" for field in schema)
    text = repr((columns, list(add_sums(sums)))).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:32]
