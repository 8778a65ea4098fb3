"""What a decision did is read from its commit, whatever trailers a later version writes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.cli.events import Event, concerns, entry_of
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


@pytest.mark.parametrize(
    ("text", "name", "does"),
    [
        ("chat-0 on gpu-1", "chat", True),
        ("chat-10, chat-2", "chat", True),
        ("chat-web-0 on gpu-1", "chat", False),
        ("chat-web-0 on gpu-1", "chat-web", True),
        ("chat: no room", "chat", True),
        ("gpu-1 on a", "gpu", True),
        ("chat-0 from gpu-1 to gpu-2", "gpu", False),
        ("chat-0 from gpu-1 to gpu-2", "gpu-2", True),
    ],
)
def test_a_text_names_who_it_concerns(text: str, name: str, does: bool) -> None:
    assert concerns(text, name) is does
