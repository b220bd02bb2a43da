"""Amounts as Kubernetes writes them, against its own definitions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.quantity import parse_cpus, parse_duration, parse_mib


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("4Gi", 4096),
        ("1Ti", 1_048_576),
        ("512Mi", 512),
        ("1536Ki", 1),  # 1.5 MiB, rounded down
        ("1023Ki", 0),
        ("1.5Gi", 1536),
        ("0.5Gi", 512),
        ("500M", 476),  # 500e6 / 2^20 = 476.8
        ("1G", 953),  # 1e9 / 2^20 = 953.7
        ("2T", 1_907_348),  # 2e12 / 2^20 = 1,907,348.6
        ("2000000k", 1907),
        ("1048576", 1),
        ("4294967296", 4096),
    ],
)
def test_memory_is_counted_in_mebibytes_rounded_down(quantity: str, expected: int) -> None:
    assert parse_mib(quantity) == expected


@given(st.integers(0, 1_000_000))
def test_whole_mebibytes_are_exact_in_every_binary_unit(mebibyte: int) -> None:
    assert parse_mib(f"{mebibyte}Mi") == mebibyte
    assert parse_mib(f"{mebibyte * 1024}Ki") == mebibyte
    assert parse_mib(f"{mebibyte}Gi") == mebibyte * 1024
    assert parse_mib(str(mebibyte << 20)) == mebibyte


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [("2", 2.0), ("500m", 0.5), ("3500m", 3.5), ("0.25", 0.25), ("1m", 1e-3)],
)
def test_processors_are_whole_or_in_thousandths(quantity: str, expected: float) -> None:
    assert parse_cpus(quantity) == pytest.approx(expected, abs=0)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [("90s", 90), ("15m", 900), ("6h", 21_600), ("7d", 604_800), ("1s", 1)],
)
def test_durations_are_counted_in_seconds(duration: str, expected: int) -> None:
    assert parse_duration(duration) == expected
