"""Acts that take long, over a whole host in memory: it is heard meanwhile, and nobody starves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from agent.acts import Down, Pull, RemoveContainer, Up
from agent.fence import LEASE_FILE, age_seconds, text_of
from agent.perform import StillPullingError
from agent.reasons import Reason
from agent.runtime.port import Project, RuntimeDownError, RuntimeFailedError, UnfinishedError
from agent.runtime.simulated import UP_SECONDS
from schemas.assignment import Fence
from schemas.layout import project_name
from schemas.names import CommitId, ReplicaName
from schemas.resources import VolumeRemoval
from tests.sim.agent.test_fencing import FILES, STOP_AFTER, Site
from tests.sim.agent.world import NODE, Host, Killed

# `timings.late` of a fleet that says nothing else.
LATE = 90.0
WATCHDOG = 900.0
# What a look, a listing and a heartbeat around an act may take here: nothing, and a pass a second.
BETWEEN = 2.0


class SlowHost:
    """A host on which starts take longer than anybody waits for them. Looks at itself each second.

    ages: of the lease, as the host's fence reads it. pushes: when a heartbeat went out. ups: the
    projects that were started, in order. is_slow: whether a project takes long to start.
    """

    def __init__(self, site: Site, disk: Path) -> None:
        self.site, self.host, self._disk = site, site.host, disk
        self.ages: list[float] = []
        self.pushes: list[float] = []
        self.ups: list[str] = []
        self.host.repository.on_push = lambda: self.pushes.append(self.host.now)
        self.is_slow: Callable[[str], bool] = lambda _project: True
        self._up = self.host.runtime.up
        self.host.runtime.up = self._start  # type: ignore[method-assign]
        self.host.script.wait = self.wait

    def _start(self, project: Project, within: float | None = None) -> None:
        self.ups.append(project.name)
        self.host.script.start_seconds = 90.0 if self.is_slow(project.name) else 0.0
        self._up(project, within)

    def wait(self, seconds: float) -> None:
        """Let time pass in an act."""
        end = self.host.now + seconds
        while self.host.now < end:
            self.host.now = min(end, self.host.now + 1.0)
            text = text_of(str(self._disk), LEASE_FILE)
            self.ages.append(age_seconds(text, boot=self.host.boot, now=self.host.now))

    def silences(self, since: float) -> list[float]:
        """Seconds between heartbeats."""
        times = [since, *self.pushes, self.host.now]
        return [later - earlier for earlier, later in pairwise(times)]


def _assign(site: Site, *names: str, stop_after: int | None = STOP_AFTER) -> None:
    told = site.host.heartbeat().incarnation
    fence = Fence(incarnation=told, epoch=site.epoch, stop_after_seconds=stop_after or 0)
    fences = {} if stop_after is None else {"only-0": fence}
    site.publisher.publish(dict.fromkeys((*fences, *names), FILES), fences=fences)


@pytest.mark.parametrize("stop_after", [60, 90, STOP_AFTER])
def test_slow_starts_of_others_stop_nothing_that_is_fenced(tmp_path: Path, stop_after: int) -> None:
    site = Site(tmp_path)
    site.grant(stop_after=stop_after)
    site.host.rest()
    before = site.host.heartbeat().incarnation
    slow = SlowHost(site, tmp_path)
    begun = site.host.now

    _assign(site, "free-0", *(f"new{number}-0" for number in range(6)), stop_after=stop_after)
    site.host.pass_time(900)

    assert len({name for name in slow.ups if "new" in name}) == 6, "everybody had a turn"
    assert max(slow.ages) < stop_after
    assert max(slow.silences(begun)) < LATE
    assert site.host.heartbeat().incarnation == before
    assert site.runs("only")


def test_a_look_that_is_seldom_due_is_made_when_the_lease_is_worn(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.run()
    slow = SlowHost(site, tmp_path)
    told = site.host.heartbeat().incarnation
    fence = Fence(incarnation=told, epoch=site.epoch, stop_after_seconds=STOP_AFTER)
    names = ("only-0", "free-0", *(f"new{number}-0" for number in range(6)))

    site.publisher.publish(dict.fromkeys(names, FILES), fences={"only-0": fence}, poll_seconds=3600)
    site.host.step()
    site.host.pass_time(600)

    assert max(slow.ages) < STOP_AFTER
    assert site.runs("only")


def test_the_watchdog_is_fed_and_everybody_gets_a_turn(tmp_path: Path) -> None:
    site = Site(tmp_path)
    slow, host = SlowHost(site, tmp_path), site.host
    _assign(site, *(f"n{number:02}-0" for number in range(17)), stop_after=None)
    longest, end = 0.0, host.now + 17 * (UP_SECONDS + BETWEEN)

    while host.now < end:
        begun = host.now
        host.step()
        longest = max(longest, host.now - begun)
        host.now += 1

    assert longest <= UP_SECONDS + host.agent.notebook.heartbeat_seconds < WATCHDOG / 2
    assert len(set(slow.ups)) == 17, "one failure each, before the second of anybody"


def test_what_keeps_failing_slowly_keeps_nobody_from_starting(tmp_path: Path) -> None:
    """More of them than can be tried while the longest wait of one lasts."""
    site = Site(tmp_path)
    slow, host = SlowHost(site, tmp_path), site.host
    slow.is_slow = lambda project: "bad" in project
    bad = [f"bad{number}-0" for number in range(9)]
    _assign(site, *bad, stop_after=None)
    host.pass_time(3600)

    site.epoch = 1
    _assign(site, *bad, "good-0")
    host.pass_time(3 * (UP_SECONDS + BETWEEN))

    assert site.runs("good")
    assert site.runs("only"), "what waits for a heartbeat has its turn too"
    host.pass_time(9 * 2 * (UP_SECONDS + BETWEEN))
    tried = slow.ups[-9 * 2 :]
    assert {name for name in tried if "bad" in name} == {f"miaas-alpha-{name}" for name in bad}


@pytest.mark.parametrize("error", [RuntimeDownError, UnfinishedError, RuntimeFailedError])
def test_volumes_that_are_slow_to_go_keep_nobody_from_starting(
    tmp_path: Path, error: type[Exception]
) -> None:
    site = Site(tmp_path)
    host, tried = site.host, []
    site.publisher.publish({"old-0": FILES}, of_replicas={"on_remove": VolumeRemoval.DELETE})
    host.rest()

    def remove_slowly(project: str) -> tuple[str, ...]:
        tried.append(project)
        host.now += 120
        raise error("no answer within 120 s")

    host.runtime.remove_volumes = remove_slowly  # type: ignore[method-assign]
    _assign(site, "new-0", stop_after=None)
    host.step()
    assert len(tried) == 1
    assert not site.runs("new"), "its turn is over"

    host.step()
    assert site.runs("new")
    host.pass_time(900)
    assert len(tried) > 1, "it is tried again"


def test_a_failure_is_on_disk_before_the_next_act_begins(tmp_path: Path) -> None:
    site = Site(tmp_path)
    host = site.host
    host.script.failing["web"] = "no such luck"
    _assign(site, "a-0", "b-0", stop_after=None)
    begun: list[str] = []

    def die_in_the_second(name: str) -> None:
        begun.append(name)
        if begun.count("up") == 2:
            raise Killed(name)

    host.script.point = die_in_the_second
    with pytest.raises(Killed):
        host.step()
    host.script.point = lambda _name: None

    host.start()

    assert host.agent.notebook.tries("a-0").failures == 1
    assert host.agent.notebook.tries("b-0").failures == 0


def test_what_killed_the_agent_is_not_the_first_again(tmp_path: Path) -> None:
    site = Site(tmp_path)
    slow, host = SlowHost(site, tmp_path), site.host
    _assign(site, "a-0", "b-0", stop_after=None)

    def die(name: str) -> None:
        if name == "up":
            raise Killed(name)

    host.script.point = die
    with pytest.raises(Killed):
        host.step()
    host.script.point = lambda _name: None
    slow.ups.clear()
    host.start()
    host.step()

    assert slow.ups[0].endswith("b-0")


def test_what_waits_for_a_removal_waits_for_it_in_later_passes_too(tmp_path: Path) -> None:
    site = Site(tmp_path)
    host = site.host
    _assign(site, "a-0", "b-0", stop_after=None)
    host.rest()
    acts: list[str] = []

    def slow_removals(name: str) -> None:
        if name in {"up", "down"}:
            acts.append(name)
        if name == "down":
            host.now += 100

    host.script.point = slow_removals
    host.repository.on_push = lambda: acts.append("push")
    _assign(site, "c-0", stop_after=None)

    first = host.step()
    assert [type(act) for act in first.acts] == [Down]
    assert not first.settled
    host.rest()

    assert acts[:3] == ["down", "push", "down"]
    assert [name for name in acts if name != "push"] == ["down", "down", "up"]
    assert site.runs("c")


@pytest.mark.parametrize("services", [("web",), ("web", "worker")])
def test_what_is_made_anew_of_a_replica_is_not_left_removed_between_two_passes(
    tmp_path: Path, services: tuple[str, ...]
) -> None:
    site = Site(tmp_path)
    host = site.host
    _assign(site, "a-0", "b-0", stop_after=None)
    host.rest()
    for name in (*(f"a-0/{service}" for service in services), "b-0/web"):
        host.runtime.change(host.containers()[name].id, "paused")

    def slow(name: str) -> None:
        host.now += 100 if name == "remove" else 0

    host.script.point = slow
    outcome = host.agent.step(frozenset({Reason.CONTAINERS}))

    changes = [act for act in outcome.acts if isinstance(act, RemoveContainer | Up)]
    assert {act.replica for act in changes} == {ReplicaName("a-0")}
    assert [type(act) for act in changes] == [*(RemoveContainer for _ in services), Up]


def test_cut_off_it_goes_on_one_after_the_other_and_still_stops_in_time(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.run()
    slow, host = SlowHost(site, tmp_path), site.host
    slow.is_slow = lambda _project: False
    names = [f"new{number}-0" for number in range(5)]
    _assign(site, "free-0", *names)
    host.rest()
    host.is_cut_off(cut=True)
    slow.is_slow = lambda project: "new" in project
    for name in names:
        host.runtime.change(host.containers()[f"{name}/web"].id, "exited", 1)
    stopped: list[float] = []
    renewed = host.agent.notebook.lease.renewed
    assert renewed is not None
    host.script.point = lambda name: stopped.append(host.now) if name == "stop" else None

    host.pass_time(2 * STOP_AFTER)

    assert stopped
    assert stopped[0] - renewed < STOP_AFTER + UP_SECONDS / 2
    assert not site.runs("only")


def test_starts_that_take_no_time_are_made_in_one_pass(tmp_path: Path) -> None:
    site = Site(tmp_path)
    _assign(site, *(f"n{number:02}-0" for number in range(30)), stop_after=None)

    outcome = site.host.step()

    assert len([act for act in outcome.acts if isinstance(act, Up)]) == 30


def test_pulls_that_go_on_beside_the_passes_are_all_begun(tmp_path: Path) -> None:
    """Also where the lease is worn and cannot be renewed, so that a pass does one thing only."""
    site = Site(tmp_path)
    site.run()
    host = site.host

    def pull(_project: Project) -> None:
        raise StillPullingError("its images are being pulled")

    host.runtime.pull = pull  # type: ignore[method-assign]
    _assign(site, "free-0", "x-0", "y-0")
    host.step()
    host.is_cut_off(cut=True)
    host.now += STOP_AFTER / 2

    outcome = host.agent.step()

    assert [(type(act), act.replica) for act in outcome.acts] == [(Pull, "x-0"), (Pull, "y-0")]


def _calls(host: Host, seconds: float) -> tuple[int, int]:
    """Let time pass, and count fetches and pushes."""
    fetches, pushes, fetch = [], host.repository.pushes, host.repository.fetch

    def counted(*refs: str) -> Mapping[str, CommitId]:
        fetches.append(host.now)
        return fetch(*refs)

    host.repository.fetch = counted  # type: ignore[method-assign]
    host.pass_time(seconds)
    return len(fetches), host.repository.pushes - pushes


def _pull_for_ever(site: Site) -> None:
    """Have something to do in each pass."""

    def pull(_project: Project) -> None:
        raise StillPullingError("its images are being pulled")

    site.host.runtime.pull = pull  # type: ignore[method-assign]
    _assign(site, "free-0", "x-0")


def test_a_lease_that_is_over_is_not_asked_for_in_each_pass(tmp_path: Path) -> None:
    """What has to stop cannot be stopped: the incarnation stays, and nothing renews its lease."""
    site = Site(tmp_path)
    site.run()
    host, project = site.host, project_name(NODE, ReplicaName("only-0"))
    host.script.stuck[project] = "cannot kill container: did not get an exit event"
    host.is_cut_off(cut=True)
    host.pass_time(STOP_AFTER + 80)
    host.is_cut_off(cut=False)
    _pull_for_ever(site)
    host.pass_time(60)

    fetches, pushes = _calls(host, 300)

    every = host.agent.notebook.heartbeat_seconds
    assert pushes <= 2 * 300 / every
    assert fetches <= 3 * 300 / every


def test_a_lease_that_cannot_be_written_is_not_asked_for_in_each_pass(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.run()
    host = site.host
    _pull_for_ever(site)
    host.step()

    def no_disk(name: str) -> None:
        if name == f"before {LEASE_FILE}":
            raise OSError("no space left")

    host.script.point = no_disk
    (tmp_path / LEASE_FILE).unlink()
    seconds = STOP_AFTER - 10.0

    fetches, pushes = _calls(host, seconds)

    third = host.agent.notebook.heartbeat_seconds / 3
    assert host.agent.notebook.lease.renewed == pytest.approx(host.now - seconds, abs=15)
    assert pushes <= seconds / third + 1
    assert fetches <= 2 * (seconds / third)


def test_a_container_that_nobody_remembers_and_that_does_not_go_keeps_nobody_from_starting(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    host, tried = site.host, []
    site.publisher.publish({"old-0": FILES})
    host.rest()
    for path in host.disk.glob("*.json"):
        path.unlink()
    host.start()

    def remove(project: str) -> None:
        tried.append(project)
        raise RuntimeFailedError("could not kill container: tried and gave up")

    host.runtime.down = remove  # type: ignore[method-assign]
    _assign(site, "new-0", stop_after=None)
    host.step()
    host.step()
    assert site.runs("new")

    host.pass_time(300)
    assert 1 < len(tried) < 20, "it is tried again, less and less often"
