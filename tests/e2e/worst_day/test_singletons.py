"""Never two copies of a singleton, whoever is cut off, stands still or speaks late."""

from __future__ import annotations

import signal
import time

import pytest

from tests.e2e.worst_day.documents import FENCED
from tests.e2e.worst_day.fleet import Fleet

pytestmark = pytest.mark.e2e


def test_a_host_that_is_cut_off_and_one_where_all_hangs_stop_theirs_before_another_starts(
    fleet: Fleet,
) -> None:
    """Both at once, because each takes a whole `loseAfter`.

    On beta agent and engine stand still: only the host's fence is left, and the kernel.
    """
    fleet.deploy("one", on="alpha", disconnect=FENCED)
    fleet.deploy("two", on="beta", disconnect=FENCED)
    fleet.commit("two singletons")
    homes = {"one-0": fleet.home("one-0"), "two-0": fleet.home("two-0")}
    assert homes == {"one-0": "alpha", "two-0": "beta"}
    alpha, beta = fleet.nodes["alpha"], fleet.nodes["beta"]

    with beta.fence_timer():
        began = time.monotonic()
        alpha.cut_off()
        beta.signal_agent(signal.SIGSTOP)
        beta.signal_engine(signal.SIGSTOP)
        fleet.wait(lambda: not fleet.eye.running("two-0"))
        fleet.wait(lambda: not fleet.eye.running("one-0"))
        assert (fleet.node_of("one-0"), fleet.node_of("two-0")) == ("alpha", "beta")
        fleet.wait(lambda: fleet.runs("one-0", "gamma") and fleet.runs("two-0", "gamma"))

    for replica, home in homes.items():
        old, new = (one for one in fleet.eye.of(replica) if one.last > began)
        assert (old.node, new.node) == (home, "gamma")
        stop, start = old.last - began, new.first - began
        fleet.tell(f"{replica} off {old.node}: stopped after {stop:.1f} s, elsewhere {start:.1f} s")
    assert "warning agent.fence stopped replica=two-0" in (beta.folder / "fence.log").read_text()
    alpha.reconnect()
    beta.signal_engine(signal.SIGCONT)
    beta.signal_agent(signal.SIGCONT)
    for replica, home in homes.items():
        fleet.wait(lambda: fleet.obeys(home) and not fleet.reported(home, replica))  # noqa: B023
        fleet.hear(home, beats=3)
        runs = [one for one in fleet.eye.of(replica) if one.last > began]
        told = "\n".join(map(str, runs))
        assert [one.node for one in runs] == [home, "gamma"], f"{told}\n{fleet.logs()}"
    assert fleet.eye.doubles() == []


def test_a_drain_and_back_with_late_pushes_never_runs_two_copies(fleet: Fleet) -> None:
    fleet.deploy("roamer", on="alpha", disconnect=FENCED)
    fleet.commit("roamer")
    fleet.wait(lambda: fleet.runs("roamer-0", "alpha"))

    fleet.slow.node = "alpha"
    began = time.monotonic()
    fleet.duty("alpha", "draining")
    fleet.commit("alpha is drained")
    fleet.wait(lambda: fleet.node_of("roamer-0") not in {None, "alpha"})
    away = fleet.home("roamer-0")
    fleet.tell(f"drained with late pushes: runs elsewhere {time.monotonic() - began:.1f} s after")
    began = time.monotonic()
    fleet.duty("alpha", "active")
    fleet.duty("beta", "draining")
    fleet.duty("gamma", "draining")
    fleet.commit("and back")
    fleet.wait(lambda: fleet.node_of("roamer-0") == "alpha")
    fleet.wait(lambda: fleet.runs("roamer-0", "alpha"))
    fleet.tell(f"and back: runs {time.monotonic() - began:.1f} s after")

    assert away != "alpha"
    assert fleet.eye.of("roamer-0")[-1].node == "alpha"
    assert fleet.slow.held
    fleet.tell("pushes held up: " + ", ".join(f"{one:.1f} s" for one in fleet.slow.held))
    assert fleet.eye.doubles() == []
