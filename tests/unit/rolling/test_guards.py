"""What would stop much at once is held, and does not get loose by what happens beside it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta

import pytest

from fleet.memory import MemoryRepository
from reconciler.cli.steps import remarks_of
from reconciler.decide import decide
from reconciler.loop import Outcome, pass_once
from reconciler.observing.read import Reader
from reconciler.preview import preview
from reconciler.publishing.story import message
from reconciler.rolling.marks import Memory
from reconciler.seat import Seat
from schemas.assignment import Verdict
from schemas.layout import ASSIGNMENTS_REF
from tests.unit.reconciler.world import World, deployment, node
from tests.unit.rolling.fleet import Fleet, a_fleet_of

NAMES = tuple(f"d{number}" for number in range(10))
HOSTS = ("alpha", "beta", "gamma", "delta")


def ten() -> Fleet:
    return a_fleet_of(*HOSTS, **{name: deployment(name) for name in NAMES})


def running(fleet: Fleet) -> set[str]:
    assignments = fleet.world.decide().observed.assignments
    return {str(one.deployment) for each in assignments.values() for one in each.replicas}


def test_new_deployments_do_not_make_many_removals_few() -> None:
    fleet = ten()
    gone = {f"deployments/{name}.yaml": None for name in NAMES[:4]}
    new = {f"deployments/{name}x.yaml": deployment(f"{name}x") for name in NAMES[:4]}
    fleet.world.commit({**gone, **new})

    fleet.rest(3)
    assert running(fleet) == set(NAMES)
    for name in ("d0x", "d0"):
        (problem,) = fleet.decision(name).problems
        assert problem.what.startswith("main removes 4 of 10 running deployments")

    fleet.world.commit({}, message="meant so\n\nMiaas-Allow-Removals: yes\n")
    fleet.rest(3)
    assert running(fleet) == {*NAMES[4:], *(f"{name}x" for name in NAMES[:4])}


def labelled(name: str, shelf: str) -> str:
    head = (
        f"apiVersion: miaas/v1\nkind: Node\nmetadata: {{name: {name}, labels: {{shelf: {shelf}}}}}"
    )
    return f"{head}\nspec: {{duty: active}}\n"


EVERY_NODE_GONE: Mapping[str, str | None] = {f"nodes/{name}.yaml": None for name in HOSTS}
NOBODY_FITS = {f"nodes/{name}.yaml": labelled(name, "lwo") for name in HOSTS}


@pytest.mark.parametrize("change", [EVERY_NODE_GONE, NOBODY_FITS], ids=["records", "labels"])
def test_a_commit_after_which_no_node_takes_much_of_what_runs_is_held(
    change: Mapping[str, str | None],
) -> None:
    where = "{require: [{key: shelf, operator: In, values: [low]}]}"
    fleet = ten()
    fleet.world.commit({f"nodes/{name}.yaml": labelled(name, "low") for name in HOSTS})
    fleet.rest(3)
    texts = {f"deployments/{one}.yaml": deployment(one, placement=where) for one in NAMES}
    fleet.world.commit(texts)
    fleet.rest(6)
    homes = {name: fleet.homes(name) for name in NAMES}

    fleet.world.commit(change)
    fleet.rest(3)

    assert {name: fleet.homes(name) for name in NAMES} == homes
    (problem,) = fleet.decision("d0").problems
    assert problem.what.startswith("10 of 10 running deployments would stop at once")
    assert "Miaas-Allow-Removals" in problem.fix


# Not a pin: one to a node that is gone is held, and so nothing of it would stop.
ON_ALPHA = "{require: {miaas/node: alpha}}"


def test_what_main_removes_and_what_no_node_takes_count_together() -> None:
    fleet = a_fleet_of(
        *HOSTS,
        **{name: deployment(name) for name in NAMES[:8]},
        **{name: deployment(name, placement=ON_ALPHA) for name in NAMES[8:]},
    )
    gone = {f"deployments/{name}.yaml": None for name in NAMES[:2]}

    fleet.world.commit(
        {**gone, "nodes/alpha.yaml": None, "deployments/new.yaml": deployment("new")}
    )
    fleet.rest(3)

    assert running(fleet) == set(NAMES)
    assert {fleet.decision(name).verdict for name in ("d0", "d8", "new")} == {Verdict.HELD}


def test_and_is_done_where_that_is_said_to_be_meant() -> None:
    fleet = ten()

    fleet.world.commit(EVERY_NODE_GONE, message="all of it\n\nMiaas-Allow-Removals: yes\n")
    fleet.rest(3)

    assert running(fleet) == set()


def test_a_single_node_may_go_as_ever() -> None:
    fleet = a_fleet_of(*HOSTS, **{name: deployment(name, placement=ON_ALPHA) for name in NAMES[:3]})

    fleet.world.commit({"nodes/alpha.yaml": None})
    fleet.rest(3)

    assert running(fleet) == set()


def test_a_drain_of_everything_is_told_as_a_drain() -> None:
    fleet = ten()

    fleet.world.commit({f"nodes/{name}.yaml": node(name, duty="draining") for name in HOSTS})
    fleet.rest(3)

    assert running(fleet) == set(NAMES)
    assert {fleet.because(name) == {"homeless"} for name in NAMES} == {True}


@pytest.mark.parametrize("how", ["put back", "deleted"])
def test_what_is_held_does_not_get_loose_where_the_branch_of_decisions_goes_back(how: str) -> None:
    """An agent refuses what is older than what it obeys, so all that runs goes on."""
    fleet = a_fleet_of(*HOSTS, keep=deployment("keep"))
    refs = fleet.world.server.refs
    backup = refs[ASSIGNMENTS_REF]
    four = NAMES[:4]
    fleet.world.commit({f"deployments/{name}.yaml": deployment(name) for name in four})
    fleet.rest(4)
    fleet.world.commit({f"deployments/{name}.yaml": None for name in four})
    fleet.rest(2)
    obeyed = {name: one.told.generation for name, one in fleet.agents.items() if one.told}
    assert running(fleet) == {"keep", *four}

    if how == "deleted":
        del refs[ASSIGNMENTS_REF]
    else:
        refs[ASSIGNMENTS_REF] = backup
    for _ in range(3):
        fleet.say()
        result = fleet.world.pass_once().result
        (problem,) = result.observed.frozen
        assert problem.what.startswith("the branch of decisions was put back to an older commit")
        assert "main removes 4 of 5 running deployments" in problem.what
        told = {str(name): one.generation for name, one in result.assignments.items()}
        assert all(told.get(name, 0) <= obeyed[name] for name in obeyed)
    assert fleet.world.history()[0].startswith("put back: nothing may change\n")
    # Who looks for the first time does not know what ran before.
    newcomer = decide(fleet.world.snapshot(), fleet.world.clock.now, Memory(), fleet.world.renderer)
    assert newcomer.observed.frozen == ()
    (told_of_it,) = remarks_of(newcomer, fleet.world.clock.now)
    assert told_of_it.startswith("Nothing may change: the branch of decisions was put back")
    assert "Miaas-Allow-Removals: yes" in told_of_it

    fleet.world.commit({}, message="meant so\n\nMiaas-Allow-Removals: yes\n")
    fleet.rest(3)
    assert running(fleet) == {"keep"}


def test_a_branch_of_decisions_that_went_back_is_told() -> None:
    fleet = ten()
    backup = fleet.world.server.refs[ASSIGNMENTS_REF]
    fleet.change("d0", parameters="{text: two}")
    fleet.rest(2)
    fleet.world.server.refs[ASSIGNMENTS_REF] = backup

    result = fleet.step()

    subject, *lines = message(result, preview(result)).splitlines()
    assert subject == "d0: change d0-0 on alpha"
    assert "Reason: the branch of decisions was put back to an older commit" in lines


def test_and_also_where_nothing_else_changes() -> None:
    fleet = ten()
    backup = fleet.world.server.refs[ASSIGNMENTS_REF]
    for text in ("two", "one"):
        fleet.change("d0", parameters=f"{{text: {text}}}")
        fleet.rest(2)
    fleet.change("d0")
    fleet.world.server.refs[ASSIGNMENTS_REF] = backup

    result = fleet.step()

    assert result.facts.lifts
    assert message(result, preview(result)).startswith("put back: 4 nodes: tell them again\n")


class Rival:
    """A reconciler with a memory of its own, of the same world."""

    def __init__(self, world: World, name: str = "", memory: Memory | None = None) -> None:
        self.world, self.memory = world, memory or Memory()
        self.seat = Seat(name, random.Random(1)) if name else None
        client = MemoryRepository(world.server)
        self.reader = Reader(client, client, "main")

    def look(self) -> Outcome:
        made = pass_once(
            self.reader, self.world.renderer, self.memory, self.world.clock, seat=self.seat
        )
        self.memory = made.result.memory
        return made


def test_a_standby_that_saw_a_restore_long_ago_does_not_freeze_the_fleet_when_it_leads() -> None:
    """A node that the backup does not know, and whose record is gone, is missed for ever."""
    names = [f"d{number}" for number in range(8)]
    lease = "  leader: {lease: 1m}\n"
    fleet = a_fleet_of("alpha", "beta", fleet=lease, **{one: deployment(one) for one in names})
    world = fleet.world
    one, two = Rival(world, "one"), Rival(world, "two")

    def on(passes: int = 4, *, both: bool = True) -> Outcome:
        for _ in range(passes):
            world.clock.pass_by(timedelta(seconds=15))
            fleet.obey()
            if both:
                one.look()
            last = two.look()
        return last

    on()
    backup = world.server.refs[ASSIGNMENTS_REF]
    world.commit({"nodes/gamma.yaml": node("gamma")})
    world.beat("gamma")
    on()
    world.commit({"nodes/gamma.yaml": None})
    on()
    world.server.refs[ASSIGNMENTS_REF] = backup
    on(12)
    gone: dict[str, str | bytes | None] = {f"deployments/{one}.yaml": None for one in names[:6]}
    world.commit(gone, message="meant so\n\nMiaas-Allow-Removals: yes\n")
    on(12)
    world.commit({"deployments/d7.yaml": deployment("d7", parameters="{text: two}")})
    on(12)

    last = on(12, both=False)

    assert last.result.observed.frozen == ()
