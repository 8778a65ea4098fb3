"""What may start, what may run on, and what has to stop."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from agent.acts import Down, Pull, RemoveContainer, Up
from agent.grants import (
    LEAST_PATIENCE,
    LEAST_START,
    NO_CONTACT,
    NO_GRANT,
    SILENT_HEARTBEATS,
    SILENT_SECONDS,
    Grants,
    Stop,
    act_within,
    limits_of,
    patience,
    worn_at,
)
from agent.lease import Lease, Limits
from agent.orders import fenced_last
from agent.runtime.port import Container
from schemas.assignment import Fence
from schemas.fencing import FENCE_PERIOD, least_lose_after, least_stop_after
from schemas.fleet import Timings
from schemas.names import ReplicaName
from tests.agent_builders import CHAT, CODE, TREE, a_container

OURS, OTHER = "boot-1-x", "boot-1-w"
FENCE = Fence(incarnation=OURS, epoch=3, stop_after_seconds=120)


def a_grants(now: float = 1010.0, fence: Fence = FENCE, **fields: Any) -> Grants:
    kept = fields.pop("kept", {})
    lease = Lease(boot="boot-1", incarnation=OURS, renewed=1000.0, own=True, told=1000.0, kept=kept)
    ours: dict[str, Any] = {"looked": 1000.0, "epochs": {CHAT: 3}, "lease": lease}
    return Grants(fences={CHAT: fence}, now=now, **{**ours, **fields})


@pytest.mark.parametrize(
    ("grants", "may", "bar"),
    [
        pytest.param(a_grants(), True, "", id="granted"),
        pytest.param(a_grants(now=1110.0), True, "", id="time for a start"),
        pytest.param(a_grants(now=1110.1), False, NO_CONTACT, id="no time for a start"),
        pytest.param(a_grants(now=1120.0), False, NO_CONTACT, id="over"),
        pytest.param(
            a_grants(fence=Fence(incarnation=OTHER, epoch=3, stop_after_seconds=120)),
            False,
            NO_GRANT,
            id="another's",
        ),
        pytest.param(a_grants(epochs={}), True, "", id="first start, heard since the look"),
        pytest.param(a_grants(epochs={}, looked=1005.0), False, "", id="first start, not heard"),
        pytest.param(a_grants(looked=1005.0), True, "", id="healing needs no word"),
        pytest.param(a_grants(epochs={}, looked=None), False, "", id="nothing was looked at"),
    ],
)
def test_starting(grants: Grants, may: bool, bar: str) -> None:
    assert (grants.may_start(CHAT), grants.bar(CHAT)) == (may, bar)


def test_what_is_not_fenced_needs_nothing() -> None:
    grants = a_grants(now=9999.0, looked=None, lease=Lease(boot="boot-1"))

    assert grants.may_start(CODE)
    assert grants.bar(CODE) == ""
    assert grants.stops({CODE: (a_container(replica=CODE),)}) == ()


OTHERS = Fence(incarnation=OTHER, epoch=3, stop_after_seconds=120)
SHORT = Fence(incarnation=OURS, epoch=3, stop_after_seconds=21)
LONG = Fence(incarnation=OURS, epoch=3, stop_after_seconds=3600)


@pytest.mark.parametrize(
    ("grants", "container", "stops"),
    [
        pytest.param(a_grants(now=1119.9), a_container(), False, id="just before"),
        pytest.param(a_grants(now=1120.0), a_container(), True, id="exact"),
        pytest.param(a_grants(now=1060.0), a_container(stop_after=60), True, id="by its label"),
        pytest.param(a_grants(now=1120.0), a_container(stop_after=999), True, id="by assignment"),
        pytest.param(a_grants(now=1120.0), a_container(state="exited"), False, id="ended"),
        pytest.param(a_grants(now=1120.0), a_container(state="created"), False, id="never ran"),
        pytest.param(a_grants(now=1120.0), a_container(state="paused"), True, id="paused"),
        pytest.param(a_grants(now=1120.0), a_container(state="restarting"), True, id="restarts"),
        pytest.param(a_grants(fence=OTHERS), a_container(), True, id="without a grant"),
        pytest.param(a_grants(fence=OTHERS, kept={CHAT: 3}), a_container(), False, id="kept"),
        pytest.param(a_grants(fence=OTHERS, kept={CHAT: 2}), a_container(), True, id="old epoch"),
        pytest.param(
            a_grants(lease=Lease(boot="b", incarnation=OURS)), a_container(), True, id="no lease"
        ),
    ],
)
def test_stopping(grants: Grants, container: Container, stops: bool) -> None:
    found = grants.stops({CHAT: (container,)})

    assert [one.containers for one in found] == ([(container.id,)] if stops else [])


def test_a_stop_says_why() -> None:
    (stop,) = a_grants(now=1120.0).stops({CHAT: (a_container(),)})

    assert stop == Stop(replica=CHAT, containers=("chat-0.web",), reason="reached nobody for 2m")


def test_one_that_is_assigned_no_longer_goes_by_its_label() -> None:
    gone = {CODE: (a_container(replica=CODE, stop_after=60),)}

    assert a_grants(now=1059.0).stops(gone) == ()
    assert [one.replica for one in a_grants(now=1060.0).stops(gone)] == [CODE]


def test_only_what_runs_under_a_grant_outlives_an_incarnation() -> None:
    runs = {CHAT: (a_container(),)}

    assert a_grants().survivors(runs) == {CHAT: 3}
    assert a_grants().survivors({CHAT: (a_container(state="exited"),)}) == {}
    assert a_grants(fence=OTHERS).survivors(runs) == {}
    assert a_grants(fence=OTHERS, kept={CHAT: 3}).survivors(runs) == {CHAT: 3}


def test_the_shortest_limit_counts_whoever_says_it() -> None:
    fences = {CHAT: FENCE, CODE: Fence(incarnation=OURS, epoch=1, stop_after_seconds=600)}
    silence = 2 * 30 + 15.0

    assert limits_of({}, (), (), 30) == Limits(silence=silence)
    assert limits_of(fences, (CODE,), (), 30) == Limits(silence=silence, shortest=120, kept=600)
    labelled = (a_container(state="exited", stop_after=61),)
    assert limits_of(fences, (), labelled, 30) == Limits(silence=silence, shortest=61)


@pytest.mark.parametrize("seconds", [1, 5, 30, 60, 600])
def test_an_incarnation_lapses_before_anybody_may_give_up_on_it(seconds: int) -> None:
    beat = timedelta(seconds=seconds)
    timings = Timings(heartbeat=beat, poll=beat, late=3 * beat, lost=100 * beat)

    bound = SILENT_HEARTBEATS * seconds + SILENT_SECONDS

    assert bound < least_lose_after(least_stop_after(timings)).total_seconds()


def _up(replica: ReplicaName, *after: ReplicaName) -> Up:
    return Up(replica=replica, tree=TREE, reason="x", after=frozenset(after))


def test_starts_of_what_is_fenced_come_last_with_all_that_waits_for_them() -> None:
    third = ReplicaName("z-0")
    down = Down(replica=ReplicaName("gone-0"), project="p", reason="x")
    pull = Pull(replica=CHAT, tree=TREE, reason="x")
    remove = RemoveContainer(replica=CHAT, tree=TREE, container="1", reason="x")
    free, waits = _up(CODE), _up(third, CHAT)

    decided = (down, pull, remove, _up(CHAT), free, waits)

    assert fenced_last(decided, frozenset({CHAT})) == (
        down,
        pull,
        free,
        remove,
        _up(CHAT),
        waits,
    )
    assert fenced_last(decided, frozenset()) == decided


ANOTHERS = Fence(incarnation=OTHER, epoch=3, stop_after_seconds=120)


@pytest.mark.parametrize(
    ("grants", "seconds"),
    [
        pytest.param(a_grants(now=1010.0), 110.0, id="as long as it may run"),
        pytest.param(a_grants(now=1119.0), LEAST_PATIENCE, id="nearly over"),
        pytest.param(a_grants(now=1500.0), LEAST_PATIENCE, id="over, and not yet stopped"),
        pytest.param(a_grants(fence=ANOTHERS), None, id="another's"),
        pytest.param(a_grants(fence=ANOTHERS, kept={CHAT: 3}), 110.0, id="kept"),
        pytest.param(a_grants(lease=Lease(boot="b", incarnation=OURS)), None, id="never heard"),
    ],
)
def test_how_long_git_may_keep_an_agent(grants: Grants, seconds: float | None) -> None:
    assert patience(grants.lease, grants.fences, grants.now) == seconds


def test_git_keeps_an_agent_no_longer_than_a_stop_may_be_late() -> None:
    assert FENCE_PERIOD.total_seconds() > LEAST_PATIENCE


@pytest.mark.parametrize(
    ("fences", "worn", "within"),
    [
        pytest.param({}, None, None, id="nothing is fenced"),
        pytest.param({CHAT: FENCE}, 1040.0, 95.0, id="a third, and all but a quarter of a minute"),
        pytest.param({CHAT: LONG, CODE: FENCE}, 1040.0, 95.0, id="the shortest counts"),
        pytest.param({CHAT: OTHERS}, None, None, id="another incarnation's does not run here"),
        pytest.param({CHAT: SHORT}, 1007.0, LEAST_START, id="never less than a start needs"),
    ],
)
def test_how_long_a_pass_may_keep_a_lease(
    fences: dict[ReplicaName, Fence], worn: float | None, within: float | None
) -> None:
    lease = a_grants().lease

    assert worn_at(lease, fences) == worn
    assert act_within(lease, fences, 1010.0) == within


def test_what_outlived_its_incarnation_bounds_a_pass_too() -> None:
    lease = a_grants(kept={CHAT: 3}).lease

    assert worn_at(lease, {CHAT: OTHERS}) == 1040.0


@pytest.mark.parametrize(
    ("now", "looked", "is_worn"),
    [
        pytest.param(1039.9, 1035.0, False, id="not yet"),
        pytest.param(1040.0, 1035.0, True, id="a heartbeat now renews it"),
        pytest.param(1040.0, 1000.0, False, id="nobody looked since: it would renew nothing"),
        pytest.param(1040.0, None, False, id="nobody ever looked"),
        pytest.param(1119.9, 1110.0, True, id="at the last moment"),
        pytest.param(1120.0, 1110.0, False, id="over: nothing renews it"),
    ],
)
def test_when_a_heartbeat_comes_before_the_first_act(
    now: float, looked: float | None, is_worn: bool
) -> None:
    assert a_grants(now=now, looked=looked).is_worn() is is_worn
