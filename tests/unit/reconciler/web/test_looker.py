from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.decide import Pass, decide
from reconciler.observing.builtin import builtin_templates
from reconciler.observing.inventory import Sighting
from reconciler.observing.snapshot import Snapshot
from reconciler.preview import Fate, ReplicaChange
from reconciler.rendering.port import Outcome, Rendered, RenderJob
from reconciler.rolling.marks import Memory
from reconciler.web.looker import Looker
from reconciler.web.looking import facts_of, first_sightings, pending
from reconciler.web.views import Health, NodeState, Sync
from schemas.heartbeat import dump_heartbeat
from schemas.names import CommitId, DeploymentName, NodeName, ReplicaName
from tests.builders import A_MOMENT, a_heartbeat, a_host

FLEET = b"apiVersion: miaas/v1\nkind: Fleet\nmetadata: {name: test}\nspec: {}\n"
NODE = b"apiVersion: miaas/v1\nkind: Node\nmetadata: {name: alpha}\nspec: {}\n"
HELLO = (
    b"apiVersion: miaas/v1\nkind: Deployment\nmetadata: {name: hello}\n"
    b"spec: {template: http-echo}\n"
)


class Paper:
    """A renderer whose every file is the same, and which counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def render(self, jobs: tuple[RenderJob, ...]) -> tuple[Outcome, ...]:
        self.asked += 1
        return tuple(Rendered(files={"compose.yaml": b"services: {}\n"}) for _ in jobs)


def a_snapshot(**fields: object) -> Snapshot:
    beat = dump_heartbeat(a_heartbeat(sent_at=A_MOMENT))
    ours: dict[str, object] = {
        "source": CommitId("a" * 40),
        "desired": {
            "fleet.yaml": FLEET,
            "nodes/alpha.yaml": NODE,
            "deployments/hello.yaml": HELLO,
        },
        "builtin": builtin_templates(),
        "heartbeats": {NodeName("alpha"): beat.encode()},
    }
    return Snapshot(**{**ours, **fields})  # type: ignore[arg-type]  # fields of the class


def test_a_look_shows_what_the_reconciler_has_yet_to_do() -> None:
    view = Looker(a_snapshot, Paper()).look(lambda: A_MOMENT)

    seen = view.deployments_by_name["hello"]
    assert (seen.sync.state, seen.health.state) == (Sync.OUT_OF_SYNC, Health.MISSING)
    assert view.nodes_by_name["alpha"].mark.state is NodeState.READY


def test_a_look_that_finds_nothing_new_makes_nothing_new() -> None:
    paper = Paper()
    snapshot = a_snapshot()
    looker = Looker(lambda: snapshot, paper)

    first = looker.look(lambda: A_MOMENT)
    asked = paper.asked
    second = looker.look(lambda: A_MOMENT + timedelta(seconds=1))

    assert second is first
    assert paper.asked == asked


def test_a_heartbeat_that_changes_no_decision_costs_none_and_is_seen() -> None:
    paper = Paper()
    later = A_MOMENT + timedelta(seconds=20)
    complaint = a_heartbeat(sequence=2, sent_at=later, problems=("the disk is full",))
    spoken = {NodeName("alpha"): dump_heartbeat(complaint).encode()}
    snapshots = [a_snapshot(), a_snapshot(heartbeats=spoken)]
    looker = Looker(lambda: snapshots.pop(0), paper)

    first = looker.look(lambda: A_MOMENT)
    asked = paper.asked
    second = looker.look(lambda: later)

    assert paper.asked == asked
    assert first.nodes[0].mark.state is NodeState.READY
    assert second.nodes[0].mark.why == "the disk is full"
    assert second.nodes[0].seen_at == later
    assert second.deployments == first.deployments


def test_a_node_without_a_record_falls_silent_between_looks() -> None:
    stray = {NodeName("stray"): dump_heartbeat(a_heartbeat("stray")).encode()}
    snapshot = a_snapshot(heartbeats=stray)
    looker = Looker(lambda: snapshot, Paper())

    first = looker.look(lambda: A_MOMENT)
    second = looker.look(lambda: A_MOMENT + timedelta(minutes=6))

    assert first.nodes_by_name["stray"].mark.why.startswith("it gets nothing until")
    assert second.nodes_by_name["stray"].mark.why.startswith("no record, and silent for more")


def test_a_heartbeat_that_changes_what_fits_is_decided_on_anew() -> None:
    paper = Paper()
    full = a_heartbeat(sequence=2, host=a_host(foreign_memory_mib=64 * 1024))
    spoken = {NodeName("alpha"): dump_heartbeat(full).encode()}
    snapshots = [a_snapshot(), a_snapshot(heartbeats=spoken)]
    looker = Looker(lambda: snapshots.pop(0), paper)

    views = [looker.look(lambda: A_MOMENT) for _ in range(2)]

    assert [len(view.deployments_by_name["hello"].unplaced) for view in views] == [0, 1]


def test_a_node_that_falls_silent_is_seen_though_git_stands_still() -> None:
    snapshot = a_snapshot()
    looker = Looker(lambda: snapshot, Paper())

    states = [
        looker.look(lambda: A_MOMENT + timedelta(seconds=seconds)).nodes[0].mark.state  # noqa: B023 - called at once
        for seconds in (0, 100, 400)
    ]

    assert states == [NodeState.READY, NodeState.LATE, NodeState.LOST]


def test_the_first_sighting_of_a_node_is_its_own_word_and_never_the_future() -> None:
    old = a_heartbeat("alpha", sent_at=A_MOMENT - timedelta(hours=1))
    ahead = a_heartbeat("beta", sent_at=A_MOMENT + timedelta(hours=1))

    seen = first_sightings((old, ahead), A_MOMENT)

    assert seen == {
        "alpha": Sighting(old.incarnation, 1, A_MOMENT - timedelta(hours=1), is_news=True),
        "beta": Sighting(ahead.incarnation, 1, A_MOMENT, is_news=True),
    }


def test_a_node_that_was_silent_long_before_the_first_look_is_shown_as_lost() -> None:
    looker = Looker(a_snapshot, Paper())

    view = looker.look(lambda: A_MOMENT + timedelta(days=1))

    assert view.nodes[0].mark.state is NodeState.LOST


def test_problems_of_a_deployment_are_not_told_twice() -> None:
    broken = HELLO.replace(b"http-echo", b"no-such-template")
    desired = {**a_snapshot().desired, "deployments/hello.yaml": broken}

    result = decide(a_snapshot(desired=desired), A_MOMENT, Memory(), Paper())
    facts = facts_of(result)

    assert list(facts.held) == ["hello"]
    assert facts.problems == ()


def test_a_bad_file_shows_its_place_on_the_page() -> None:
    desired = {**a_snapshot().desired, "deployments/hello.yaml": HELLO.replace(b"spec", b"spek")}

    view = Looker(lambda: a_snapshot(desired=desired), Paper()).look(lambda: A_MOMENT)

    places = {problem.place for problem in view.problems}
    assert any(place.startswith("deployments/hello.yaml:4:") for place in places)
    assert view.deployments_by_name["hello"].problems


@pytest.mark.parametrize(
    ("fates", "said"),
    [
        ([Fate.ADD], "the reconciler has yet to start 1 replica"),
        ([Fate.ADD, Fate.ADD], "the reconciler has yet to start 2 replicas"),
        (
            [Fate.REMOVE, Fate.CHANGE, Fate.MOVE],
            "the reconciler has yet to change 1 replica and move 1 replica and remove 1 replica",
        ),
    ],
)
def test_what_is_pending_is_said_in_words(fates: list[Fate], said: str) -> None:
    name = DeploymentName("chat")
    changes = tuple(
        ReplicaChange(replica=ReplicaName(f"chat-{number}"), deployment=name, fate=fate)
        for number, fate in enumerate(fates)
    )

    assert pending(changes) == {name: said}


def test_where_no_decision_can_be_made_what_is_known_is_shown() -> None:
    def refuse(*_arguments: object) -> Pass:
        raise AssertionError("alpha is overfull")

    view = Looker(a_snapshot, Paper(), refuse).look(lambda: A_MOMENT)

    assert view.nodes_by_name["alpha"].mark.state is NodeState.READY
    assert [notice.what for notice in view.notices] == ["alpha is overfull"]


def test_two_looks_at_equal_snapshots_are_equal() -> None:
    one = Looker(a_snapshot, Paper()).look(lambda: A_MOMENT)
    other = Looker(lambda: replace(a_snapshot()), Paper()).look(lambda: A_MOMENT)

    assert one == other
