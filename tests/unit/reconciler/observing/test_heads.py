"""The branch that people write goes forward, or everything stays as it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.memory import MemoryRepository
from fleet.port import Repository
from reconciler.loop import Outcome, pass_once
from reconciler.observing.read import Reader
from reconciler.observing.trailers import source_of, values_of
from reconciler.preview import with_desired
from reconciler.rolling.marks import Memory
from schemas.assignment import Verdict
from schemas.layout import ASSIGNMENTS_REF
from schemas.names import CommitId
from tests.builders import A_MOMENT
from tests.unit.reconciler.world import World, a_world, deployment

MAIN = "refs/heads/main"


class Watched(MemoryRepository):
    """A client that counts the questions that cost a process of git."""

    asked = 0

    def descends(self, newer: CommitId, older: CommitId) -> bool:
        self.asked += 1
        return super().descends(newer, older)

    def fetch_history(self, ref: str) -> CommitId | None:
        self.asked += 1
        return super().fetch_history(ref)


class Reconciler:
    """One with its own mirror, which remembers what it accepted, if it is let."""

    def __init__(self, world: World, accepted: CommitId | None = None) -> None:
        self.world = world
        self.client = Watched(world.server)
        self.reader = Reader(self.client, self.client, "main")
        self.reader.heads.accepted = accepted

    def once(self) -> Outcome:
        return pass_once(self.reader, self.world.renderer, Memory(), self.world.clock)


def a_decided_world() -> tuple[World, CommitId, CommitId]:
    """One whose newest decision was made from the second of two commits."""
    world = a_world()
    first = tip(world)
    second = world.commit({"deployments/more.yaml": deployment("more")})
    Reconciler(world).once()
    return world, first, second


def tip(world: World, ref: str = MAIN) -> CommitId:
    return CommitId(world.server.refs[ref])


def rewind(world: World, to: CommitId) -> None:
    world.server.refs[MAIN] = to


def people(world: World) -> Repository:
    client = MemoryRepository(world.server)
    client.fetch_history(MAIN)
    return client


def committed(world: World, message: str, *, parent: CommitId | None) -> CommitId:
    """Commit the files of the tip of main anew, on any parent."""
    client = people(world)
    tree = client.show(tip(world)).tree
    made = client.commit(tree, parent=parent, message=message, at=A_MOMENT)
    client.push_own(MAIN, made)
    return made


def test_a_rewound_branch_changes_nothing_and_is_told() -> None:
    world, first, second = a_decided_world()
    before = world.tree()
    rewind(world, first)

    outcome = Reconciler(world).once()

    assert [p for p, c in world.tree().items() if before.get(p) != c] == ["decision.json"]
    (problem,) = outcome.result.problems
    assert str(problem).startswith(
        f"the branch is at {first}, which does not follow {second}, the last accepted commit"
    )
    assert "miaas accept-rewind" in problem.fix
    assert {one.verdict for one in outcome.result.decision.deployments} == {Verdict.HELD}
    client = MemoryRepository(world.server)
    client.fetch(ASSIGNMENTS_REF)
    told = client.show(tip(world, ASSIGNMENTS_REF)).message
    assert source_of(told) == second
    assert values_of(told, "Reason") == (f"nothing may change: {problem.what}",)


def test_a_rewound_branch_is_told_once() -> None:
    world, first, _ = a_decided_world()
    rewind(world, first)
    reconciler = Reconciler(world)
    reconciler.once()

    assert reconciler.once().commit is None
    assert Reconciler(world).once().commit is None, "and a restart with nothing kept adds nothing"


def test_a_branch_put_in_its_place_is_held_whatever_it_asks_for() -> None:
    world, _, _ = a_decided_world()
    before = world.tree()
    committed(world, "all anew", parent=None)
    world.commit({"deployments/chat.yaml": None, "deployments/more.yaml": None})

    Reconciler(world).once()

    assert [p for p, c in world.tree().items() if before.get(p) != c] == ["decision.json"]


def test_pushing_the_lost_commit_back_ends_it() -> None:
    world, first, second = a_decided_world()
    reconciler = Reconciler(world)
    rewind(world, first)
    reconciler.once()
    rewind(world, second)

    result = reconciler.once().result

    assert (result.problems, result.snapshot.left) == ((), None)


@pytest.mark.parametrize("kept", [True, False], ids=["going on", "restarted, with nothing kept"])
@pytest.mark.parametrize("later", [0, 3], ids=["at the head", "some commits ago"])
def test_a_commit_that_names_the_lost_head_accepts_the_rewind(kept: bool, later: int) -> None:
    world, first, second = a_decided_world()
    reconciler = Reconciler(world)
    rewind(world, first)
    reconciler.once()
    made = committed(world, f"ok\n\nMiaas-Accept-Rewind: {second}\n", parent=first)
    for number in range(later):
        made = committed(world, f"more {number}", parent=made)

    result = (reconciler if kept else Reconciler(world)).once().result

    assert (result.snapshot.left, result.observed.source) == (None, made)
    assert "nodes/alpha/chat-0/compose.yaml" in world.tree()
    assert not [path for path in world.tree() if "/more-0/" in path]


def test_a_commit_that_names_another_head_accepts_nothing() -> None:
    world, first, second = a_decided_world()
    rewind(world, first)
    committed(world, f"ok\n\nMiaas-Accept-Rewind: {first}\n", parent=first)

    assert Reconciler(world).once().result.snapshot.left == second


def test_an_accepted_rewind_is_no_leave_for_the_next_one() -> None:
    world, first, second = a_decided_world()
    rewind(world, first)
    accepting = committed(world, f"ok\n\nMiaas-Accept-Rewind: {second}\n", parent=first)
    Reconciler(world).once()
    world.commit({"deployments/new.yaml": deployment("new")})
    reconciler = Reconciler(world)
    reconciler.once()
    last = tip(world)
    rewind(world, accepting)

    assert reconciler.once().result.snapshot.left == last
    assert Reconciler(world).once().result.snapshot.left == last


def test_a_commit_that_changed_no_decision_is_remembered_by_who_keeps_it() -> None:
    world, _, second = a_decided_world()
    quiet = world.commit({"README.md": "words"})
    kept: list[CommitId] = []
    reconciler = Reconciler(world)
    reconciler.reader.heads.keep = kept.append
    assert reconciler.once().commit is None
    rewind(world, second)

    assert kept == [quiet]
    restarted = Reader(reconciler.client, reconciler.client, "main")
    restarted.heads.accepted = quiet
    assert restarted.read().left == quiet
    assert Reconciler(world).reader.read().left is None, "nothing that was decided is undone"


def test_another_reconciler_may_have_gone_on() -> None:
    world, first, _ = a_decided_world()
    standing_by = Reconciler(world, first)
    world.commit({"deployments/new.yaml": deployment("new")})
    Reconciler(world).once()
    new = tip(world)

    assert standing_by.once().result.snapshot.left is None
    assert standing_by.reader.heads.accepted == new


def test_another_reconciler_may_have_accepted_a_rewind() -> None:
    world, first, second = a_decided_world()
    standing_by = Reconciler(world, second)
    rewind(world, first)
    committed(world, f"ok\n\nMiaas-Accept-Rewind: {second}\n", parent=first)
    Reconciler(world).once()
    world.commit({"deployments/new.yaml": deployment("new")})

    assert standing_by.once().result.snapshot.left is None


def test_history_that_was_rewritten_while_nobody_looked_is_noticed() -> None:
    world, _, second = a_decided_world()
    for _ in range(3):
        committed(world, "rewritten", parent=None)
        world.commit({"deployments/more.yaml": deployment("more", replicas=2)})

    assert Reconciler(world, second).once().result.snapshot.left == second
    assert Reconciler(world).once().result.snapshot.left == second


def test_a_mirror_that_begins_later_is_no_rewind() -> None:
    world, _, second = a_decided_world()
    for number in range(5):
        world.commit({"README.md": str(number)})

    snapshot = Reconciler(world, second).reader.read()

    assert (snapshot.left, snapshot.message) == (None, "a change\n")


def test_a_first_start_accepts_what_is_there() -> None:
    world = a_world()

    assert Reconciler(world).reader.read().left is None


def test_another_branch_by_configuration_is_held_like_a_rewind() -> None:
    world, _, second = a_decided_world()
    client = MemoryRepository(world.server)
    kept = Reconciler(world, second)
    other = committed(world, "another history", parent=None)
    world.server.refs |= {MAIN: second, "refs/heads/other": other}

    for reader in (Reader(client, client, "other"), Reader(kept.client, kept.client, "other")):
        reader.heads.accepted = kept.reader.heads.accepted
        assert reader.read().left == second


def test_going_forward_commit_by_commit_costs_no_process_of_git() -> None:
    world, _, _ = a_decided_world()
    reconciler = Reconciler(world)
    reconciler.once()
    reconciler.client.asked = 0

    world.commit({"README.md": "words"})
    reconciler.once()
    reconciler.once()
    world.commit({"README.md": "more words"})
    reconciler.once()
    world.commit({"deployments/new.yaml": deployment("new")})
    reconciler.once()
    reconciler.once()

    assert reconciler.client.asked == 0


def test_a_rewind_is_looked_into_once() -> None:
    world, first, _ = a_decided_world()
    reconciler = Reconciler(world)
    reconciler.once()
    rewind(world, first)
    reconciler.once()
    reconciler.once()
    reconciler.client.asked = 0

    reconciler.once()

    assert reconciler.client.asked == 0


def test_a_work_tree_is_planned_whatever_the_branch_does() -> None:
    world, first, _ = a_decided_world()
    rewind(world, first)
    snapshot = world.snapshot()

    planned = with_desired(snapshot, replace(snapshot, source=None, message=""))

    assert (planned.left, planned.message) == (None, "")
