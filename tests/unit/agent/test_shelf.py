"""Small files that survive."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.shelf import Shelf


class _Full(Shelf):
    """A shelf on a disk that has no block free: no file can be made, and none can grow."""

    def write(self, name: str, text: str) -> None:
        raise OSError(28, f"no space left for {len(text)} bytes of {name}")


def test_on_a_full_disk_a_file_is_written_in_its_place(tmp_path: Path) -> None:
    Shelf(tmp_path).write_in_need("lease.json", {"renewed": 1234.5678, "kept": {}})
    size = (tmp_path / "lease.json").stat().st_size

    _Full(tmp_path).write_in_need("lease.json", {"renewed": 9.0, "kept": {}})

    assert Shelf(tmp_path).read_json("lease.json") == {"renewed": 9.0, "kept": {}}
    assert (tmp_path / "lease.json").stat().st_size == size


def test_on_a_full_disk_a_file_that_is_not_there_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        _Full(tmp_path).write_in_need("lease.json", {})


def test_with_room_it_is_replaced_at_once(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.write_in_need("lease.json", {"a": 1})
    before = (tmp_path / "lease.json").stat().st_ino

    shelf.write_in_need("lease.json", {"a": 2})

    assert json.loads((tmp_path / "lease.json").read_text()) == {"a": 2}
    assert (tmp_path / "lease.json").stat().st_ino != before
