"""What is kept of sightings over a restart, and that nothing kept can make a node look lost."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.observing.inventory import Sighting
from reconciler.remembering import FILE, MemoryFile
from reconciler.rolling.marks import Memory
from schemas.names import NodeName
from tests.builders import A_MOMENT

ALPHA = NodeName("alpha")
SEEN = Memory(sightings={ALPHA: Sighting("boot-1", 7, A_MOMENT - timedelta(seconds=20))})


def test_an_age_is_kept_over_a_restart_whatever_the_wall_clock_did(tmp_path: Path) -> None:
    MemoryFile(tmp_path, boot_id="b").save(SEEN, A_MOMENT, 1000.0)
    later = A_MOMENT + timedelta(days=400)

    found = MemoryFile(tmp_path, boot_id="b").load(later, 1010.0)

    assert found.sightings == {ALPHA: Sighting("boot-1", 7, later - timedelta(seconds=30))}


def test_after_a_reboot_every_node_counts_as_seen_now(tmp_path: Path) -> None:
    MemoryFile(tmp_path, boot_id="b").save(SEEN, A_MOMENT, 1000.0)

    assert MemoryFile(tmp_path, boot_id="c").load(A_MOMENT, 5.0) == Memory()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"boot": "b"}',
        '{"boot": "b", "nodes": []}',
        '{"boot": "b", "nodes": {"alpha": 1}}',
        '{"boot": "b", "nodes": {"alpha": ["x"]}}',
        '{"boot": "b", "nodes": {"alpha": ["x", "y", "z"]}}',
        '{"boot": "b", "nodes": {"alpha": ["x", 1, 1e400]}}',
        '{"boot": "b", "nodes": {"../alpha": ["x", 1, 1]}}',
    ],
)
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)

    assert MemoryFile(tmp_path, boot_id="b").load(A_MOMENT, 1.0) == Memory()


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    kept = MemoryFile(tmp_path / "new", boot_id="b")

    assert kept.load(A_MOMENT, 1.0) == Memory()
    kept.save(SEEN, A_MOMENT, 1.0)
    assert kept.load(A_MOMENT, 1.0) == SEEN
