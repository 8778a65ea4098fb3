"""Since when main says of its nodes what it says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from fleet.memory import Line, MemoryRepository
from fleet.port import RepositoryError
from reconciler.observing.duties import Duties, Words, duties
from reconciler.observing.duty_log import DutyLog
from reconciler.observing.read import Reader
from schemas.names import CommitId, NodeName
from schemas.node import Duty, NodeRecord
from tests.builders import A_MOMENT, a_record
from tests.unit.reconciler.world import World, a_small_fleet, node

ALPHA = NodeName("alpha")
# Of five commits of main: the one of `AT[0]` is the newest.
AT = [A_MOMENT - timedelta(hours=number) for number in range(5)]
ACTIVE, CORDONED, DRAINING = ({"duty": duty} for duty in Duty)
SUSPENDED: dict[str, Any] = {"suspend": True}


def history(*said: dict[str, Any] | None, is_whole: bool = True) -> tuple[Words, ...]:
    """What commits said of alpha, newest first; None: that there is no such node."""
    return tuple(
        Words(
            at=AT[number],
            is_first=is_whole and number == len(said) - 1,
            records={} if one is None else {ALPHA: record(**one)},
        )
        for number, one in enumerate(said)
    )


def record(**fields: Any) -> NodeRecord:
    return a_record("alpha", **fields)


@pytest.mark.parametrize(
    ("said", "cordoned", "draining"),
    [
        pytest.param((ACTIVE,), AT[0], AT[0], id="one commit"),
        pytest.param((CORDONED, ACTIVE), AT[0], AT[1], id="cordoned by the newest"),
        pytest.param((CORDONED, CORDONED, ACTIVE), AT[1], AT[2], id="said twice"),
        pytest.param((DRAINING, CORDONED, ACTIVE), AT[1], AT[0], id="cordoned, then drained"),
        pytest.param((DRAINING, SUSPENDED, ACTIVE), AT[1], AT[0], id="suspended, then drained"),
        pytest.param((CORDONED, DRAINING, ACTIVE), AT[1], AT[0], id="drained, then cordoned"),
        pytest.param((CORDONED, ACTIVE, CORDONED), AT[0], AT[2], id="cordoned once more"),
        pytest.param((ACTIVE, DRAINING), AT[0], AT[0], id="takes work again"),
        pytest.param((CORDONED, None, CORDONED), AT[0], AT[0], id="taken away and admitted again"),
    ],
)
def test_a_duty_lasts_since_the_commit_that_turned_to_it(
    said: tuple[dict[str, Any] | None, ...], cordoned: object, draining: object
) -> None:
    found = duties(history(*said))[ALPHA]

    assert (found.cordoned, found.draining) == (cordoned, draining)


def test_a_node_is_one_of_the_fleet_since_it_has_a_document_without_a_break() -> None:
    assert duties(history(CORDONED, ACTIVE, None, ACTIVE))[ALPHA].admitted == AT[1]
    assert duties(history(None, ACTIVE)) == {}
    assert duties(()) == {}


def test_where_the_history_ends_before_the_change_nobody_knows_since_when() -> None:
    found = duties(history(DRAINING, CORDONED, CORDONED, is_whole=False))[ALPHA]

    assert found == Duties(admitted=None, cordoned=None, draining=AT[0])


# from Git


def a_world(**nodes: str) -> World:
    """A fleet that was begun an hour ago."""
    world = World()
    world.clock.now = A_MOMENT - timedelta(hours=1)
    world.commit(a_small_fleet(**{f"nodes/{name}.yaml": text for name, text in nodes.items()}))
    world.clock.now = A_MOMENT
    return world


def found(world: World) -> Mapping[NodeName, Duties]:
    client = MemoryRepository(world.server)
    reader = Reader(client, client, "main")
    return reader.history(reader.read()).duties


def test_since_when_a_node_is_drained_is_read_from_main() -> None:
    world = a_world()
    world.commit({"nodes/alpha.yaml": node("alpha", duty="draining")})
    world.clock.pass_by(timedelta(minutes=5))
    world.commit({"deployments/more.yaml": "nonsense", "nodes/gamma.yaml": node("gamma")})

    begun, later = A_MOMENT - timedelta(hours=1), A_MOMENT + timedelta(minutes=5)
    assert found(world) == {
        "alpha": Duties(admitted=begun, cordoned=A_MOMENT, draining=A_MOMENT),
        "beta": Duties(admitted=begun, cordoned=begun, draining=begun),
        "gamma": Duties(admitted=later, cordoned=later, draining=later),
    }


def test_a_broken_document_cordons_since_it_is_broken() -> None:
    world = a_world()
    world.commit({"nodes/alpha.yaml": "nonsense"})
    world.clock.pass_by(timedelta(minutes=5))
    world.commit({"nodes/alpha.yaml": "nonsense of another kind"})

    assert found(world)[ALPHA].cordoned == A_MOMENT


class Counting(MemoryRepository):
    """Counts what is asked of it."""

    def __init__(self, world: World) -> None:
        super().__init__(world.server)
        self.asked: list[str] = []

    def fetch_history(self, ref: str) -> CommitId | None:
        self.asked.append(ref)
        return super().fetch_history(ref)

    def log(self, tip: CommitId, limit: int) -> Any:
        self.asked.append("log")
        return super().log(tip, limit)


def test_main_is_looked_through_only_when_it_moved_and_brought_over_once() -> None:
    world = a_world()
    client = Counting(world)
    log = DutyLog(client, "main")
    heads = [world.commit({"nodes/alpha.yaml": node("alpha", duty="cordoned")})]
    client.fetch("refs/heads/main")
    first = log.duties(heads[0])
    assert log.duties(heads[0]) is first
    heads.append(world.commit({"nodes/alpha.yaml": node("alpha", duty="draining")}))
    client.fetch("refs/heads/main")
    log.duties(heads[1])

    assert client.asked == ["refs/heads/main", "log", "log"]


@pytest.mark.parametrize(
    ("failures", "since"),
    [
        pytest.param(2, A_MOMENT, id="one below"),
        pytest.param(3, None, id="exact"),
    ],
)
def test_a_history_that_cannot_be_had_is_no_error_and_asked_for_three_times(
    failures: int, since: datetime | None
) -> None:
    world = a_world()
    world.commit({"nodes/alpha.yaml": node("alpha", duty="cordoned")})
    client = MemoryRepository(world.server)
    log = DutyLog(client, "main")
    head = client.fetch("refs/heads/main")["refs/heads/main"]

    client.line = Line.DOWN
    cut_off = [log.duties(head)[ALPHA] for _ in range(failures)]
    client.line = Line.UP

    assert cut_off == [Duties()] * failures
    assert log.duties(head)[ALPHA].cordoned == since


@pytest.mark.parametrize(
    ("limit", "since"),
    [
        pytest.param(2, None, id="one below"),
        pytest.param(3, A_MOMENT, id="exact"),
    ],
)
def test_main_is_looked_through_only_so_far(limit: int, since: datetime | None) -> None:
    world = a_world()
    world.commit({"nodes/alpha.yaml": node("alpha", duty="cordoned")})
    world.clock.pass_by(timedelta(minutes=5))
    head = world.commit({"deployments/chat.yaml": None})
    client = MemoryRepository(world.server)
    client.fetch("refs/heads/main")

    assert DutyLog(client, "main", limit).duties(head)[ALPHA].cordoned == since


def test_a_mirror_that_cannot_be_read_is_no_empty_history() -> None:
    with pytest.raises(RepositoryError):
        DutyLog(MemoryRepository(World().server), "main").duties(CommitId("1" * 40))
