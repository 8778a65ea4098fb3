"""Since when what was decided is so, told from the messages of decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from reconciler.conditions.since import since_when
from schemas.assignment import Phase
from tests.builders import A_MOMENT

# When decisions were made, the newest first.
AT = [A_MOMENT - timedelta(hours=number) for number in range(6)]


@dataclass(frozen=True)
class Told:
    message: str
    at: datetime
    parents: Sequence[str]


def a_log(*told: str, is_whole: bool = True) -> list[Told]:
    """A log of decisions, newest first; each by its trailers, one a line."""
    return [
        Told(
            f"a subject\n\n{text}\n",
            AT[number],
            () if is_whole and number + 1 == len(told) else "p",
        )
        for number, text in enumerate(told)
    ]


@pytest.mark.parametrize(
    ("told", "since"),
    [
        pytest.param(("Placed: a-0 on x",), AT[0], id="placed"),
        pytest.param(("Reason: r", "Moved: a-0 from y to x"), AT[1], id="moved here"),
        pytest.param(("Changed: a-0 on x", "Placed: a-0 on x"), AT[0], id="changed since"),
        pytest.param(("Moved: a-0 from x to y", "Placed: a-0 on x"), AT[0], id="moved away"),
        pytest.param(("Removed: a-0 from x", "Placed: a-0 on x"), AT[0], id="removed"),
        pytest.param(("Placed: a-1 on x", "Placed: a-0 on y"), None, id="others"),
        pytest.param(
            ("Placed: b-0 on x\nPlaced: and 3 more", "Placed: a-0 on x"),
            None,
            id="perhaps among more",
        ),
        pytest.param(
            ("Placed: a-0 on x\nPlaced: and 3 more",), AT[0], id="named though there are more"
        ),
    ],
)
def test_when_a_node_was_told_of_a_replica_last(
    told: tuple[str, ...], since: datetime | None
) -> None:
    assert since_when(a_log(*told)).told.get(("a-0", "x")) == since


@pytest.mark.parametrize(
    ("told", "is_whole", "since"),
    [
        pytest.param(("Reason: r", "Rolling: a"), True, AT[1], id="it began"),
        pytest.param(
            ("Completed: a", "Rolling: a", "Completed: a"), True, AT[2], id="never failed"
        ),
        pytest.param(("Rolling: a", "Stalled: a", "Rolling: a"), True, AT[0], id="stalled before"),
        pytest.param(
            ("Completed: a", "Rolling: a", "Rolled-Back: a"), False, AT[1], id="rolled back before"
        ),
        pytest.param(("Completed: a", "Rolling: a"), False, None, id="the log ends before"),
        pytest.param(("Stalled: a", "Rolling: a"), True, None, id="it fails now"),
        pytest.param(("Completed: b",), True, None, id="another"),
    ],
)
def test_since_when_no_rollout_failed(
    told: tuple[str, ...], is_whole: bool, since: datetime | None
) -> None:
    assert since_when(a_log(*told, is_whole=is_whole)).sound.get("a") == since


FEW = "Reason: a finds too few nodes"
MANY = "Reason: b finds too few nodes\nReason: and 4 more"


@pytest.mark.parametrize(
    ("told", "is_whole", "since"),
    [
        pytest.param((FEW, FEW, "Reason: r"), True, AT[1], id="since the change"),
        pytest.param((FEW, FEW), True, AT[1], id="from the first one on"),
        pytest.param((FEW, FEW), False, None, id="the log ends before"),
        pytest.param((FEW, MANY, "Reason: r"), True, None, id="perhaps among more"),
        pytest.param((MANY, FEW), True, None, id="not named now"),
    ],
)
def test_since_when_a_deployment_finds_too_few_nodes(
    told: tuple[str, ...], is_whole: bool, since: datetime | None
) -> None:
    assert since_when(a_log(*told, is_whole=is_whole)).unplaced.get("a") == since


@pytest.mark.parametrize(
    ("told", "since"),
    [
        pytest.param(("Waits: a-0, a-1 (gate)",), AT[0], id="named"),
        pytest.param(
            ("Reason: r", "Waits: a-1 (gate)\nWaits: a-0 (gate)"), AT[1], id="a second line"
        ),
        pytest.param(("Waits: a-0 (window)", "Waits: a-0 (gate)"), AT[1], id="for this reason"),
        pytest.param(("Waits: and 9 more", "Waits: a-0 (gate)"), None, id="perhaps among more"),
    ],
)
def test_since_when_a_replica_waits(told: tuple[str, ...], since: datetime | None) -> None:
    assert since_when(a_log(*told)).waits.get(("a-0", "gate")) == since


def test_the_newest_phase_is_the_one_that_lasts() -> None:
    found = since_when(a_log("Completed: a", "Rolling: a"))

    assert found.phases == {("a", Phase.SETTLED): AT[0]}
