"""What a replica holds, what of it is in whose way, and who waits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytest

from agent.holding import (
    NOTHING,
    Holding,
    Obstacle,
    excess,
    holding_from_json,
    holding_of,
    leftovers,
    merged,
    obstacles,
    wait_text,
)
from schemas.assignment import GpuShare
from schemas.names import GpuUuid, ReplicaName
from schemas.resources import Sharing
from tests.agent_builders import CHAT, CODE
from tests.builders import an_assigned_replica

WHOLE = Sharing.EXCLUSIVE


def held(**fields: Any) -> Holding:
    return Holding(**fields)


@pytest.mark.parametrize(
    ("before", "given", "beyond"),
    [
        pytest.param(held(), held(), NOTHING, id="nothing"),
        pytest.param(held(ports=(80,)), held(ports=(80,)), NOTHING, id="the same port"),
        pytest.param(held(ports=(80, 81)), held(ports=(81,)), held(ports=(80,)), id="a port more"),
        pytest.param(held(gpus={"a": 10}), held(gpus={"a": 10}), NOTHING, id="memory, exact"),
        pytest.param(held(gpus={"a": 10}), held(gpus={"a": 11}), NOTHING, id="memory, one below"),
        pytest.param(
            held(gpus={"a": 11}), held(gpus={"a": 10}), held(gpus={"a": 11}), id="one above"
        ),
        pytest.param(
            held(gpus={"a": 9, "b": 9}, sharing=WHOLE),
            held(gpus={"b": 9}, sharing=WHOLE),
            held(gpus={"a": 9}, sharing=WHOLE),
            id="moved to another GPU",
        ),
        pytest.param(
            held(gpus={"a": 9}, sharing=WHOLE),
            held(gpus={"a": 9}),
            held(gpus={"a": 9}, sharing=WHOLE),
            id="shares what it had alone",
        ),
        pytest.param(
            held(gpus={"a": 9}), held(gpus={"a": 9}, sharing=WHOLE), NOTHING, id="has it alone now"
        ),
    ],
)
def test_only_what_is_no_longer_given_is_in_the_way(
    before: Holding, given: Holding, beyond: Holding
) -> None:
    assert excess(before, given) == beyond


@pytest.mark.parametrize(
    ("needed", "left", "what"),
    [
        pytest.param(held(ports=(80,)), held(ports=(80,)), "which still holds port 80", id="port"),
        pytest.param(held(ports=(81,)), held(ports=(80,)), "", id="another port"),
        pytest.param(
            held(gpus={"a": 1}, sharing=WHOLE),
            held(gpus={"a": 1}),
            "which still holds GPU a",
            id="a whole GPU",
        ),
        pytest.param(
            held(gpus={"a": 1}),
            held(gpus={"a": 1}, sharing=WHOLE),
            "which still holds GPU a",
            id="of a whole GPU",
        ),
        pytest.param(
            held(gpus={"a": 1}),
            held(gpus={"a": 1}),
            "which still holds GPU a",
            id="of a shared GPU",
        ),
        pytest.param(held(gpus={"a": 1}), held(gpus={"b": 1}), "", id="another GPU"),
        pytest.param(
            held(ports=(80,), gpus={"a": 1}),
            held(ports=(80,), gpus={"a": 1}),
            "which still holds port 80, GPU a",
            id="both",
        ),
        pytest.param(held(ports=(80,)), None, "of which nobody knows what it holds", id="unknown"),
        pytest.param(NOTHING, None, "", id="unknown, and nothing is needed"),
    ],
)
def test_who_needs_what_is_still_held_waits(
    needed: Holding, left: Holding | None, what: str
) -> None:
    found = obstacles(CHAT, needed, {CODE: left})

    assert found == ((Obstacle(holder=CODE, what=what),) if what else ())


def test_a_wait_names_its_holder_and_what_it_holds() -> None:
    left = {CODE: held(ports=(80,)), ReplicaName("old-0"): held(gpus={"a": 1})}

    found = obstacles(CHAT, held(ports=(80,), gpus={"a": 1}), left)

    text = "waits for code-0, which still holds port 80 and for old-0, which still holds GPU a"
    assert wait_text(found) == text
    assert wait_text(()) == ""


def test_nobody_is_in_its_own_way() -> None:
    assert obstacles(CHAT, held(ports=(80,)), {CHAT: held(ports=(80,))}) == ()


@pytest.mark.parametrize(
    ("known", "given", "left"),
    [
        pytest.param({CODE: held(ports=(80,))}, {}, {CODE: held(ports=(80,))}, id="leaves"),
        pytest.param({CODE: NOTHING}, {}, {}, id="leaves, and held nothing"),
        pytest.param({CODE: None}, {}, {CODE: None}, id="leaves, from an older memory"),
        pytest.param({}, {}, {CODE: None}, id="leaves, and nobody remembers it"),
        pytest.param({CODE: held(ports=(80,))}, {CODE: held(ports=(80,))}, {}, id="stays"),
        pytest.param(
            {CODE: held(ports=(80,))},
            {CODE: held(ports=(81,))},
            {CODE: held(ports=(80,))},
            id="moves",
        ),
        pytest.param({}, {CODE: held(ports=(81,))}, {}, id="stays, and nobody remembers it"),
    ],
)
def test_what_is_left_over_comes_from_memory_and_what_is_given(
    known: Mapping[ReplicaName, Holding | None],
    given: Mapping[ReplicaName, Holding],
    left: Mapping[ReplicaName, Holding | None],
) -> None:
    assert leftovers(given, known, (CODE,), frozenset()) == left


@pytest.mark.parametrize(
    ("known", "left"),
    [
        pytest.param({}, {CODE: None}, id="nobody remembers it"),
        pytest.param({CODE: None}, {CODE: None}, id="from an older memory"),
        pytest.param({CODE: held(ports=(81,))}, {}, id="what it holds is known"),
    ],
)
def test_what_runs_from_other_files_may_hold_anything_where_nobody_remembers_it(
    known: Mapping[ReplicaName, Holding | None], left: Mapping[ReplicaName, Holding | None]
) -> None:
    assert leftovers({CODE: held(ports=(81,))}, known, (CODE,), frozenset({CODE})) == left


def test_of_what_no_container_is_left_nothing_is_held() -> None:
    assert leftovers({}, {CODE: held(ports=(80,))}, (), frozenset({CODE})) == {}


def test_what_is_on_its_way_holds_the_old_and_the_new() -> None:
    old = held(ports=(80,), gpus={"a": 5, "b": 9}, sharing=WHOLE)
    new = held(ports=(81,), gpus={"b": 3, "c": 1})

    both = held(ports=(80, 81), gpus={"a": 5, "b": 9, "c": 1}, sharing=WHOLE)
    assert merged(old, new) == both
    assert merged(None, new) is None


def test_a_holding_is_what_an_assignment_gives_and_survives_the_disk() -> None:
    replica = an_assigned_replica(
        ports={"http": 81, "admin": 80},
        gpus=(GpuShare(uuid=GpuUuid("GPU-a"), memory_mib=5),),
        sharing=WHOLE,
    )

    holding = holding_of(replica)

    assert holding == held(ports=(80, 81), gpus={"GPU-a": 5}, sharing=WHOLE)
    assert holding_from_json(json.loads(json.dumps(asdict(holding)))) == holding
    assert holding_of(an_assigned_replica()) == NOTHING
