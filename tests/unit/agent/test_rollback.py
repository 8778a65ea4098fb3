"""Which version runs while a newer one is held back."""

from __future__ import annotations

import pytest

from agent.rollback import Held, chosen, held_back, is_held, told
from schemas.names import ReplicaName, TreeId

CHAT, OLD, NEW = ReplicaName("chat-0"), TreeId("a" * 40), TreeId("b" * 40)
HELD = held_back(None, NEW, "up: port already allocated", 100.0)


@pytest.mark.parametrize(
    ("assigned", "good", "now", "runs"),
    [
        pytest.param(NEW, {CHAT: OLD}, 101.0, OLD, id="held back"),
        pytest.param(NEW, {CHAT: OLD}, 699.9, OLD, id="until its time comes"),
        pytest.param(NEW, {CHAT: OLD}, 700.0, NEW, id="tried again"),
        pytest.param(NEW, {}, 101.0, NEW, id="nothing to go back to"),
        pytest.param("c" * 40, {CHAT: OLD}, 101.0, "c" * 40, id="a newer one is tried at once"),
    ],
)
def test_what_runs(assigned: str, good: dict[ReplicaName, str], now: float, runs: str) -> None:
    assert chosen({CHAT: TreeId(assigned)}, {CHAT: HELD}, good, now) == {CHAT: runs}


def test_each_failure_of_the_same_version_waits_longer() -> None:
    held: Held | None = None
    waits = []
    for _ in range(5):
        held = held_back(held, NEW, "no", 0.0)
        waits.append(held.until)

    assert waits == [600.0, 1200.0, 2400.0, 3600.0, 3600.0]
    assert held_back(held, OLD, "no", 0.0).until == 600.0


def test_says_what_failed_and_what_comes() -> None:
    assert told(HELD) == (
        "up: port already allocated. The last good version runs again; the new one waits for 10 min"
    )
    assert not is_held(HELD, OLD, 101.0)
