"""What a decision did is read from its commit, whatever trailers a later version writes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.cli.events import Event, entry_of
from tests.unit.reconciler.cli.pasts import a_commit

MESSAGE = """chat: move chat-0 from a to b

move chat-0 from a to b
big is partial: no node has room for big-3: of 4
other is held: deployments/other.yaml:1:1: broken

Source: 5000000000000000000000000000000000000000
Reason: chat-0 could not stay on a
Reason: big finds too few nodes
Moved: chat-0 from a to b
Rolled-Back: big to 4711
Held: other
"""
COMMIT = replace(a_commit(), message=MESSAGE)


def test_every_trailer_but_source_and_reason_is_an_event() -> None:
    entry = entry_of(COMMIT)

    assert entry.subject == "chat: move chat-0 from a to b"
    assert entry.source == "5".ljust(40, "0")
    assert entry.reasons == ("chat-0 could not stay on a", "big finds too few nodes")
    assert entry.events == (
        Event("moved", "chat-0 from a to b"),
        Event("rolled back", "big to 4711"),
        Event("held", "other"),
        Event("partial", "big: no node has room for big-3: of 4"),
    )


@pytest.mark.parametrize(
    ("name", "events", "reasons"),
    [
        pytest.param("chat", ["moved"], 1, id="a deployment"),
        pytest.param("chat-0", ["moved"], 1, id="a replica"),
        pytest.param("b", ["moved"], 0, id="a node"),
        pytest.param("big", ["rolled back", "partial"], 1, id="several"),
        pytest.param("cha", [], 0, id="half a name"),
    ],
)
def test_a_name_is_told_what_concerns_it(name: str, events: list[str], reasons: int) -> None:
    entry = entry_of(COMMIT, name)

    assert [event.what for event in entry.events] == events
    assert len(entry.reasons) == reasons


def told_of(name: str, *trailers: str) -> list[str]:
    """The trailers that a decision with these tells to who asks for a name."""
    message = "\n".join(("a decision", "", "Source: " + "5" * 40, *trailers))
    entry = entry_of(replace(a_commit(), message=message), name)
    return [one.text for one in entry.events] + list(entry.reasons)


@pytest.mark.parametrize(
    ("trailer", "name", "does"),
    [
        ("Placed: chat-0 on gpu-1", "chat", True),
        ("Changed: chat-web-0 on gpu-1", "chat", False),
        ("Changed: chat-web-0 on gpu-1", "chat-web", True),
        ("Removed: gpu-1 from a", "gpu", True),
        ("Moved: chat-0 from gpu-1 to gpu-2", "gpu", False),
        ("Moved: chat-0 from gpu-1 to gpu-2", "gpu-2", True),
        ("Rebalanced: chat-0 from gpu-1 to gpu-2: +1.20, beside db-0", "chat", True),
        ("Rebalanced: chat-0 from gpu-1 to gpu-2: +1.20, beside db-0", "db", False),
        ("Waits: chat-1, chat-2 (gate)", "chat", True),
        ("Waits: chat-1, chat-2 (gate)", "chat-2", True),
        ("Waits: chat-1, chat-2 (gate)", "gate", False),
        ("Granted: chat-0 to gpu-2 (epoch 2)", "gpu-2", True),
        ("Granted: chat-0 to gpu-2 (epoch 2)", "chat", True),
        ("Granted: chat-0 to gpu-2 (epoch 2)", "gpu", False),
        ("Rolling: chat", "chat", True),
        ("Rolling: chat-2", "chat", False),
        ("Completed: chat-2", "chat", False),
        ("Stalled: chat-2", "chat", False),
        ("Rolled-Back: chat-2", "chat", False),
        ("Rolled-Back: chat-2", "chat-2", True),
        ("Held: chat-2", "chat", False),
        ("Evacuated: gpu-1", "gpu", False),
        ("Evacuated: gpu-1", "gpu-1", True),
        ("Invented-Later: chat-0 on gpu-1", "chat", True),
        ("Invented-Later: chat-0 on gpu-1", "gpu-1", True),
        ("Reason: chat-0 could not stay on gpu-1", "chat", True),
        ("Reason: chat-0 could not stay on gpu-1", "gpu", False),
        ("Reason: chat-0 waits no longer", "chat", True),
        ("Reason: every replica of chat-2 is ready in its newest version", "chat", False),
        ("Reason: every replica of chat-2 is ready in its newest version", "chat-2", True),
        ("Reason: chat-2 finds too few nodes", "chat", False),
        ("Reason: web waits for chat-2 to be ready", "chat", False),
        ("Reason: gpu-1 was admitted", "gpu", False),
        ("Reason: gpu-1 was admitted", "gpu-1", True),
    ],
)
def test_a_trailer_is_told_to_who_it_concerns(trailer: str, name: str, does: bool) -> None:
    assert bool(told_of(name, trailer)) is does


def test_a_name_that_a_deployment_has_is_no_replica_of_another() -> None:
    rolled = ("Placed: chat-2-0 on a", "Rolling: chat-2", "Invented-Later: chat-2")

    assert told_of("chat", *rolled, "Reason: chat-2 waits no longer") == []
    assert len(told_of("chat-2", *rolled, "Reason: chat-2 waits no longer")) == 4


def test_a_replica_is_told_to_its_deployment_beside_one_of_its_name() -> None:
    trailers = ("Placed: chat-2 on a", "Placed: chat-2-0 on a", "Rolling: chat-2")

    assert told_of("chat", *trailers) == ["chat-2 on a"]


def test_a_deployment_whose_replicas_are_called_as_a_node_is_is_not_told_of_that() -> None:
    trailers = ("Placed: gpu-0 on gpu-1", "Reason: gpu is new", "Reason: gpu-1 was admitted")

    assert told_of("gpu", *trailers) == ["gpu-0 on gpu-1", "gpu is new"]
