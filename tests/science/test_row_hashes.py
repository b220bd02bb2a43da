"""Row hashes: of content alone, without collisions, every bit as good as random."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.table.hashing import Hashes, content_sums, digest_of_sums, mix, row_hashes, seeded
from tests.science.truth import table_of


def hashes_of(**columns: Any) -> Hashes:
    return row_hashes(pa.record_batch(columns))


CELLS = {
    "string": (pa.string(), st.one_of(st.none(), st.text(max_size=6))),
    "int": (pa.int64(), st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))),
    "float": (pa.float64(), st.one_of(st.none(), st.floats(allow_nan=False))),
    "bool": (pa.bool_(), st.one_of(st.none(), st.booleans())),
    "date": (pa.date32(), st.one_of(st.none(), st.dates(date(1, 1, 1), date(9999, 12, 31)))),
    "time": (
        pa.timestamp("us", "UTC"),
        st.one_of(st.none(), st.datetimes(datetime(1900, 1, 1), timezones=st.just(UTC))),  # noqa: DTZ001
    ),
}


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_neither_batches_nor_column_order_matter(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 20))
    arrays = {
        name: pa.array(data.draw(st.lists(values, min_size=rows, max_size=rows)), kind)
        for name, (kind, values) in CELLS.items()
    }
    whole = pa.record_batch(arrays)
    expected = row_hashes(whole)
    names = data.draw(st.permutations(list(arrays)))
    np.testing.assert_array_equal(row_hashes(whole.select(names)), expected)
    cut = data.draw(st.integers(0, rows))
    parts = [row_hashes(whole.slice(0, cut)), row_hashes(whole.slice(cut))]
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    order = data.draw(st.permutations(range(rows)))
    np.testing.assert_array_equal(row_hashes(whole.take(pa.array(order))), expected[order])
    # Equal rows, and no others, have equal hashes.
    texts = [repr(row) for row in whole.to_pylist()]
    texts = [text.replace("-0.0", "-zero") for text in texts]
    assert len(set(expected)) == len(set(texts))


def test_what_lies_under_a_null_does_not_matter() -> None:
    mask = np.array([False, True])
    one, other = (pa.array([1, hidden], mask=mask) for hidden in (7, 8))
    np.testing.assert_array_equal(hashes_of(x=one), hashes_of(x=other))


def test_values_types_names_and_nulls_are_told_apart() -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC)
    cells = [
        pa.array(values, kind)
        for kind, values in [
            (pa.string(), ["", "0", "null", "None", "a", "\0", "\0\0", " ", None]),
            (pa.int64(), [0, 1, -1, None]),
            (pa.float64(), [0.0, 1.0, 5e-324, None]),
            (pa.bool_(), [False, True, None]),
            (pa.date32(), [date(1970, 1, 1), None]),
            (pa.timestamp("us", "UTC"), [moment, None]),
        ]
    ]
    actual = np.concatenate([hashes_of(**{name: cell}) for cell in cells for name in ("x", "y")])
    assert len(set(actual)) == len(actual) == 2 * sum(map(len, cells))


def test_values_that_change_places_change_the_row() -> None:
    actual = hashes_of(x=pa.array(["a", "b", "a", "b"]), y=pa.array(["b", "a", "a", "b"]))
    assert len(set(actual)) == 4
    actual = hashes_of(x=pa.array([1, 2, 0, 3]), y=pa.array([2, 1, 3, 0]))
    assert len(set(actual)) == 4
    actual = hashes_of(x=pa.array(["ab", "a", ""]), y=pa.array(["", "b", "ab"]))
    assert len(set(actual)) == 3


@pytest.mark.parametrize("kind", ["integers", "pairs", "strings", "floats"])
def test_a_million_similar_rows_do_not_collide(kind: str) -> None:
    count = np.arange(1_000_000)
    columns = {
        "integers": {"x": pa.array(count)},
        "pairs": {"x": pa.array(count // 1000), "y": pa.array(count % 1000)},
        "strings": {"x": pa.array(count).cast(pa.string())},
        "floats": {"x": pa.array(count / 8 - 1000)},
    }[kind]
    assert len(np.unique(hashes_of(**columns))) == 1_000_000


def test_short_strings_do_not_collide() -> None:
    letters = "ab\0é"
    words = [""]
    for _ in range(7):
        words += [word + letter for word in words[-(4 ** len(words[-1])) :] for letter in letters]
    assert len(set(words)) == len(words) > 20_000
    assert len(np.unique(hashes_of(x=pa.array(words)))) == len(words)


@pytest.mark.parametrize("which", ["mix", "integer", "seed", "character"])
def test_a_flipped_bit_flips_half_of_all_bits(which: str) -> None:
    """Avalanche: each of the 64 bits flips in nearly half of 4,000 cases."""
    rng = np.random.default_rng(0)
    rows = 4000
    values = rng.integers(0, 2**62, rows, dtype=np.uint64)
    flip = np.uint64(1) << rng.integers(0, 62, rows, dtype=np.uint64)
    if which == "mix":
        changed = mix(values) ^ mix(values ^ flip)
    elif which == "integer":
        one, other = (pa.array(v.astype(np.int64)) for v in (values, values ^ flip))
        changed = hashes_of(x=one) ^ hashes_of(x=other)
    elif which == "seed":
        changed = seeded(values, 1) ^ seeded(values, 2)
    else:
        words = [f"level {i}" for i in range(rows)]
        other = pa.array([word.replace("l", "m", 1) for word in words])
        changed = hashes_of(x=pa.array(words)) ^ hashes_of(x=other)
    bits = (changed[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5 * np.sqrt(0.25 / rows)


@pytest.mark.parametrize("modulus", [2, 3, 5, 10])
def test_remainders_and_top_bits_of_small_integers_are_uniform(modulus: int) -> None:
    actual = hashes_of(x=pa.array(np.arange(50_000)))
    for parts in (actual % np.uint64(modulus), actual // np.uint64(2**64 // modulus + 1)):
        counts = np.bincount(parts.astype(int), minlength=modulus)
        expected = 50_000 / modulus
        assert ((counts - expected) ** 2 / expected).sum() < 30  # chi-squared, 9 degrees: 1 in 2000


def test_the_digest_is_of_a_multiset() -> None:
    table = table_of(x=[1, 2, 2], y=["a", "b", "b"])
    hashes = row_hashes(table.to_batches()[0])

    def content_digest(schema: pa.Schema, hashes: Hashes) -> str:
        return digest_of_sums(schema, [content_sums(hashes)])

    actual = content_digest(table.schema, hashes)
    assert digest_of_sums(table.schema, map(content_sums, (hashes[:1], hashes[1:]))) == actual
    assert content_digest(table.schema, hashes[[2, 0, 1]]) == actual
    assert content_digest(table.schema, hashes[:2]) != actual  # a copy counts
    assert content_digest(table.schema, hashes[[0, 0, 1]]) != actual
    assert content_digest(table.rename_columns(["x", "z"]).schema, hashes) != actual
