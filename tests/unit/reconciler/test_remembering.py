"""What is kept of sightings over a restart, and that nothing kept can make a node look lost."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.leading import Standing
from reconciler.observing.inventory import Sighting
from reconciler.remembering import FILE, STANDING, MemoryFile, StandingFile
from reconciler.rolling.marks import Mark, Memory
from schemas.names import CommitId, DeploymentName, NodeName, ReplicaName
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


def test_all_that_is_remembered_is_kept(tmp_path: Path) -> None:
    ago = A_MOMENT - timedelta(seconds=50)
    whole = Memory(
        sightings={
            ALPHA: Sighting(
                incarnation="i",
                sequence=3,
                seen_at=ago,
                is_lost=True,
                losses=2,
                back_at=ago,
                machine="m",
                rival="n",
                rival_at=ago,
            )
        },
        marks={
            DeploymentName("chat"): Mark(
                revision="abc",
                since=ago,
                reached=frozenset({ReplicaName("chat-0"), ReplicaName("chat-1")}),
                ready=frozenset({ReplicaName("chat-1")}),
                unready=frozenset({ReplicaName("chat-0"), ReplicaName("chat-2")}),
                proven_since=ago,
            )
        },
        evacuated={ALPHA: ago},
        doubts={ReplicaName("chat-0"): ago},
        generations={ALPHA: 7},
        restored_at=ago,
        rescheduled_at=ago,
        failing={ReplicaName("chat-0"): ago},
        read_at=A_MOMENT,
    )
    MemoryFile(tmp_path, boot_id="b").save(whole, A_MOMENT, 1000.0)

    assert MemoryFile(tmp_path, boot_id="b").load(A_MOMENT, 1000.0) == whole


STOOD = Standing(at=CommitId("1" * 40), moved=A_MOMENT - timedelta(seconds=20))


def test_since_when_a_lease_stands_still_is_kept_until_the_next_boot(tmp_path: Path) -> None:
    StandingFile(tmp_path, boot_id="b").save(STOOD, A_MOMENT, 1000.0)
    later = A_MOMENT + timedelta(days=400)

    found = StandingFile(tmp_path, boot_id="b").load(later, 1010.0)

    assert found == Standing(at=STOOD.at, moved=later - timedelta(seconds=30))
    assert StandingFile(tmp_path, boot_id="c").load(later, 5.0) == Standing()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"boot": "b"}', '{"boot": "b", "moved": "x"}'])
def test_a_damaged_file_of_a_lease_is_as_good_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / STANDING).write_text(content)

    assert StandingFile(tmp_path, boot_id="b").load(A_MOMENT, 1.0) == Standing()


def test_without_a_lease_nothing_is_kept(tmp_path: Path) -> None:
    StandingFile(tmp_path, boot_id="b").save(Standing(moved=A_MOMENT), A_MOMENT, 1000.0)

    assert list(tmp_path.iterdir()) == []
