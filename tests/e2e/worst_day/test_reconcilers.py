"""Programs are killed in the middle of what they do: another one goes on, and nothing is redone."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from tests.e2e.worst_day.documents import FLEET
from tests.e2e.worst_day.fleet import PATIENCE_SECONDS, Fleet

pytestmark = pytest.mark.e2e

REPLICAS = ("web-0", "web-1", "web-2")
EVEN = "{spread: [{over: miaas/node}]}"


def begin_a_rollout(fleet: Fleet) -> None:
    """Have three replicas on three nodes, and a new version that has come to some of them."""
    fleet.deploy("web", replicas="3", parameters="text: first", placement=EVEN)
    fleet.commit("first")
    assert {fleet.home(replica) for replica in REPLICAS} == set(fleet.nodes)
    fleet.deploy("web", replicas="3", parameters="text: second", placement=EVEN)
    fleet.commit("second")
    fleet.wait(lambda: any(len(fleet.eye.of(replica)) > 1 for replica in REPLICAS))
    assert not fleet.is_everywhere("web", "second")


def assert_each_was_replaced_once(fleet: Fleet) -> None:
    assert [len(fleet.eye.of(replica)) for replica in REPLICAS] == [2, 2, 2]
    assert fleet.is_linear()


def test_a_reconciler_that_is_killed_in_a_rollout_goes_on_with_it(fleet: Fleet) -> None:
    begin_a_rollout(fleet)

    fleet.kill_reconciler()
    fleet.start_reconciler()

    fleet.wait(lambda: fleet.is_everywhere("web", "second"))
    assert_each_was_replaced_once(fleet)


def test_a_standby_ends_the_rollout_of_a_killed_leader(fleet: Fleet) -> None:
    fleet.write("fleet.yaml", f"{FLEET}  leader: {{lease: 5s}}\n")
    fleet.commit("two reconcilers")
    fleet.start_reconciler("two")
    fleet.wait(lambda: fleet.leader() == "one" and "stands by" in fleet.said("two"))
    begin_a_rollout(fleet)

    fleet.kill_reconciler("one")
    killed = time.monotonic()

    fleet.wait(lambda: fleet.leader() == "two")
    fleet.tell(f"standby leads {time.monotonic() - killed:.1f} s after, lease 5 s")
    fleet.wait(lambda: fleet.is_everywhere("web", "second"))
    assert_each_was_replaced_once(fleet)


def test_an_agent_that_is_killed_in_the_middle_of_an_act_heals(fleet: Fleet) -> None:
    fleet.deploy("other", on="alpha")
    fleet.deploy("web", on="alpha", parameters="text: first")
    fleet.commit("first")
    fleet.home("other-0")
    host = fleet.nodes[fleet.home("web-0")]

    fleet.deploy("web", on="alpha", parameters="text: second")
    fleet.commit("second")
    kill_in_an_act(host.state / "journal.json", agent_of(fleet, host.name))
    fleet.wait(lambda: host.agent() is None)
    host.start_agent()

    fleet.wait(lambda: fleet.is_everywhere("web", "second"))
    assert len(fleet.eye.of("other-0")) == 1
    assert not (host.state / "journal.json").exists()


def agent_of(fleet: Fleet, node: str) -> int:
    agent = fleet.nodes[node].agent()
    assert agent is not None
    return agent.pid


def kill_in_an_act(journal: os.PathLike[str], agent: int) -> None:
    """SIGKILL at a moment when the agent has written down what it is about to do."""
    end, pause = time.monotonic() + PATIENCE_SECONDS, threading.Event()
    while time.monotonic() < end:
        if os.path.exists(journal):  # noqa: PTH110 - often
            os.kill(agent, signal.SIGSTOP)  # it may be over: look again while nothing moves
            if os.path.exists(journal):  # noqa: PTH110
                os.kill(agent, signal.SIGKILL)
                return
            os.kill(agent, signal.SIGCONT)
        pause.wait(0.005)
    pytest.fail("the agent began no act")
