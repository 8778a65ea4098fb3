"""Several reconcilers of one fleet: one leads, another takes over, and history stays one line."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from fleet.memory import Line, MemoryRepository
from fleet.port import RefUpdate, RepositoryError, StaleError
from reconciler.leading import Duty
from reconciler.loop import Outcome, pass_once
from reconciler.observing.read import Reader
from reconciler.observing.snapshot import Observed, Snapshot
from reconciler.rolling.marks import Memory
from reconciler.seat import Seat
from schemas.layout import ASSIGNMENTS_REF, LEADER_FILE, LEADER_REF
from schemas.leader import Leader, dump_leader
from tests.unit.reconciler.world import World, a_small_fleet, a_world, deployment

LEASE = timedelta(seconds=60)
NOT_ELECTING = {"fleet.yaml": a_small_fleet()["fleet.yaml"]}
ELECTING = (
    "apiVersion: miaas/v1\nkind: Fleet\nmetadata: {name: test}\nspec: {leader: {lease: 60s}}\n"
)


@dataclass(slots=True)
class SkewedClock:
    """The world's time, as seen by a clock that was set wrong but counts evenly."""

    world: World
    off: timedelta

    def steady(self) -> datetime:
        return self.world.clock.now + self.off

    def wall(self) -> datetime:
        return self.world.clock.now - self.off


@dataclass(slots=True)
class Rival:
    """One reconciler of several, with its own mirror, clock and memory."""

    world: World
    name: str
    off: timedelta = timedelta()
    client: MemoryRepository = field(init=False)
    reader: Reader = field(init=False)
    seat: Seat = field(init=False)
    memory: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        self.client = MemoryRepository(self.world.server)
        self.restart()

    def restart(self) -> None:
        self.reader = Reader(self.client, self.client, "main")
        self.seat = Seat(self.name, random.Random(self.name))
        self.memory = Memory()

    def once(self) -> Outcome:
        clock = SkewedClock(self.world, self.off)
        outcome = pass_once(self.reader, self.world.renderer, self.memory, clock, seat=self.seat)
        self.memory = outcome.result.memory
        return outcome

    def hand_back(self) -> bool:
        """End as a service does, and say whether a lease was handed back."""
        clock = SkewedClock(self.world, self.off)
        bids = self.seat.hand_back(self.client, clock.steady(), clock.wall())
        self.client.push(bids)
        return bool(bids)


def an_electing_world() -> World:
    return a_world(files={**a_small_fleet(), "fleet.yaml": ELECTING})


def led_by(world: World) -> Leader:
    leader = world.decide().observed.leader
    assert leader is not None
    return leader


def test_the_first_leads_and_the_second_stands_by() -> None:
    world = an_electing_world()
    one, two = Rival(world, "one"), Rival(world, "two")

    first, second = one.once(), two.once()

    assert (first.commit is not None, second.commit) == (True, None)
    assert (one.seat.duty, two.seat.duty) == (Duty.LEAD, Duty.STAND_BY)
    assert (led_by(world).holder, led_by(world).term) == ("one", 1)


def test_a_standby_publishes_nothing_whatever_people_commit() -> None:
    world = an_electing_world()
    one, two = Rival(world, "one"), Rival(world, "two")
    one.once()
    world.commit({"deployments/more.yaml": deployment("more")})
    before = dict(world.server.refs)

    assert two.once().commit is None
    assert world.server.refs == before


def test_a_standby_counts_from_when_it_saw_the_lease_move_however_long_its_look_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = an_electing_world()
    one, two = Rival(world, "one"), Rival(world, "two")
    one.once()
    read = Reader.read

    def late(reader: Reader) -> Snapshot:
        world.clock.pass_by(LEASE - timedelta(seconds=10))
        return read(reader)

    with monkeypatch.context() as stopped:
        stopped.setattr(Reader, "read", late)
        two.once()

    world.clock.pass_by(timedelta(seconds=15))
    two.once()
    assert two.seat.duty is Duty.STAND_BY

    world.clock.pass_by(LEASE)
    two.once()
    assert two.seat.duty is Duty.LEAD


def test_a_standby_takes_over_after_one_lease_and_the_old_leader_stands_by() -> None:
    world = an_electing_world()
    one, two = Rival(world, "one"), Rival(world, "two", timedelta(hours=5))
    one.once()
    two.once()
    world.clock.pass_by(LEASE - timedelta(seconds=1))
    two.once()
    assert two.seat.duty is Duty.STAND_BY
    world.clock.pass_by(timedelta(seconds=1))
    world.commit({"deployments/more.yaml": deployment("more")})

    assert two.once().commit is not None
    assert (led_by(world).holder, led_by(world).term) == ("two", 2)
    for _ in range(10):
        world.clock.pass_by(timedelta(seconds=15))
        two.once()
        one.once()
        assert one.seat.duty is Duty.STAND_BY
    assert led_by(world).term == 2


def test_where_a_leader_hands_its_lease_back_a_standby_takes_over_at_once() -> None:
    world = an_electing_world()
    one, two = Rival(world, "one"), Rival(world, "two")
    one.once()
    two.once()
    assert two.seat.duty is Duty.STAND_BY

    assert one.hand_back()
    world.commit({"deployments/more.yaml": deployment("more")})

    assert two.once().commit is not None
    leader = led_by(world)
    assert (leader.holder, leader.term, leader.released) == ("two", 2, False)
    one.restart()
    one.once()
    assert one.seat.duty is Duty.STAND_BY


def test_a_leader_that_is_restarted_in_good_order_leads_on_at_once() -> None:
    world = an_electing_world()
    one = Rival(world, "one")
    one.once()
    assert one.hand_back()

    one.restart()
    world.commit({"deployments/more.yaml": deployment("more")})

    assert one.once().commit is not None
    assert led_by(world).term == 2


def test_only_who_leads_hands_anything_back() -> None:
    world = an_electing_world()
    one, two = Rival(world, "one"), Rival(world, "two")
    assert not one.hand_back()
    one.once()
    two.once()
    before = dict(world.server.refs)

    assert not two.hand_back()
    world.clock.pass_by(LEASE)
    assert not one.hand_back()

    assert world.server.refs == before


def test_a_leader_that_was_overtaken_meanwhile_takes_nothing_back() -> None:
    world = an_electing_world()
    one, two = Rival(world, "one"), Rival(world, "two")
    one.once()
    two.once()
    world.clock.pass_by(LEASE)
    two.once()
    before = dict(world.server.refs)
    world.clock.pass_by(-LEASE)

    with pytest.raises(StaleError):
        one.hand_back()

    assert world.server.refs == before


def test_a_leader_at_rest_renews_three_times_in_a_lease_and_decides_nothing() -> None:
    world = an_electing_world()
    one = Rival(world, "one")
    one.once()
    decided = world.server.refs[ASSIGNMENTS_REF]
    for _ in range(60):
        world.clock.pass_by(timedelta(seconds=1))
        one.once()

    assert 4 <= led_by(world).sequence <= 5
    assert world.server.refs[ASSIGNMENTS_REF] == decided


def test_who_lost_the_lease_between_reading_and_pushing_publishes_nothing() -> None:
    world = an_electing_world()
    one, two = Rival(world, "one"), Rival(world, "two")
    one.once()
    two.once()
    world.clock.pass_by(timedelta(seconds=50))
    world.commit({"deployments/more.yaml": deployment("more")})
    push = one.client.push

    def held_up(updates: tuple[RefUpdate, ...]) -> None:
        one.client.push = push  # type: ignore[method-assign]
        world.clock.pass_by(timedelta(seconds=15))
        two.once()
        push(updates)

    one.client.push = held_up  # type: ignore[method-assign]

    assert one.once().commit is None
    assert one.seat.duty is Duty.STAND_BY
    assert led_by(world).holder == "two"
    assert _linear(world)


def test_a_pass_that_outlives_its_lease_publishes_nothing_of_it() -> None:
    world = an_electing_world()
    one = Rival(world, "one")
    one.once()
    world.commit({"deployments/more.yaml": deployment("more")})
    fetch = one.client.fetch
    slow = [timedelta(seconds=54)]

    def slowly(*refs: str) -> object:
        found = fetch(*refs)
        world.clock.pass_by(slow.pop() if slow else timedelta())
        return found

    one.client.fetch = slowly  # type: ignore[method-assign,assignment]

    assert one.once().commit is not None
    assert led_by(world).term == 2, "it had to take over from itself"


def test_a_lost_answer_does_not_cost_the_lease() -> None:
    world = an_electing_world()
    one = Rival(world, "one")
    one.once()
    world.clock.pass_by(timedelta(seconds=20))
    push = one.client.push

    def unheard(updates: tuple[RefUpdate, ...]) -> None:
        one.client.line = Line.MUTE
        push(updates)

    one.client.push = unheard  # type: ignore[method-assign]
    with pytest.raises(RepositoryError):
        one.once()
    one.client.push, one.client.line = push, Line.UP  # type: ignore[method-assign]

    one.once()

    assert (one.seat.duty, led_by(world).term) == (Duty.LEAD, 1)


def test_a_broken_fleet_file_does_not_end_the_election() -> None:
    world = an_electing_world()
    one, two = Rival(world, "one"), Rival(world, "two")
    one.once()
    two.once()
    world.commit({"fleet.yaml": "nonsense"})

    assert two.once().commit is None
    assert two.seat.duty is Duty.STAND_BY
    assert one.once().commit is not None


def test_an_election_that_was_ended_does_not_come_back_with_a_broken_fleet_file() -> None:
    world = an_electing_world()
    one, two = Rival(world, "one"), Rival(world, "two")
    one.once()
    term = led_by(world).term
    world.commit(NOT_ELECTING)

    two.once()
    assert (led_by(world).released, two.seat.duty) == (True, None)
    assert not two.hand_back()
    before = dict(world.server.refs)
    one.once()
    assert world.server.refs == before, "it is freed once"
    world.commit({"fleet.yaml": "nonsense"})

    assert two.once().commit is not None
    one.once()
    assert (two.seat.duty, one.seat.duty) == (Duty.LEAD, Duty.STAND_BY), "one decides meanwhile"
    assert led_by(world).term == term + 1
    world.commit(NOT_ELECTING)
    one.once()
    assert led_by(world).released


def test_an_ended_election_is_freed_also_where_nothing_is_to_be_decided() -> None:
    world = an_electing_world()
    one, two = Rival(world, "one"), Rival(world, "two")
    one.once()
    world.commit(NOT_ELECTING)
    one.once()
    decided = world.server.refs[ASSIGNMENTS_REF]
    odd = MemoryRepository(world.server)
    tree = odd.write(
        None, {LEADER_FILE: dump_leader(replace(led_by(world), released=False)).encode()}
    )
    odd.push_own(LEADER_REF, odd.commit(tree, parent=None, message="x", at=world.clock.now))

    assert two.once().commit is None

    assert led_by(world).released
    assert world.server.refs[ASSIGNMENTS_REF] == decided


def test_who_led_until_the_election_was_ended_hands_nothing_back() -> None:
    world = an_electing_world()
    one = Rival(world, "one")
    one.once()
    world.commit(NOT_ELECTING)
    one.once()
    before = dict(world.server.refs)

    assert not one.hand_back()
    assert world.server.refs == before


def test_an_ended_election_keeps_nobody_from_telling_of_a_rewound_branch() -> None:
    world = an_electing_world()
    Rival(world, "one").once()
    world.commit(NOT_ELECTING)
    two = Rival(world, "two")
    two.once()
    last = world.server.refs["refs/heads/main"]
    world.commit({"README.md": "words"})
    two.once()
    world.server.refs["refs/heads/main"] = last

    found = two.once()

    assert found.commit is not None
    assert "does not follow" in str(found.result.problems[0])


def test_a_lease_that_cannot_be_understood_runs_out_like_any_other() -> None:
    world = an_electing_world()
    one = Rival(world, "one")
    odd = MemoryRepository(world.server)
    tree = odd.write(None, {"leader.json": b"nonsense"})
    odd.push_own(LEADER_REF, odd.commit(tree, parent=None, message="x", at=world.clock.now))
    one.once()
    assert one.seat.duty is Duty.STAND_BY

    world.clock.pass_by(LEASE)
    one.once()

    assert led_by(world).holder == "one"


def test_without_an_election_whoever_is_first_publishes() -> None:
    world = a_world()
    one, two = Rival(world, "one"), Rival(world, "two")

    assert one.once().commit is not None
    world.commit({"deployments/more.yaml": deployment("more")})
    assert two.once().commit is not None
    assert LEADER_REF not in world.server.refs


def _linear(world: World) -> bool:
    client = MemoryRepository(world.server)
    tip = client.fetch_history(ASSIGNMENTS_REF)
    assert tip is not None
    log = client.log(tip, 100_000)
    return all(len(one.parents) <= 1 for one in log) and not log[-1].parents


def _where(observed: Observed) -> dict[str, str]:
    return {
        str(replica.name): str(node)
        for node, each in observed.assignments.items()
        for replica in each.replicas
    }


def test_a_thousand_rounds_of_two_keep_one_line_and_every_placement() -> None:
    """Scenario 2: two instances, 1,000 rounds, with cuts, lost answers and restarts."""
    rng = random.Random(2)
    world = an_electing_world()
    rivals = [Rival(world, "one"), Rival(world, "two", timedelta(hours=3))]
    moves: Counter[str] = Counter()
    terms, seen, where = set[tuple[int, str]](), Counter[str](), dict[str, str]()
    for number in range(1000):
        world.clock.pass_by(timedelta(seconds=rng.uniform(0, 20)))
        for name in ("alpha", "beta"):
            world.beat(name, sequence=number + 2)
        if rng.random() < 0.1:
            text = f"{{text: v{number}}}"
            world.commit({"deployments/chat.yaml": deployment("chat", parameters=text)})
        if rng.random() < 0.02:
            world.commit({f"deployments/d{number}.yaml": deployment(f"d{number}")})
        rival = rng.choice(rivals)
        if rng.random() < 0.05:
            rival.restart()
            seen["restarts"] += 1
        rival.client.line = rng.choices(list(Line), (8, 1, 1))[0]
        try:
            outcome = rival.once()
        except RepositoryError:
            seen["failed"] += 1
            continue
        finally:
            rival.client.line = Line.UP
        seen[rival.name] += outcome.commit is not None
        observed = outcome.result.observed
        now = _where(observed)
        moves.update(name for name, node in now.items() if where.get(name, node) != node)
        where |= now
        if observed.leader is not None:
            terms.add((observed.leader.term, observed.leader.holder))

    assert _linear(world)
    assert max(moves.values(), default=0) <= 1
    assert len(terms) == len({term for term, _ in terms}), "a term has one holder"
    assert min(seen["one"], seen["two"], seen["failed"], seen["restarts"], len(terms)) >= 3
