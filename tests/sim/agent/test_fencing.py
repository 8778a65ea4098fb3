"""What no two hosts may run at once: it stops in time, and starts only under a grant of its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.acts import Up
from agent.fence import LEASE_FILE, age_seconds, text_of
from agent.grants import LEAST_PATIENCE, NO_GRANT, Stop
from agent.reasons import Reason
from fleet.git_command import TIMEOUT_SECONDS
from fleet.memory import Line, MemoryServer
from schemas.assignment import Fence
from schemas.heartbeat import ReplicaReport, ReplicaState
from schemas.names import ReplicaName
from schemas.resources import Drift
from tests.sim.agent.world import Host, Killed, Killer, Publisher, compose

STOP_AFTER = 120
LONG_AFTER = 3600
FILES = {"compose.yaml": compose()}
ONLY = {"only-0": FILES}
BOTH = {"only-0": FILES, "free-0": FILES}
EVENT = frozenset({Reason.CONTAINERS})


class Site:
    """A host, and who grants it replicas. drift: what is said of each from now on."""

    def __init__(self, disk: Path, kind: type[Host] = Host) -> None:
        server = MemoryServer()
        self.publisher = Publisher(server)
        self.host = kind(server, disk)
        self.host.step()
        self.epoch = 0
        self.drift = Drift.HEAL

    def grant(self, *, free: bool = True, stop_after: int = STOP_AFTER, **more: int) -> None:
        """Grant `only-0`, and all in `more`, to the incarnation that was told last. See `drift`.

        free: whether `free-0`, which needs no grant, is assigned too.
        """
        self.epoch += 1
        self.host.now += 1
        told = self.host.heartbeat().incarnation
        seconds = {"only-0": stop_after, **{f"{name}-0": after for name, after in more.items()}}
        fences = {
            name: Fence(incarnation=told, epoch=self.epoch, stop_after_seconds=after)
            for name, after in seconds.items()
        }
        names = (*fences, "free-0") if free else tuple(fences)
        say = {"drift": self.drift}
        self.publisher.publish(dict.fromkeys(names, FILES), fences=fences, of_replicas=say)

    def run(self) -> None:
        """Grant it, and let it run."""
        self.grant()
        self.host.rest()
        assert self.runs("only") and self.runs("free")  # noqa: PT018

    def runs(self, name: str) -> bool:
        """Whether anything of a replica runs."""
        found = self.host.containers()
        return any(one.state == "running" for key, one in found.items() if key.startswith(name))

    def report(self, name: str = "only-0") -> ReplicaReport:
        return next(one for one in self.host.heartbeat().replicas if one.name == name)

    def stops_at(self, seconds: float) -> list[float]:
        """Let time pass, and say when containers were stopped, in seconds from now."""
        start, found = self.host.now, []

        def point(name: str) -> None:
            if name == "stop":
                found.append(self.host.now - start)

        self.host.script.point = point
        self.host.pass_time(seconds)
        self.host.script.point = lambda _name: None
        return found

    def reboot(self) -> None:
        """The host boots; the engine starts again what it may."""
        for one in self.host.runtime.everything():
            if one.limits is not None and one.limits.restart == "no":
                self.host.runtime.change(one.id, "exited", 137)
        self.host.boot, self.host.now = f"{self.host.boot}x", 20.0
        self.host.start()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


# starting


def test_a_heartbeat_goes_out_before_a_granted_replica_starts(site: Site) -> None:
    events: list[str] = []
    site.host.repository.on_push = lambda: events.append("push")
    site.host.script.point = lambda name: events.append(name) if name in {"up", "down"} else None
    site.grant(free=False)

    site.host.rest()

    assert events == ["push", "up", "push"]
    assert (site.report().state, site.report().epoch) == (ReplicaState.RUNNING, 1)


@pytest.mark.parametrize("cut_off_for", [40, 70, 100, 109])
def test_a_start_that_takes_long_rises_in_time_or_not_at_all(site: Site, cut_off_for: int) -> None:
    """Who gives a host up counts on what stops by itself, and on nothing that rises later."""
    site.run()
    last = site.host.now
    site.host.is_cut_off(cut=True)
    site.host.pass_time(cut_off_for)
    script, rose = site.host.script, []

    def wait(seconds: float) -> None:
        site.host.now += seconds

    def point(name: str) -> None:
        if name.startswith("up "):
            rose.append(site.host.now - last)

    script.start_seconds, script.wait, script.point = 60.0, wait, point
    for key, one in site.host.containers().items():
        if key.startswith("only"):
            site.host.runtime.change(one.id, "exited", 137)

    site.host.pass_time(STOP_AFTER)

    assert bool(rose) == (cut_off_for + script.start_seconds < STOP_AFTER)
    assert all(at <= STOP_AFTER for at in rose)
    assert not site.runs("only")

    site.host.is_cut_off(cut=False)
    site.host.pass_time(2 * STOP_AFTER)
    site.grant()
    site.host.pass_time(2 * STOP_AFTER)
    assert site.runs("only")


def test_what_needs_no_grant_does_not_wait_for_that_heartbeat(site: Site) -> None:
    events: list[str] = []
    site.host.repository.on_push = lambda: events.append("push")
    site.host.script.point = lambda name: events.append(name) if name == "up" else None
    site.host.now += 1
    site.publisher.publish(
        {"a-0": FILES, "z-0": FILES},
        fences={
            "a-0": Fence(
                incarnation=site.host.heartbeat().incarnation,
                epoch=1,
                stop_after_seconds=STOP_AFTER,
            )
        },
    )

    site.host.rest()

    assert events == ["up", "push", "up", "push"]


def test_it_does_not_start_while_nobody_hears_that_the_grant_was_read(site: Site) -> None:
    site.host.repository.is_mute = True
    site.grant()

    site.host.pass_time(60)

    assert (site.runs("only"), site.runs("free")) == (False, True)
    site.host.repository.is_mute = False
    site.host.pass_time(60)
    assert site.runs("only")


def test_a_grant_to_another_incarnation_starts_nothing_and_says_so(site: Site) -> None:
    fence = Fence(incarnation="another", epoch=1, stop_after_seconds=STOP_AFTER)
    site.publisher.publish(BOTH, fences={"only-0": fence})

    outcome = site.host.rest()

    assert outcome.settled
    assert (site.runs("only"), site.runs("free")) == (False, True)
    assert (site.report().state, site.report().message) == (ReplicaState.PENDING, NO_GRANT)
    assert site.host.heartbeat().observed is None


def test_a_start_that_took_too_long_to_prepare_is_not_made(site: Site) -> None:
    def slow(name: str) -> None:
        if name == "pull":
            site.host.now += STOP_AFTER

    before = site.host.heartbeat().incarnation
    site.grant(free=False)
    site.host.script.point = slow
    site.host.step()
    assert not site.runs("only")

    site.host.script.point = lambda _name: None
    site.host.rest()

    assert not site.runs("only"), "the grant is older than the pause"
    assert site.host.heartbeat().incarnation != before
    site.grant(free=False)
    site.host.rest()
    assert site.runs("only")


def test_the_engine_may_not_start_it_by_itself_and_the_fence_finds_it(site: Site) -> None:
    site.run()

    found = site.host.containers()

    kinds = {key: (one.limits.restart, one.stop_after) for key, one in found.items() if one.limits}
    assert kinds == {
        "only-0/web": ("no", STOP_AFTER),
        "only-0/worker": ("no", STOP_AFTER),
        "free-0/web": ("unless-stopped", None),
        "free-0/worker": ("unless-stopped", None),
    }


def test_another_limit_makes_that_replica_anew_and_no_other(site: Site) -> None:
    site.run()
    before = {key: one.id for key, one in site.host.containers().items()}

    site.grant(stop_after=STOP_AFTER + 1)
    site.host.rest()

    after = {key: one.id for key, one in site.host.containers().items()}
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {"only-0/web", "only-0/worker"}
    assert {one.stop_after for one in site.host.containers().values()} == {None, STOP_AFTER + 1}


def test_what_falls_is_healed_by_the_agent_without_a_word_before(site: Site) -> None:
    site.run()
    site.host.now += 5
    pushes = site.host.repository.pushes

    site.host.runtime.change(site.host.containers()["only-0/web"].id, "exited", 1)
    outcome = site.host.agent.step(EVENT)

    assert [type(act) for act in outcome.acts][-1] is Up
    assert {one.state for one in site.host.containers().values()} == {"running"}
    assert site.host.repository.pushes <= pushes + 1


# cut off


def test_with_contact_it_runs_for_hours(site: Site) -> None:
    site.run()

    assert site.stops_at(6 * 3600) == []
    assert site.report().epoch == 1


@pytest.mark.parametrize("broken", ["both", "fetch", "push"])
def test_cut_off_it_stops_when_its_time_is_over_and_not_before(site: Site, broken: str) -> None:
    site.run()
    site.host.pass_time(600)
    renewed = site.host.agent.notebook.lease.renewed
    assert renewed is not None
    cut_at = site.host.now
    site.host.repository.is_deaf = broken != "push"
    site.host.repository.is_mute = broken != "fetch"

    (stopped,) = site.stops_at(4 * STOP_AFTER)

    assert cut_at + stopped == pytest.approx(renewed + STOP_AFTER, abs=1)
    assert (site.runs("only"), site.runs("free")) == (False, True)


@pytest.mark.parametrize("broken", ["both", "fetch", "push"])
def test_a_line_that_says_nothing_at_all_keeps_it_no_longer(site: Site, broken: str) -> None:
    site.run()
    renewed = site.host.agent.notebook.lease.renewed
    assert renewed is not None
    cut_at, silent = site.host.now, []

    def wait(seconds: float) -> None:
        silent.append(seconds)
        site.host.now += seconds

    site.host.repository.on_silence = wait
    site.host.repository.is_deaf = broken != "push"
    site.host.repository.is_mute = broken != "fetch"
    (stopped,) = site.stops_at(2 * STOP_AFTER)

    late = cut_at + stopped - renewed - STOP_AFTER
    assert 0 <= late <= LEAST_PATIENCE + 1
    assert max(silent) == TIMEOUT_SECONDS


def test_a_short_cut_stops_nothing(site: Site) -> None:
    site.run()
    site.host.pass_time(600)
    before = site.host.heartbeat().incarnation

    for seconds in (1, 10, 45, 60, 75):
        site.host.is_cut_off(cut=True)
        assert site.stops_at(seconds) == []
        site.host.is_cut_off(cut=False)
        assert site.stops_at(90) == []

    assert site.host.heartbeat().incarnation == before


def test_back_again_it_waits_for_a_grant_to_its_new_incarnation(site: Site) -> None:
    site.run()
    before = site.host.heartbeat()
    site.host.is_cut_off(cut=True)
    site.host.pass_time(2 * STOP_AFTER)

    site.host.is_cut_off(cut=False)
    site.host.pass_time(600)

    after = site.host.heartbeat()
    assert after.incarnation != before.incarnation
    assert after.sequence > before.sequence
    assert (site.report().state, site.report().message) == (ReplicaState.PENDING, NO_GRANT)
    assert site.report().epoch == 0
    assert not site.runs("only")

    site.grant()
    site.host.rest()
    assert site.runs("only")
    assert (site.report().state, site.report().epoch) == (ReplicaState.RUNNING, 2)


def test_a_grant_that_was_never_used_is_void_after_a_gap_too(site: Site) -> None:
    before = site.host.heartbeat().incarnation
    site.host.is_cut_off(cut=True)
    site.grant()
    site.host.pass_time(2 * STOP_AFTER)

    site.host.is_cut_off(cut=False)
    site.host.pass_time(600)

    assert not site.runs("only")
    assert site.host.heartbeat().incarnation != before


def test_an_incarnation_that_was_told_without_an_answer_is_void_after_a_gap(tmp_path: Path) -> None:
    server = MemoryServer()
    publisher, host = Publisher(server), Host(server, tmp_path)
    host.repository.line = Line.MUTE  # the heartbeat arrives, and its answer is lost
    host.step()
    told = host.heartbeat().incarnation
    fence = Fence(incarnation=told, epoch=1, stop_after_seconds=STOP_AFTER)
    publisher.publish(ONLY, fences={"only-0": fence})
    host.repository.line = Line.DOWN
    host.pass_time(2 * STOP_AFTER)

    host.repository.line = Line.UP
    host.pass_time(600)

    assert host.containers() == {}
    assert host.heartbeat().incarnation != told


def test_a_heartbeat_that_arrives_after_the_end_renews_nothing(site: Site) -> None:
    """Whoever waits for it may have given up by then."""
    site.run()
    before = site.host.heartbeat().incarnation
    site.host.now += 60

    def slow() -> None:
        site.host.now += STOP_AFTER
        site.host.repository.on_push = lambda: None

    site.host.repository.on_push = slow
    site.host.step()
    site.host.rest()

    assert not site.runs("only")
    assert site.host.heartbeat().incarnation != before


def test_new_incarnations_are_no_flood_while_fetches_fail(site: Site) -> None:
    site.run()
    site.host.repository.is_deaf = True
    site.host.pass_time(2 * STOP_AFTER)
    told = {site.host.heartbeat().incarnation}
    pushes = site.host.repository.pushes

    for _ in range(60):
        site.host.pass_time(60)
        told.add(site.host.heartbeat().incarnation)

    assert len(told) == 1
    assert site.host.repository.pushes - pushes <= 3600 / 27 + 3


def test_what_cannot_be_stopped_is_told_as_it_is(site: Site) -> None:
    site.run()
    before = site.host.heartbeat().incarnation
    project = site.host.containers()["only-0/web"].project
    site.host.script.stuck[project] = "no such luck"
    site.host.is_cut_off(cut=True)
    site.host.pass_time(2 * STOP_AFTER)

    site.host.is_cut_off(cut=False)
    site.host.pass_time(60)

    assert site.host.heartbeat().incarnation == before
    assert site.report().state is not ReplicaState.PENDING
    assert "cannot stop only-0" in site.host.heartbeat().problems[0]
    assert _fence_would_stop(site.host)

    site.host.script.stuck.clear()
    site.host.pass_time(60)
    assert not site.runs("only")
    assert site.host.heartbeat().incarnation != before
    assert site.report().state is ReplicaState.PENDING


def test_a_silent_engine_keeps_the_incarnation_until_it_is_known_what_runs(site: Site) -> None:
    site.run()
    before = site.host.heartbeat().incarnation
    site.host.script.down = "no answer"
    site.host.is_cut_off(cut=True)
    site.host.pass_time(2 * STOP_AFTER)
    site.host.is_cut_off(cut=False)
    site.host.pass_time(60)

    assert site.host.heartbeat().incarnation == before
    assert site.report().state is ReplicaState.DEGRADED

    site.host.script.down = ""
    site.host.pass_time(400)
    assert not site.runs("only")
    assert site.host.heartbeat().incarnation != before


def test_what_may_run_longer_runs_on_and_is_told(site: Site) -> None:
    site.grant(long=LONG_AFTER)
    site.host.rest()
    site.host.is_cut_off(cut=True)
    assert len(site.stops_at(2 * STOP_AFTER)) == 1
    site.host.is_cut_off(cut=False)
    assert site.stops_at(600) == []

    assert (site.runs("only"), site.runs("long")) == (False, True)
    assert (site.report("long-0").state, site.report("long-0").epoch) == (ReplicaState.RUNNING, 1)


def test_what_outlived_its_incarnation_stops_when_it_has_to_change(site: Site) -> None:
    site.grant(long=LONG_AFTER)
    site.host.rest()
    site.host.is_cut_off(cut=True)
    site.host.pass_time(2 * STOP_AFTER)
    site.host.is_cut_off(cut=False)
    site.host.pass_time(60)

    site.host.runtime.change(site.host.containers()["long-0/web"].id, "exited", 1)
    outcome = site.host.agent.step(EVENT)
    site.host.rest()

    (stop,) = outcome.acts
    assert isinstance(stop, Stop)
    assert not site.runs("long")
    assert (site.report("long-0").state, site.report("long-0").message) == (
        ReplicaState.PENDING,
        NO_GRANT,
    )


def test_what_outlived_its_incarnation_stops_in_its_own_time(site: Site) -> None:
    site.grant(long=600)
    site.host.rest()
    site.host.is_cut_off(cut=True)

    stops = site.stops_at(1200)

    assert len(stops) == 2
    assert stops[1] - stops[0] == pytest.approx(600 - STOP_AFTER, abs=1)
    assert not site.runs("long")


@pytest.mark.parametrize("pruned", [True, False], ids=["removed meanwhile", "still there"])
@pytest.mark.parametrize("ended_by", ["the agent", "the fence", "a boot"])
def test_what_was_ended_for_safety_is_no_drift_to_be_left_alone(
    site: Site, ended_by: str, pruned: bool
) -> None:
    site.drift = Drift.REPORT
    site.run()
    if ended_by == "the agent":
        site.host.is_cut_off(cut=True)
        site.host.pass_time(STOP_AFTER + 60)
        site.host.is_cut_off(cut=False)
    elif ended_by == "the fence":
        site.host.now += STOP_AFTER
        for key, one in site.host.containers().items():
            if key.startswith("only"):
                site.host.runtime.change(one.id, "exited", 137)
    else:
        site.reboot()
    assert not site.runs("only")
    for key, one in site.host.containers().items():
        if pruned and key.startswith("only"):
            site.host.runtime.remove(one.id)
    site.host.pass_time(60)

    site.grant()
    site.host.rest()

    assert site.runs("only")
    assert (site.report().state, site.report().drifted) == (ReplicaState.RUNNING, "")


def test_what_a_hand_took_from_a_fenced_replica_is_told_and_stays(site: Site) -> None:
    site.drift = Drift.REPORT
    site.run()

    site.host.runtime.remove(site.host.containers()["only-0/web"].id)
    site.host.pass_time(600)

    assert "only-0/web" not in site.host.containers()
    assert site.report().drifted == "service web is missing"


def test_what_somebody_starts_by_hand_without_a_grant_is_stopped(site: Site) -> None:
    site.run()
    site.host.is_cut_off(cut=True)
    site.host.pass_time(2 * STOP_AFTER)
    site.host.is_cut_off(cut=False)
    site.host.pass_time(60)

    site.host.runtime.change(site.host.containers()["only-0/web"].id, "running")
    site.host.agent.step(EVENT)

    assert not site.runs("only")


def test_a_move_away_is_an_ordinary_removal(site: Site) -> None:
    site.run()
    before = site.host.heartbeat().incarnation

    site.publisher.publish({"free-0": FILES})
    site.host.rest()

    beat = site.host.heartbeat()
    assert [one.name for one in beat.replicas] == ["free-0"]
    assert (beat.accepted_generation, beat.incarnation) == (site.publisher.generation, before)


# what can be lost


def test_a_boot_is_a_new_incarnation_and_starts_nothing_without_a_grant(site: Site) -> None:
    site.run()
    before = site.host.heartbeat().incarnation

    site.reboot()
    site.host.pass_time(60)

    assert site.host.heartbeat().incarnation != before
    assert (site.runs("only"), site.runs("free")) == (False, True)
    site.grant()
    site.host.rest()
    assert site.runs("only")


@pytest.mark.parametrize("lost", ["*", "lease.json"])
def test_without_its_memory_it_gives_up_what_runs_under_a_grant(site: Site, lost: str) -> None:
    site.run()
    before = site.host.heartbeat().incarnation
    for path in site.host.disk.glob(lost):
        if path.is_file():
            path.unlink()

    site.host.start()
    site.host.rest()

    assert site.host.heartbeat().incarnation != before
    assert (site.runs("only"), site.runs("free")) == (False, True)
    assert site.report().state is ReplicaState.PENDING


def test_a_restart_of_the_agent_is_nothing(site: Site) -> None:
    site.run()
    before = site.host.heartbeat().incarnation

    site.host.start()
    assert site.stops_at(600) == []

    assert site.host.heartbeat().incarnation == before
    assert site.report().epoch == 1


class _Jumping(Host):
    def _wall(self) -> datetime:
        hours = random.Random(int(self.now * 1000)).randint(-9000, 9000)
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours)


def test_a_wall_clock_that_jumps_is_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path, _Jumping)
    site.run()
    before = site.host.heartbeat().incarnation

    assert site.stops_at(3600) == []
    assert site.host.heartbeat().incarnation == before


# kills


def _expired(disk: Path) -> Site:
    """A site that has to give up its replica in the next pass, and reaches everybody again."""
    site = Site(disk)
    site.grant(long=LONG_AFTER)
    site.host.rest()
    site.host.now += STOP_AFTER
    return site


def _points(disk: Path) -> list[str]:
    site = _expired(disk)
    site.host.script.point = killer = Killer(0)
    site.host.rest()
    return killer.passed


def test_a_kill_at_any_point_of_giving_up_is_healed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    points = _points(tmp_path_factory.mktemp("undisturbed"))
    assert {"stop", "stop web", "before lease.json", "after lease.json"} <= set(points)

    for number, name in enumerate(points, start=1):
        site = _expired(tmp_path_factory.mktemp("killed"))
        before = site.host.heartbeat().incarnation
        site.host.script.point = Killer(number)
        with pytest.raises(Killed):
            site.host.rest()
        told = site.host.heartbeat()
        if told.incarnation != before:
            state = next(one.state for one in told.replicas if one.name == "only-0")
            assert (state, site.runs("only")) == (ReplicaState.PENDING, False), name

        site.host.script.point = lambda _name: None
        site.host.start()
        site.host.rest()

        assert not site.runs("only"), f"killed at {name}"
        assert site.runs("long"), f"killed at {name}"
        assert site.host.heartbeat().incarnation != before, f"killed at {name}"
        site.grant(long=LONG_AFTER)
        site.host.rest()
        assert site.runs("only"), f"killed at {name}"


# what a heartbeat tells


def test_since_tells_when_the_state_changed_and_is_no_news_itself(site: Site) -> None:
    site.run()
    first = site.report("free-0").since
    pushes = site.host.repository.pushes
    for _ in range(5):
        site.host.now += 1
        site.host.step()
    assert site.host.repository.pushes == pushes
    site.host.pass_time(100)
    assert site.report("free-0").since == first

    site.host.script.failing["web"] = "no such luck"
    site.host.runtime.change(site.host.containers()["free-0/web"].id, "exited", 1)
    site.host.now = 2000.0
    site.host.agent.step(EVENT)

    assert site.report("free-0").state is ReplicaState.FAILED
    assert site.report("free-0").since == site.host._wall()


# beside the agent


def _fence_would_stop(host: Host) -> bool:
    """Whether the host's own fence would stop what runs with the limit of `only-0`."""
    text = text_of(str(host.disk), LEASE_FILE)
    return age_seconds(text, boot=host.boot, now=host.now) >= STOP_AFTER


def test_the_host_fence_judges_as_the_agent_does(site: Site) -> None:
    site.run()
    assert not _fence_would_stop(site.host)
    renewed = site.host.agent.notebook.lease.renewed
    assert renewed is not None

    site.host.now = renewed + STOP_AFTER - 0.001
    assert not _fence_would_stop(site.host)
    site.host.now = renewed + STOP_AFTER
    assert _fence_would_stop(site.host)


def test_what_the_host_fence_stopped_waits_for_a_new_grant(site: Site) -> None:
    """The agent hung meanwhile, and wakes up with everybody in reach."""
    site.run()
    before = site.host.heartbeat().incarnation
    site.host.now += 2 * STOP_AFTER
    for key, one in site.host.containers().items():
        if key.startswith("only"):
            site.host.runtime.change(one.id, "exited", 137)

    site.host.rest()

    assert not site.runs("only")
    assert site.host.heartbeat().incarnation != before


@pytest.mark.parametrize("seed", range(6))
def test_random_days_keep_every_promise(seed: int, tmp_path: Path) -> None:
    """Whatever happens: it never runs longer without contact than it may, nor without a grant."""
    rng = random.Random(seed)
    site = Site(tmp_path)
    site.run()
    host = site.host
    faults: tuple[Callable[[], None], ...] = (
        lambda: setattr(host.repository, "is_deaf", rng.random() < 0.5),
        lambda: setattr(host.repository, "is_mute", rng.random() < 0.5),
        lambda: setattr(host.repository, "line", rng.choice(tuple(Line))),
        lambda: host.start() and None,
        site.reboot,
        lambda: (host.disk / "lease.json").unlink(missing_ok=True),
        lambda: setattr(host.script, "down", rng.choice(("", "no answer"))),
    )
    known = host.heartbeat()
    seen_at, since = known.sequence, host.now
    for _ in range(20):
        rng.choice(faults)()
        since = min(since, host.now)
        host.pass_time(rng.choice((1, 20, 60, 200)))
        beat = host.heartbeat()
        if (beat.incarnation, beat.sequence) != (known.incarnation, seen_at):
            known, seen_at, since = beat, beat.sequence, host.now
        grant = host.agent.notebook.fences()[ReplicaName("only-0")]
        is_blind = host.agent.notebook.tries("docker").failures > 0
        if site.runs("only") and not is_blind:
            lease = host.agent.notebook.lease
            assert lease.renewed is not None
            assert host.now - lease.renewed < STOP_AFTER + 1
            assert grant.incarnation == lease.incarnation
        if known.incarnation != grant.incarnation and not host.script.down:
            site.grant()
    host.repository.is_deaf = host.repository.is_mute = False
    host.repository.line, host.script.down = Line.UP, ""
    host.pass_time(400)
    site.grant()
    host.pass_time(60)
    assert site.runs("only")
