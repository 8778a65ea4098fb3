"""How long a pass goes on acting, and whose turn it is."""

from __future__ import annotations

import random

import pytest

from agent.acts import Act, Down, Pull, Up, waits_for
from agent.budget import LEAST_SECONDS, LONGEST_SECONDS, acting_until, in_turn
from schemas.layout import project_name
from schemas.names import ReplicaName
from tests.agent_builders import CHAT, CODE, NODE, TREE

LAST = ReplicaName("last-0")
NOW = 1000.0


@pytest.mark.parametrize(
    ("speak_due", "worn_at", "until"),
    [
        pytest.param(1020.0, None, 1020.0, id="the next heartbeat"),
        pytest.param(1005.0, None, 1010.0, id="a heartbeat due soon waits for what is quick"),
        pytest.param(0.0, None, 1010.0, id="one that is due already, too"),
        pytest.param(
            9999.0, None, NOW + LONGEST_SECONDS, id="never long, however seldom it speaks"
        ),
        pytest.param(1020.0, 1015.0, 1015.0, id="the lease is worn before"),
        pytest.param(1020.0, 1025.0, 1020.0, id="the lease is worn later"),
        pytest.param(1020.0, 990.0, 990.0, id="the lease is worn already"),
    ],
)
def test_until_when_a_pass_acts(speak_due: float, worn_at: float | None, until: float) -> None:
    found = acting_until(NOW, speak_due=speak_due, heartbeat_seconds=30.0, worn_at=worn_at)

    assert found == until


def test_however_short_the_interval_is_a_pass_does_more_than_one_quick_thing() -> None:
    found = acting_until(NOW, speak_due=NOW, heartbeat_seconds=1.0, worn_at=None)

    assert found == NOW + LEAST_SECONDS


def a_start(replica: ReplicaName, *after: ReplicaName) -> tuple[Act, ...]:
    return (
        Pull(replica=replica, tree=TREE, reason="new"),
        Up(replica=replica, tree=TREE, reason="new", after=frozenset(after)),
    )


def a_removal(replica: ReplicaName, *after: ReplicaName) -> Down:
    project = project_name(NODE, replica)
    return Down(replica=replica, project=project, reason="gone", after=frozenset(after))


def test_what_was_never_tried_stays_in_its_order() -> None:
    decided = (a_removal(LAST), *a_start(CHAT), *a_start(CODE))

    assert in_turn(decided, {}) == decided


def test_what_was_tried_last_comes_last() -> None:
    decided = (*a_start(CHAT), *a_start(CODE), *a_start(LAST))

    found = in_turn(decided, {CHAT: 20.0, CODE: 10.0})

    assert found == (*a_start(LAST), *a_start(CODE), *a_start(CHAT))


def test_who_waits_for_what_was_tried_last_stays_behind_it() -> None:
    decided = (a_removal(LAST), *a_start(CHAT, LAST), *a_start(CODE))

    found = in_turn(decided, {LAST: 20.0})

    assert found == (*a_start(CODE), a_removal(LAST), *a_start(CHAT, LAST))


def test_those_that_wait_for_each_other_stay_together_in_their_order() -> None:
    pulls = tuple(a_start(name)[0] for name in (CHAT, CODE))
    changes = (a_start(CODE, CHAT)[1], a_start(CHAT, CODE)[1])
    decided = (*pulls, a_removal(CHAT, CHAT, CODE), *changes, *a_start(LAST))

    assert in_turn(decided, {CODE: 5.0}) == (*a_start(LAST), *decided[:-2])


@pytest.mark.parametrize("seed", range(30))
def test_nobody_comes_before_one_that_it_waits_for(seed: int) -> None:
    rng = random.Random(seed)
    names = [ReplicaName(f"r-{number}") for number in range(12)]
    decided: list[Act] = []
    for number, name in enumerate(names):
        decided += a_start(name, *rng.sample(names[:number], min(number, rng.randint(0, 2))))
    tried = {name: rng.uniform(1.0, 99.0) for name in names if rng.random() < 0.5}

    found = in_turn(tuple(decided), tried)

    assert sorted(map(repr, found)) == sorted(map(repr, decided))
    seen: set[ReplicaName] = set()
    for act in found:
        assert waits_for(act) <= seen
        seen.add(act.replica)
