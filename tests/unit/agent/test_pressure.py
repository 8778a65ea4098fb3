"""When a disk is nearly full, at the edges."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.host.disk import read_disk
from agent.pressure import Disk, is_pressed, is_short, pressure_text, refusal_text
from schemas.heartbeat import DISK_PRESSURE, disk_pressure
from tests.builders import a_heartbeat

GIB = 1024
SMALL, LARGE = 100_000, 4096 * GIB


@pytest.mark.parametrize(
    ("total", "free", "before", "pressed"),
    [
        pytest.param(SMALL, 15_000, False, False, id="15 % free is enough to begin with"),
        pytest.param(SMALL, 14_999, False, True, id="one below"),
        pytest.param(SMALL, 24_999, True, True, id="once begun it lasts"),
        pytest.param(SMALL, 25_000, True, False, id="until 25 % are free"),
        pytest.param(LARGE, 64 * GIB, False, False, id="a large disk needs no 15 %"),
        pytest.param(LARGE, 64 * GIB - 1, False, True, id="and yet 64 GiB"),
        pytest.param(LARGE, 96 * GIB - 1, True, True, id="a large disk lasts"),
        pytest.param(LARGE, 96 * GIB, True, False, id="until 96 GiB are free"),
        pytest.param(0, 0, False, False, id="a file system without a size"),
    ],
)
def test_pressure_begins_low_and_ends_higher(
    total: int, free: int, before: bool, pressed: bool
) -> None:
    assert is_pressed(Disk(total_mib=total, free_mib=free), before=before) is pressed


@pytest.mark.parametrize("before", [True, False])
def test_where_nobody_knows_it_stays_as_it_was(before: bool) -> None:
    assert is_pressed(None, before=before) is before
    assert not is_short(None)


@pytest.mark.parametrize(
    ("total", "free", "short"),
    [
        (SMALL, 5_000, False),
        (SMALL, 4_999, True),
        (LARGE, 20 * GIB, False),
        (LARGE, 20 * GIB - 1, True),
    ],
)
def test_what_is_short_takes_no_image(total: int, free: int, short: bool) -> None:
    assert is_short(Disk(total_mib=total, free_mib=free)) is short


def test_the_words_are_news_only_when_the_matter_is() -> None:
    words = {pressure_text(Disk(total_mib=SMALL, free_mib=free)) for free in range(0, 15_000, 99)}

    assert len(words) == 2
    assert all(one.startswith(f"{DISK_PRESSURE}: ") and "Fix: " in one for one in words)


def test_a_heartbeat_tells_of_pressure_by_its_first_word() -> None:
    text = pressure_text(Disk(total_mib=SMALL, free_mib=1))
    told = a_heartbeat(problems=("DiskPressureless night", text))

    assert disk_pressure(told) == text.removeprefix("DiskPressure: ")
    assert disk_pressure(a_heartbeat(problems=("DiskPressure",))) == ""


def test_a_refusal_names_what_is_not_pulled() -> None:
    text = refusal_text(Disk(total_mib=SMALL, free_mib=1024), ("a:1", "b:2"))

    assert text.startswith("DiskPressure: a:1, b:2 not pulled, since only 1.0 GiB")


def test_a_file_system_tells_its_room(tmp_path: Path) -> None:
    found = read_disk(tmp_path)

    assert found is not None
    assert 0 < found.free_mib <= found.total_mib
    assert read_disk(tmp_path / "gone") is None
