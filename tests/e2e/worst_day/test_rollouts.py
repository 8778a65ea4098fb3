"""New versions come in on real engines: one by one, back again, and without a gap."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from examples.tour.stage import fetch
from tests.e2e.worst_day.eye import Run
from tests.e2e.worst_day.fleet import Fleet

pytestmark = pytest.mark.e2e

REPLICAS = ("web-0", "web-1", "web-2")


@dataclass
class Caller:
    """Someone who calls a deployment all the time, at every address that it ever had."""

    fleet: Fleet
    deployment: str
    calls: int = 0
    missed: int = 0
    urls: list[str] = field(default_factory=list)
    _gone: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def calling(self) -> Iterator[Caller]:
        turning = threading.Thread(target=self._call_on, daemon=True)
        turning.start()
        try:
            yield self
        finally:
            self._gone.set()
            turning.join()

    def _call_on(self) -> None:
        while not self._gone.wait(0.05):
            found = self.fleet.urls(self.deployment)
            self.urls = list(dict.fromkeys((*found, *self.urls)))
            self.calls += 1
            # The first ones again: they may have come up while the last one was asked.
            self.missed += not any(fetch(url) for url in (*self.urls, *self.urls))


def replaced(fleet: Fleet, replica: str) -> tuple[Run, Run]:
    """The two runs of a replica that was replaced once, and touched no more."""
    old, new = fleet.eye.of(replica)
    return old, new


def test_a_new_version_comes_to_three_replicas_on_two_nodes_one_by_one(fleet: Fleet) -> None:
    fleet.duty("gamma", "cordoned")
    fleet.deploy("web", replicas="3", parameters="text: first")
    fleet.commit("first")
    for replica in REPLICAS:
        fleet.home(replica)
    assert {fleet.node_of(replica) for replica in REPLICAS} == {"alpha", "beta"}

    fleet.deploy("web", replicas="3", parameters="text: second")
    fleet.commit("second")
    fleet.wait(lambda: not fleet.is_settled("web"))
    fleet.wait(lambda: fleet.is_everywhere("web", "second"))

    runs = sorted((replaced(fleet, one) for one in REPLICAS), key=lambda pair: pair[1].first)
    for (_, new), (next_old, _) in itertools.pairwise(runs):
        assert new.first < next_old.last, f"{next_old} went before {new} was there"


def test_a_version_that_ends_at_once_is_rolled_back_by_itself(fleet: Fleet) -> None:
    update = "{maxFailures: 1, progressDeadline: 1m}"
    fleet.deploy("web", replicas="3", parameters="text: good", update=update)
    fleet.commit("good")
    homes = {replica: fleet.home(replica) for replica in REPLICAS}
    fleet.wait(lambda: fleet.is_settled("web"))

    fleet.deploy("web", replicas="3", parameters="text: bad, ends: true", update=update)
    fleet.commit("bad")
    fleet.wait(lambda: fleet.decision("web").get("phase") == "rolledBack")
    fleet.wait(lambda: all(fleet.runs(replica, homes[replica]) for replica in REPLICAS))

    touched = [replica for replica in REPLICAS if len(fleet.eye.of(replica)) > 1]
    assert len(touched) == 1
    assert touched[0] in fleet.decision("web")["message"]
    assert fleet.is_everywhere("web", "good")


def test_who_starts_first_answers_all_the_time(fleet: Fleet) -> None:
    update = "{strategy: startFirst}"
    fleet.deploy("web", parameters="text: first", update=update)
    fleet.commit("first")
    fleet.home("web-0")

    caller = Caller(fleet, "web")
    with caller.calling():
        fleet.wait(lambda: caller.calls > 1)
        fleet.deploy("web", parameters="text: second", update=update)
        fleet.commit("second")
        fleet.wait(lambda: fleet.says("web", "second of web-1"))
        fleet.wait(lambda: fleet.is_everywhere("web", "second") and len(fleet.urls("web")) == 1)

    assert len(caller.urls) > 1
    assert caller.missed == 0, f"{caller.missed} of {caller.calls} calls were not answered"
    fleet.tell(f"startFirst: {caller.calls} calls, none without an answer")
