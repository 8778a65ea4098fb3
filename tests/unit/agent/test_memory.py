"""What an agent remembers of what an older one wrote down."""

from __future__ import annotations

import json

from agent.holding import NOTHING
from agent.memory import Memory, Present, from_json, to_json
from agent.shelf import plain_fields
from tests.agent_builders import CHAT, TREE


def test_memory_of_an_agent_that_knew_of_no_half_start_is_read() -> None:
    present = Present(deployment="chat", tree=TREE, holding=NOTHING, epoch=2)
    memory = Memory(boot="boot-1", present={CHAT: present})
    written = json.loads(json.dumps(to_json(memory), default=plain_fields))
    del written["present"][CHAT]["halfway"]

    assert from_json(written, boot="boot-1") == memory
