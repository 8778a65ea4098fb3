"""Ways to two copies of a singleton that somebody found by thinking, each with its lock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from fleet.memory import MemoryRepository
from fleet.port import RefUpdate, StaleError
from reconciler.observing.bounds import LEAP
from reconciler.observing.inventory import Sighting, forgiven, silences
from reconciler.observing.read import Reader
from reconciler.rolling.marks import Memory
from schemas.assignment import Fence, Phase
from schemas.heartbeat import ReplicaState
from schemas.names import CommitId, NodeName, ReplicaName
from tests.builders import A_MOMENT, a_replica_report
from tests.unit.reconciler.world import node
from tests.unit.rolling.fleet import POLL, Fleet, a_fleet_of, spread
from tests.unit.rolling.test_grants import (
    FENCED,
    MINUTE,
    a_singleton,
    copies,
    fence,
    moved_since,
    restore,
)

CHAT = ReplicaName("chat-0")
LONG = 30 * MINUTE


def fences(fleet: Fleet) -> dict[str, Fence | None]:
    """The grant of each replica by the node that is told of it."""
    assignments = fleet.world.decide().observed.assignments
    return {str(name): one.fence for name, each in assignments.items() for one in each.replicas}


def commit(fleet: Fleet, **spec: object) -> None:
    fleet.world.commit({"deployments/chat.yaml": spread(1, **spec)})


def obey(fleet: Fleet) -> None:
    """Let agents obey as they do: nothing of a generation that they have seen."""
    assignments = fleet.world.decide().observed.assignments
    for name, agent in fleet.agents.items():
        told = assignments.get(NodeName(name))
        is_new = agent.told is None or (told and told.generation > agent.told.generation)
        if name not in fleet.silent:
            (fleet.obey if is_new else fleet.say)(name)


# a frozen fleet, restored


@pytest.mark.parametrize("how", ["fleet.yaml is broken", "main is rewound"])
def test_while_nothing_may_change_no_old_grant_is_given_again(how: str) -> None:
    fleet = a_singleton()
    backup, _, holder = moved_since(fleet)
    if how == "fleet.yaml is broken":
        fleet.world.commit({"fleet.yaml": "spec: ["})
        restore(fleet, backup)
    else:
        fleet.world.server.refs.clear()
        fleet.world.server.refs.update(backup)
    fleet.silent = {holder}  # between two of its heartbeats
    fleet.say()

    for _ in range(4):
        fleet.world.clock.pass_by(POLL)
        fleet.world.pass_once()
        obey(fleet)
        assert copies(fleet) == 1


# what is not fenced, or not yet


@pytest.mark.parametrize("state", [ReplicaState.FAILED, ReplicaState.DEGRADED])
def test_a_limit_counts_only_once_the_containers_are_under_it(state: ReplicaState) -> None:
    """It runs as before: its image cannot be had, or its drift is only told."""
    fleet = a_fleet_of("alpha", "beta", "gamma", chat=spread(1))
    home = fleet.homes()["chat-0"]
    old = fleet.agents[home].running[CHAT]
    commit(fleet, disconnect=FENCED)
    for _ in range(3):
        fleet.world.clock.pass_by(POLL)
        fleet.world.pass_once()
        told = fleet.world.decide().observed.assignments
        for name, agent in fleet.agents.items():
            agent.told = told.get(NodeName(name))
        fleet.agents[home].running = {CHAT: replace(old, state=state, epoch=0)}
        fleet.say()

    fleet.silent = {home}
    fleet.wait(LONG)

    assert fleet.homes().get("chat-0", home) == home


@pytest.mark.parametrize("steps", [2, 4])
def test_what_was_fenced_once_and_is_not_any_more_does_not_stop_by_itself(steps: int) -> None:
    fleet = a_singleton()
    home = fleet.homes()["chat-0"]
    commit(fleet)
    fleet.rest(steps)
    assert (fence(fleet), fleet.homes()["chat-0"]) == (None, home)

    fleet.silent = {home}
    commit(fleet, disconnect=FENCED)
    fleet.wait(LONG)

    assert fleet.homes().get("chat-0", home) == home


def test_nor_where_it_moved_while_it_was_not_fenced() -> None:
    fleet = a_singleton()
    home = fleet.homes()["chat-0"]
    commit(fleet)
    fleet.rest(3)
    fleet.agents[home].stops = False
    fleet.world.commit({f"nodes/{home}.yaml": node(home, duty="draining")})
    fleet.rest(3)
    other = fleet.homes()["chat-0"]
    assert other != home

    fleet.silent = {other}
    fleet.wait(timedelta(seconds=30))
    fleet.agents[home].stops = True
    commit(fleet, disconnect=FENCED)
    fleet.rest(80)

    assert fleet.homes().get("chat-0", other) == other


def test_a_rollback_takes_no_fence_away() -> None:
    update = "{rollback: true, progressDeadline: 1m}"
    fleet = a_fleet_of("alpha", "beta", "gamma", chat=spread(1, update=update))
    fleet.states["chat-0"] = ReplicaState.FAILED
    commit(fleet, text="two", update=update, disconnect=FENCED)
    fleet.rest(4)
    fleet.states.clear()
    fleet.rest(4)

    assert fleet.texts() == {"chat-0": "one"}
    assert fence(fleet) is not None


def test_nor_does_it_start_an_extra_copy_as_the_version_before_it_did() -> None:
    fleet = a_fleet_of(chat=spread(1, update="{strategy: startFirst}"))
    fleet.states["chat-0"] = ReplicaState.STARTING
    commit(fleet, text="two", disconnect=FENCED)
    fleet.rest(2)
    assert fleet.texts() == {"chat-0": "two"}
    fleet.wait(11 * MINUTE)
    assert fleet.phase() is Phase.ROLLED_BACK

    for _ in range(6):
        fleet.step()
        assert fleet.texts() == {"chat-0": "one"}


def test_a_silent_host_with_a_copy_that_was_never_fenced_is_waited_for() -> None:
    fleet = a_fleet_of("alpha", "beta", "gamma", chat=spread(1))
    home = fleet.homes()["chat-0"]
    fleet.silent = {home}
    fleet.rest(40)
    other = fleet.homes()["chat-0"]
    assert other != home

    commit(fleet, disconnect=FENCED)
    fleet.rest(4)
    # What runs goes on: there are two copies by people's own leave.
    assert (fleet.homes()["chat-0"], CHAT in fleet.agents[other].running) == (other, True)
    fleet.world.commit({"deployments/chat.yaml": spread(0, disconnect=FENCED)})
    fleet.rest(4)
    commit(fleet, disconnect=FENCED)
    fleet.rest(40)
    assert copies(fleet) == 1
    (hold,) = fleet.decision().holds
    assert hold.text == f"waits for {home} to stop it"

    fleet.world.commit({f"nodes/{home}.yaml": None})  # it is gone for good
    fleet.rest(40)
    assert set(fleet.homes()) == {"chat-0"}


# a restore, and a reconciler that remembers nothing


def a_home_that_is_lost(fleet: Fleet, backup: dict[str, str]) -> str:
    """Where chat-0 was granted and runs, though the state that is put back knows nothing of it."""
    commit(fleet, disconnect=FENCED)
    fleet.rest(3)
    home = fleet.homes()["chat-0"]
    fleet.world.commit({f"nodes/{home}.yaml": node(home, duty="cordoned")})
    fleet.rest(1)
    restore(fleet, backup)
    return home


def assert_it_waits_for_all_to_speak(fleet: Fleet, home: str) -> None:
    fleet.world.pass_once()
    fleet.silent = {home}
    fleet.obey()
    assert copies(fleet) == 1
    (hold,) = fleet.decision().holds
    assert hold.text == "waits until every node is heard of, or lost"

    fleet.silent = set()
    fleet.rest(30)
    assert copies(fleet) == 1


def test_the_heartbeats_of_a_backup_are_not_taken_for_the_present() -> None:
    fleet = a_fleet_of("alpha", "beta", "gamma")
    backup = dict(fleet.world.server.refs)
    home = a_home_that_is_lost(fleet, backup)
    fleet.world.memory = Memory()

    assert_it_waits_for_all_to_speak(fleet, home)


def test_a_grant_that_nobody_saw_and_that_was_lost_does_not_come_back_with_another_backup() -> None:
    """First a copy that is too old is put back, and later a newer one (seed 3901)."""
    fleet = a_fleet_of("alpha", "beta", "gamma")
    older = dict(fleet.world.server.refs)
    commit(fleet, disconnect=FENCED)
    fleet.world.clock.pass_by(POLL)
    fleet.world.pass_once()
    (holder,) = fences(fleet)
    newer = dict(fleet.world.server.refs)
    restore(fleet, older)
    fleet.world.commit({f"nodes/{holder}.yaml": node(holder, duty="cordoned")})
    for _ in range(40):
        fleet.world.clock.pass_by(POLL)
        fleet.world.pass_once()
        obey(fleet)
    assert copies(fleet) == 1
    assert CHAT not in fleet.agents[holder].running

    restore(fleet, newer)
    obey(fleet)

    assert copies(fleet) == 1
    for _ in range(40):
        fleet.world.clock.pass_by(POLL)
        fleet.world.pass_once()
        obey(fleet)
        assert copies(fleet) <= 1
    assert copies(fleet) == 1


def test_what_was_published_and_lost_before_anybody_looked_again_was_published() -> None:
    fleet = a_fleet_of("alpha", "beta", "gamma")
    backup = dict(fleet.world.server.refs)
    commit(fleet, disconnect=FENCED)
    fleet.world.clock.pass_by(POLL)
    fleet.world.pass_once()
    (holder,) = fences(fleet)
    fleet.obey(holder)
    restore(fleet, backup)  # and with it the word of the one that has it by now

    fleet.world.commit({f"nodes/{holder}.yaml": node(holder, duty="cordoned")})
    fleet.silent = {holder}  # between two of its heartbeats
    fleet.say()
    fleet.world.clock.pass_by(POLL)
    fleet.world.pass_once()
    fleet.obey()

    assert copies(fleet) == 1


class Late(MemoryRepository):
    """A client whose first push comes too late."""

    is_late = True

    def push(self, updates: tuple[RefUpdate, ...]) -> None:
        if self.is_late:
            self.is_late = False
            raise StaleError("somebody else was first")
        super().push(updates)


def test_generations_are_lifted_also_by_who_comes_too_late_at_first() -> None:
    fleet = a_singleton()
    backup = dict(fleet.world.server.refs)
    commit(fleet)
    fleet.rest(1)
    restore(fleet, backup)
    late = Late(fleet.world.server)
    fleet.world.reader = Reader(late, late, "main")

    fleet.world.clock.pass_by(POLL)
    fleet.world.pass_once()

    assignments = fleet.world.decide().observed.assignments
    assert min(one.generation for one in assignments.values()) > LEAP


def started_again(memory: Memory, _now: datetime) -> Memory:
    return replace(memory, paused=True)


def cut_off_meanwhile(memory: Memory, now: datetime) -> Memory:
    return memory.after_a_gap(now, timedelta(seconds=10))


@pytest.mark.parametrize("how", [started_again, cut_off_meanwhile])
def test_who_did_not_look_while_another_decided_waits_until_all_have_spoken(
    how: Callable[[Memory, datetime], Memory],
) -> None:
    """Two decide side by side, and the state is put back to what one saw last (seed 2478)."""
    fleet = a_fleet_of("alpha", "beta", "gamma")
    backup, old = dict(fleet.world.server.refs), fleet.world.memory
    home = a_home_that_is_lost(fleet, backup)
    fleet.world.memory = how(old, fleet.world.clock.now)

    assert_it_waits_for_all_to_speak(fleet, home)


@pytest.mark.parametrize("speaks_first", ["home", "another"])
def test_nor_is_who_speaks_first_of_a_lost_decision_of_the_same_generation(
    speaks_first: str,
) -> None:
    fleet = a_fleet_of("alpha", "beta", "gamma", "delta", chat=spread(1, disconnect=FENCED))
    backup, home, holder = moved_since(fleet)
    refs = fleet.world.server.refs
    obeyed = {name: CommitId(refs[f"refs/miaas/assigned/{name}"]) for name in fleet.agents}
    fleet.world.commit({f"nodes/{holder}.yaml": node(holder, duty="cordoned")})
    restore(fleet, backup)
    fleet.world.memory = Memory()
    others = [name for name in fleet.agents if name not in {home, holder}]
    speaker = home if speaks_first == "home" else others[0]

    for _ in range(4):
        fleet.world.pass_once()
        granted = [name for name, one in fences(fleet).items() if one and one.incarnation]
        assert granted in ([], [holder])
        fleet.world.clock.pass_by(timedelta(seconds=5))
        fleet.agents[speaker].accepted = obeyed[speaker]
        fleet.say(speaker)


def test_who_only_waits_for_it_after_a_boot_does_not_hold_it() -> None:
    fleet = a_singleton()
    home = fleet.homes()["chat-0"]
    backup = dict(fleet.world.server.refs)
    fleet.silent = {home}
    fleet.wait(5 * MINUTE)
    fleet.obey()
    holder = fleet.homes()["chat-0"]
    assert holder != home
    restore(fleet, backup)
    agent = fleet.agents[home]
    agent.incarnation = "boot-2"
    agent.running = {CHAT: a_replica_report("chat-0", state=ReplicaState.PENDING, epoch=0)}

    fleet.silent = {holder}  # its lease lasts for a while
    fleet.say(home)
    fleet.world.clock.pass_by(POLL)
    fleet.world.pass_once()

    found = fences(fleet).get(home)
    assert found is None or found.incarnation != "boot-2"


# who is gone


def test_a_removed_node_of_which_nothing_is_known_is_out_by_silence_alone() -> None:
    fleet = a_singleton()
    home = fleet.homes()["chat-0"]
    fleet.agents[home].stops = False
    fleet.world.commit({f"nodes/{home}.yaml": None})
    del fleet.world.server.refs[f"refs/miaas/nodes/{home}"]
    fleet.silent = {home}

    fleet.rest(2)
    assert fleet.homes() == {}
    fleet.wait(5 * MINUTE)
    assert fleet.homes()["chat-0"] != home


def test_who_did_not_look_for_long_takes_the_silence_of_a_rival_for_nothing_either() -> None:
    now = A_MOMENT + timedelta(hours=1)
    alpha = NodeName("alpha")
    known = {alpha: Sighting("b", 1, A_MOMENT, machine="m2", rival="m1", rival_at=A_MOMENT)}

    found = silences(forgiven(known, now), now)

    assert found == {(alpha, "m1"): timedelta(0), (alpha, "m2"): timedelta(0)}
