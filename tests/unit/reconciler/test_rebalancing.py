"""How many moves are made: only at rest, only within the budget, and never on what is unknown."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from reconciler.rebalancing import (
    Published,
    Tried,
    moved_lately,
    proposals,
    rebalanced,
    unrest,
)
from schemas.heartbeat import ReplicaState
from schemas.layout import replica_folder
from tests.builders import A_MOMENT, a_replica_report
from tests.unit.reconciler.world import FLEET, World, a_small_fleet, a_world, deployment, node

MINUTE = timedelta(minutes=1)
MOVED = "Rebalanced: web-0 from a to b: +1.00"
ONE = f"{MOVED}\n\nReason: better\n{MOVED}, why\n"
MANY = "x\n\n" + f"{MOVED}, why\n" * 50 + "Rebalanced: and 7 more\n"


def said(minutes: int, message: str = ONE, *, first: bool = False) -> Published:
    return Published(A_MOMENT - minutes * MINUTE, message, first)


@pytest.mark.parametrize(
    ("log", "count"),
    [
        pytest.param([], None, id="nothing is known"),
        pytest.param([said(5)], None, id="does not reach back an hour"),
        pytest.param([said(5, first=True)], 1, id="but to the beginning"),
        pytest.param([said(5), said(61)], 1, id="reaches back an hour"),
        pytest.param([said(59), said(60)], 1, id="an hour ago is no longer within the hour"),
        pytest.param([said(1), said(2), said(70)], 2, id="several"),
        pytest.param([said(1, "web: place\n"), said(70)], 0, id="other decisions"),
        pytest.param([said(1, "Moved: web-0 from a to b\n"), said(70)], 0, id="other moves"),
        pytest.param([said(1, MANY), said(70)], 57, id="more than are listed"),
        pytest.param([said(-30), said(70)], 1, id="a decision of the future counts"),
        pytest.param([said(70)], 0, id="nothing for long"),
    ],
)
def test_the_moves_of_the_last_hour(log: list[Published], count: int | None) -> None:
    assert moved_lately(log, A_MOMENT) == count


@dataclass
class Fleet:
    """A fleet whose two nodes carry everything and whose third has just joined."""

    world: World
    sequence: int = 1
    late: set[str] = field(default_factory=set)

    def obey(self, **states: ReplicaState) -> None:
        """Let every node do what it was told, and say so; some replicas fare otherwise."""
        self.sequence += 1
        observed = self.world.decide().observed
        folders = self.world.snapshot().folders
        for name in ("alpha", "beta", "gamma"):
            told = observed.assignments.get(name)  # type: ignore[call-overload]  # a plain name
            reports = tuple(
                a_replica_report(
                    one.name,
                    state=states.get(one.name.replace("-", "_"), ReplicaState.RUNNING),
                    observed=folders[replica_folder(told.node, one.name)],
                )
                for one in (told.replicas if told else ())
            )
            if name not in self.late:
                self.world.beat(name, sequence=self.sequence, replicas=reports)

    def moves(self) -> list[str]:
        """Make a pass and name who was moved by it."""
        outcome = self.world.pass_once()
        return [move.replica for move in outcome.result.moves] if outcome.commit else []


def a_lopsided_fleet(budget: str, replicas: int = 12) -> Fleet:
    rules = "{strategy: spread}"
    files = {
        **a_small_fleet(),
        "fleet.yaml": FLEET + f"spec:\n  rebalance: {budget}\n",
        "deployments/chat.yaml": deployment(
            "chat",
            replicas=replicas,
            placement=rules,
            resources="{cpu: 2}",
            update="{maxUnavailable: 100%}",
        ),
    }
    world = a_world(files=files)
    world.pass_once()
    fleet = Fleet(world)
    fleet.obey()
    world.commit({"nodes/gamma.yaml": node("gamma")})
    world.pass_once()
    fleet.obey()
    return fleet


def test_by_default_moves_are_proposed_and_none_is_made() -> None:
    fleet = a_lopsided_fleet("{}")

    assert fleet.moves() == []
    proposed = proposals(fleet.world.decide(), 10)
    assert {move.to.node for move in proposed} == {"gamma"}
    assert len(proposed) > 1


def test_at_most_so_many_a_pass_and_the_next_when_those_run() -> None:
    fleet = a_lopsided_fleet("{movesPerPass: 1, movesPerHour: 100}")

    first = fleet.moves()
    waiting = fleet.moves()
    fleet.obey()
    second = fleet.moves()

    assert len(first) == len(second) == 1
    assert waiting == []
    assert first != second


def test_at_most_so_many_an_hour_and_in_the_end_none() -> None:
    fleet = a_lopsided_fleet("{movesPerPass: 5, movesPerHour: 2}", replicas=14)
    clock, made = fleet.world.clock, []

    for _ in range(40):
        fleet.obey()
        made += [clock.now for _ in fleet.moves()]
        clock.pass_by(10 * MINUTE)

    assert len(made) > 2, "the budget of one hour is not enough"
    assert made[:2] == [made[0], made[0]], "the budget is used at once"
    for at in made:
        assert sum(at - timedelta(hours=1) < other <= at for other in made) <= 2
    assert proposals(fleet.world.decide(), 10) == ()
    count = len(fleet.world.history())
    fleet.obey()
    assert fleet.moves() == []
    assert len(fleet.world.history()) == count


@pytest.mark.parametrize("budget", ["{movesPerPass: 3}", "{movesPerHour: 3}"])
def test_half_a_budget_is_none(budget: str) -> None:
    assert a_lopsided_fleet(budget).moves() == []


def test_another_reconciler_counts_the_moves_of_the_first() -> None:
    fleet = a_lopsided_fleet("{movesPerPass: 5, movesPerHour: 1}")
    assert len(fleet.moves()) == 1
    fleet.obey()

    other = World(server=fleet.world.server, clock=fleet.world.clock)

    assert other.pass_once().commit is None
    fleet.world.clock.pass_by(timedelta(hours=1))
    fleet.obey()
    assert len(other.pass_once().result.moves) == 1


def test_who_is_not_well_is_not_moved() -> None:
    fleet = a_lopsided_fleet("{movesPerPass: 20, movesPerHour: 20}")
    fleet.obey(**{f"chat_{number}": ReplicaState.DEGRADED for number in range(0, 12, 2)})

    moved = fleet.moves()

    assert moved
    assert all(int(name.removeprefix("chat-")) % 2 for name in moved)


@pytest.mark.parametrize("state", [ReplicaState.STARTING, ReplicaState.PENDING])
def test_nothing_is_moved_while_something_starts(state: ReplicaState) -> None:
    fleet = a_lopsided_fleet("{movesPerPass: 5, movesPerHour: 5}")
    fleet.obey(chat_0=state)

    assert fleet.moves() == []
    assert "has yet to start chat-0" in (unrest(fleet.world.decide()) or "")


def test_nothing_is_moved_while_a_node_is_silent() -> None:
    fleet = a_lopsided_fleet("{movesPerPass: 5, movesPerHour: 5}")
    fleet.late.add("beta")
    fleet.world.memory = fleet.world.decide().memory
    fleet.world.clock.pass_by(2 * MINUTE)
    fleet.obey()

    assert fleet.moves() == []


def test_a_commit_of_people_comes_before_any_move() -> None:
    fleet = a_lopsided_fleet("{movesPerPass: 5, movesPerHour: 5}")
    fleet.world.commit({"deployments/more.yaml": deployment("more")})

    outcome = fleet.world.pass_once()

    assert outcome.commit is not None
    assert outcome.result.moves == ()


def test_a_search_in_vain_is_made_again_only_after_a_change() -> None:
    fleet = a_lopsided_fleet("{movesPerPass: 5, movesPerHour: 5}", replicas=2)
    world, tried = fleet.world, Tried()
    result = world.decide()

    first = rebalanced(result, 0, world.renderer, tried)
    remembered = tried.state
    again = rebalanced(world.decide(), 0, world.renderer, tried)

    assert first is result
    assert remembered is not None
    assert tried.state is remembered
    assert again.moves == ()
    other = a_lopsided_fleet("{movesPerPass: 5, movesPerHour: 5}")
    assert len(rebalanced(other.world.decide(), 0, world.renderer, tried).moves) > 1
    tried.state = None
    assert rebalanced(other.world.decide(), None, world.renderer, tried).moves == ()
    assert rebalanced(other.world.decide(), 5, world.renderer, tried).moves == ()
    assert len(rebalanced(other.world.decide(), 4, world.renderer, tried).moves) == 1


def test_history_tells_what_was_moved_and_what_it_gains() -> None:
    fleet = a_lopsided_fleet("{movesPerPass: 1, movesPerHour: 1}")
    (name,) = fleet.moves()

    message = fleet.world.history()[0]

    (move,) = (line for line in message.splitlines() if line.startswith("Moved: "))
    where = move.removeprefix("Moved: ")
    assert where.startswith(f"{name} from ")
    assert message.startswith(f"Rebalanced: {where}: +")
    assert len(message.splitlines()[0]) < 72
    assert f"\nRebalanced: {where}: +" in message
    assert message.endswith("of a node emptier\n")
    assert "could not stay" not in message
