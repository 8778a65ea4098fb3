"""A lease and what is decided under it move together, or neither does."""

from __future__ import annotations

import pytest

from fleet.port import RefUpdate, StaleError
from schemas.layout import LEADER_REF
from tests.contract.fleet.conftest import STATE, World, committed


def test_of_two_that_take_the_lease_one_gets_it(world: World) -> None:
    one, two = world.client(), world.client()
    first, second = committed(one, {"leader.json": b"1"}), committed(two, {"leader.json": b"2"})
    one.push((RefUpdate(LEADER_REF, first, None),))

    with pytest.raises(StaleError):
        two.push((RefUpdate(LEADER_REF, second, None),))

    assert two.fetch(LEADER_REF) == {LEADER_REF: first}
    two.push((RefUpdate(LEADER_REF, second, first),))
    assert one.fetch(LEADER_REF) == {LEADER_REF: second}


def test_who_lost_the_lease_moves_no_decision(world: World) -> None:
    old, new = world.client(), world.client()
    lease, decision = committed(old, {"leader.json": b"1"}), committed(old, {"a": b"1"})
    old.push((RefUpdate(LEADER_REF, lease, None), RefUpdate(STATE, decision, None)))
    new.fetch(LEADER_REF)
    taken = committed(new, {"leader.json": b"2"})
    new.push((RefUpdate(LEADER_REF, taken, lease),))
    late = committed(old, {"a": b"2"}, parent=decision)
    renewed = committed(old, {"leader.json": b"3"})

    with pytest.raises(StaleError):
        old.push((RefUpdate(STATE, late, decision), RefUpdate(LEADER_REF, renewed, lease)))

    assert world.refs() == {LEADER_REF: taken, STATE: decision}


def test_a_lease_is_an_orphan_and_its_ref_is_followed_wherever_it_goes(world: World) -> None:
    leader, standby = world.client(), world.client()
    before = None
    for number in range(5):
        made = committed(leader, {"leader.json": b"%d" % number})
        leader.push((RefUpdate(LEADER_REF, made, before),))
        before = made

        found = standby.fetch(LEADER_REF)[LEADER_REF]

        (file,) = standby.tree(found).files.values()
        assert standby.read([file.blob]) == {file.blob: b"%d" % number}
        assert standby.show(found).parents == ()
