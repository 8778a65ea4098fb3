"""Who changes when: after those that hold what it needs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.turns import Turns, turns
from schemas.names import ReplicaName

A, B, C, D = (ReplicaName(f"{letter}-0") for letter in "abcd")
NONE = frozenset[ReplicaName]()


def on(*names: ReplicaName) -> frozenset[ReplicaName]:
    return frozenset(names)


@pytest.mark.parametrize(
    ("waits", "row"),
    [
        pytest.param({}, Turns(), id="nobody"),
        pytest.param({B: NONE, A: NONE}, Turns(order=(A, B)), id="by name"),
        pytest.param({A: on(B), B: NONE}, Turns(order=(B, A)), id="behind the holder"),
        pytest.param({A: on(B), B: on(C), C: NONE}, Turns(order=(C, B, A)), id="in a row"),
        pytest.param({A: on(D)}, Turns(order=(A,)), id="behind one that leaves"),
        pytest.param({A: on(C), B: NONE}, Turns(order=(B,)), id="the holder does nothing"),
        pytest.param({A: on(B), B: on(C)}, Turns(), id="the holder waits for such a one"),
        pytest.param(
            {A: on(B), B: on(A)}, Turns(circle=(B, A), yielding=(A,)), id="for each other"
        ),
        pytest.param(
            {A: on(B), B: on(C), C: on(B)},
            Turns(circle=(A, C, B), yielding=(B,)),
            id="behind two that wait for each other",
        ),
        pytest.param(
            {A: on(B), B: on(A), C: on(A), D: NONE},
            Turns(order=(D,), circle=(B, C, A), yielding=(A,)),
            id="one beside a circle",
        ),
    ],
)
def test_turns(waits: Mapping[ReplicaName, frozenset[ReplicaName]], row: Turns) -> None:
    leaving = on(D) if D not in waits else NONE

    assert turns(waits, leaving) == row


NAMES = st.sampled_from([ReplicaName(f"{letter}-0") for letter in "abcdefg"])
WAITS = st.dictionaries(NAMES, st.frozensets(NAMES, max_size=2)).map(
    lambda waits: {name: whom - {name} for name, whom in waits.items()}
)


@given(WAITS, st.frozensets(NAMES, max_size=2))
def test_everybody_comes_after_whom_it_waits_for_and_only_the_stuck_are_left_out(
    waits: Mapping[ReplicaName, frozenset[ReplicaName]], leaving: frozenset[ReplicaName]
) -> None:
    leaving -= waits.keys()

    row = turns(waits, leaving)

    done = set(leaving)
    for name in row.order:
        assert waits[name] <= done
        done.add(name)
    assert set(row.yielding) <= set(row.circle)
    freed = done | set(row.yielding)
    for name in row.circle:
        assert waits[name] <= freed
        freed.add(name)
    left_out = waits.keys() - {*row.order, *row.circle}
    assert all(waits[name] - freed for name in left_out)
