"""Amounts at their edges."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.quantity import (
    BadQuantityError,
    cpu_milli,
    duration,
    format_cpu,
    format_duration,
    format_memory,
    memory_mib,
)


@pytest.mark.parametrize(
    ("written", "mib"),
    [
        ("0MiB", 0),
        ("1MiB", 1),
        ("512MiB", 512),
        ("1GiB", 1024),
        ("1.5GiB", 1536),
        ("0.001953125GiB", None),
        ("2TiB", 2 * 1024 * 1024),
        ("1024TiB", 2**30),
        ("1025TiB", None),
    ],
)
def test_memory_is_read_as_mib(written: str, mib: int | None) -> None:
    if mib is None:
        with pytest.raises(BadQuantityError):
            memory_mib(written)
    else:
        assert memory_mib(written) == mib


@pytest.mark.parametrize(
    ("written", "fix"),
    [
        ("16GB", "write 16GiB"),
        ("16G", "write 16GiB"),
        ("16Gi", "write 16GiB"),
        ("16 gib", "write 16GiB"),
        ("512m", "write 512MiB"),
        ("16", "write a number with MiB, GiB or TiB, like 512MiB or 16GiB"),
        ("512KiB", "write a number with MiB, GiB or TiB, like 512MiB or 16GiB"),
        ("-1GiB", "write a number with MiB, GiB or TiB, like 512MiB or 16GiB"),
        ("1GiB\n", "write a number with MiB, GiB or TiB, like 512MiB or 16GiB"),
        ("1.3GiB", "write 1332MiB"),
        ("9999999999TiB", "write at most 1024TiB"),
    ],
)
def test_memory_that_cannot_be_used_says_how_to_write_it(written: str, fix: str) -> None:
    with pytest.raises(BadQuantityError) as caught:
        memory_mib(written)

    assert caught.value.fix == fix


@pytest.mark.parametrize(
    ("written", "milli"),
    [(0, 0), (2, 2000), (1.5, 1500), ("500m", 500), ("2", 2000), ("1.25", 1250), (4096, 4_096_000)],
)
def test_cpu_is_read_as_thousandths(written: object, milli: int) -> None:
    assert cpu_milli(written) == milli


@pytest.mark.parametrize(
    "written", [-1, 4097, 0.0001, 1e-7, "1.0005", "2 cores", "m", "", "1e3", 1e300]
)
def test_cpu_that_cannot_be_used_is_refused(written: object) -> None:
    with pytest.raises(BadQuantityError):
        cpu_milli(written)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("0s", 0), ("90s", 90), ("5m", 300), ("2h", 7200), ("1d", 86400), ("30d", 2592000)],
)
def test_durations_are_read(written: str, seconds: int) -> None:
    assert duration(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("written", "fix"),
    [
        (90, "write 90s if these are seconds"),
        ("1m30s", "write a whole number with s, m, h or d, like 90s or 5m"),
        ("1.5h", "write a whole number with s, m, h or d, like 90s or 5m"),
        ("-5s", "write a whole number with s, m, h or d, like 90s or 5m"),
        ("31d", "write at most 30d"),
    ],
)
def test_durations_that_cannot_be_used_say_how_to_write_them(written: object, fix: str) -> None:
    with pytest.raises(BadQuantityError) as caught:
        duration(written)

    assert caught.value.fix == fix


@given(mib=st.integers(0, 2**30), milli=st.integers(0, 4_096_000), seconds=st.integers(0, 2592000))
def test_what_is_written_reads_back(mib: int, milli: int, seconds: int) -> None:
    assert memory_mib(format_memory(mib)) == mib
    assert cpu_milli(format_cpu(milli)) == milli
    assert duration(format_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("mib", "written"), [(0, "0MiB"), (1023, "1023MiB"), (1024, "1GiB"), (1025, "1025MiB")]
)
def test_the_largest_whole_unit_is_written(mib: int, written: str) -> None:
    assert format_memory(mib) == written
