"""Drift that no listing shows, healed or only told, over a whole host in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.acts import Pull, RemoveContainer, Up
from agent.reasons import Reason
from agent.runtime.port import Container, Limits, RuntimeDownError, RuntimeFailedError
from fleet.memory import MemoryServer
from schemas.assignment import dump_assignment
from schemas.heartbeat import ReplicaState
from schemas.layout import ASSIGNMENT_FILE, project_name
from schemas.names import ReplicaName
from schemas.resources import Drift
from tests.builders import an_assigned_replica, an_assignment
from tests.sim.agent.world import NODE, Host, Publisher, compose

CHAT = ReplicaName("chat-0")
LIMITED = compose(extra="    mem_limit: 1g\n")


class Drifting:
    """A host that runs one replica, with a hand that does it harm."""

    def __init__(self, folder: Path, drift: Drift) -> None:
        server = MemoryServer()
        self.publisher = Publisher(server)
        self.host = Host(server, folder)
        self.drift = drift
        self.publish(LIMITED)
        self.host.rest()

    def publish(self, text: str, **fields: Any) -> None:
        self.publisher.generation += 1
        replica = replace(an_assigned_replica("chat"), drift=self.drift, **fields)
        assignment = an_assignment(NODE, replicas=(replica,), generation=self.publisher.generation)
        files = {f"{CHAT}/compose.yaml": text, ASSIGNMENT_FILE: dump_assignment(assignment)}
        self.publisher.publish_raw({path: data.encode() for path, data in files.items()})

    def web(self) -> Container:
        return self.host.containers()["chat-0/web"]

    def worker(self) -> Container:
        return self.host.containers()["chat-0/worker"]

    def update(self) -> None:
        limits = Limits(memory_bytes=512 * 2**20, restart="unless-stopped")
        self.host.runtime.limit(self.web().id, limits)

    def intrude(self) -> None:
        project = project_name(NODE, CHAT)
        stranger = replace(self.web(), id="5" * 12, project=project, replica="", deployment="")
        self.host.runtime.put(stranger, node="")

    def pause(self) -> None:
        self.host.runtime.change(self.web().id, "paused")

    def cut_off(self) -> None:
        self.host.runtime.cut_off(self.web().id)

    def run_one_off(self) -> None:
        self.host.runtime.put_one_off(self.web().id, "6" * 12)


HARM = [
    pytest.param(Drifting.update, "service web has 512 MiB, 1 GiB wanted", id="update"),
    pytest.param(Drifting.pause, "service web is paused", id="pause"),
    pytest.param(Drifting.cut_off, "service web is cut off from the network", id="cut off"),
    pytest.param(Drifting.intrude, "container 555555555555 of img:1 was put", id="intruder"),
    pytest.param(Drifting.run_one_off, "container 666666666666 of img:1 was put", id="one-off"),
]


@pytest.mark.parametrize(("harm", "told"), HARM)
def test_drift_is_healed_within_minutes_and_siblings_serve_on(
    tmp_path: Path, harm: Any, told: str
) -> None:
    world = Drifting(tmp_path, Drift.HEAL)
    before = world.worker()

    harm(world)
    world.host.pass_time(400)

    assert set(world.host.containers()) == {"chat-0/web", "chat-0/worker"}
    assert len(world.host.runtime.everything()) == 2
    assert world.worker() == before, told
    assert world.web().state == "running"
    assert world.web().networks == before.networks
    assert world.web().limits == Limits(memory_bytes=2**30, restart="unless-stopped")
    assert world.host.heartbeat().replicas[0].state is ReplicaState.RUNNING


def test_an_update_that_docker_tells_of_is_healed_at_once(tmp_path: Path) -> None:
    world = Drifting(tmp_path, Drift.HEAL)
    world.update()
    assert world.host.step().acts == (), "no listing shows it"

    outcome = world.host.agent.step(frozenset({Reason.LIMITS}))

    assert [type(act) for act in outcome.acts] == [Pull, RemoveContainer, Up]
    assert {act.reason for act in outcome.acts} == {"service web has 512 MiB, 1 GiB wanted"}
    assert world.web().limits == Limits(memory_bytes=2**30, restart="unless-stopped")


@pytest.mark.parametrize(("harm", "told"), HARM)
def test_drift_that_is_only_told_is_told_and_stays(tmp_path: Path, harm: Any, told: str) -> None:
    world = Drifting(tmp_path, Drift.REPORT)
    harm(world)
    before = world.host.runtime.everything()

    world.host.pass_time(1000)

    assert world.host.runtime.everything() == before
    (report,) = world.host.heartbeat().replicas
    assert report.drifted.startswith(told)
    assert report.message.startswith(f"drifted: {told}")
    assert world.host.heartbeat().generation == 1, "what was reached once stays reached"


def test_other_limits_alone_make_nobody_ill(tmp_path: Path) -> None:
    world = Drifting(tmp_path, Drift.REPORT)
    world.update()

    world.host.pass_time(400)

    assert world.host.heartbeat().replicas[0].state is ReplicaState.RUNNING


@pytest.mark.parametrize(("harm", "told"), HARM)
def test_a_new_commit_ends_drift_that_was_only_told(tmp_path: Path, harm: Any, told: str) -> None:
    world = Drifting(tmp_path, Drift.REPORT)
    harm(world)
    world.host.pass_time(400)
    assert told in world.host.heartbeat().replicas[0].drifted

    world.publish(LIMITED.replace("1g", "2g"))
    world.host.pass_time(400)

    assert len(world.host.runtime.everything()) == 2
    assert world.web().limits == Limits(memory_bytes=2**31, restart="unless-stopped")
    (report,) = world.host.heartbeat().replicas
    assert (report.state, report.drifted) == (ReplicaState.RUNNING, "")


@pytest.mark.parametrize("rollback", [True, False], ids=["it goes back", "main is reverted"])
@pytest.mark.parametrize("restarts", [True, False], ids=["restarted", "not restarted"])
def test_a_start_that_ended_half_way_is_no_drift(
    tmp_path: Path, rollback: bool, restarts: bool
) -> None:
    """The old version was not left because somebody wanted it so."""
    world = Drifting(tmp_path, Drift.REPORT)
    world.publish(LIMITED, rollback=rollback)
    world.host.rest()
    world.host.pass_time(60)
    world.host.script.broken["img:2"] = "no such file"

    world.publish(LIMITED.replace("img:1", "img:2"), rollback=rollback)
    world.host.step()
    if restarts:
        world.host.start()
    if not rollback:
        world.publish(LIMITED)
    world.host.pass_time(100)

    assert {one.image for one in world.host.containers().values()} == {"img:1"}
    assert {one.state for one in world.host.containers().values()} == {"running"}
    assert world.host.heartbeat().replicas[0].drifted == ""


def test_files_that_half_a_new_version_has_mounted_stay(tmp_path: Path) -> None:
    """As long as nothing better runs, nobody knows what its containers read."""
    world = Drifting(tmp_path, Drift.REPORT)
    mounts = compose(extra="    volumes: [./conf:/conf:ro]\n", image="img:2").replace(
        "img:1", "img:3"
    )
    world.host.script.broken["img:3"] = "no such file"
    world.publisher.publish(
        {CHAT: {"compose.yaml": mounts, "conf/a": "new"}}, of_replicas={"drift": Drift.REPORT}
    )
    world.host.step()
    mounted = list(world.host.agent.notebook.memory.prepared[CHAT].stored)
    store = tmp_path / "replicas" / CHAT / "store"
    assert mounted
    assert {one.name for one in store.iterdir()} >= set(mounted)

    def refuse(name: str) -> None:
        if name == "up":
            raise RuntimeFailedError("too busy")

    world.publish(LIMITED)
    world.host.script.point = refuse
    world.host.step()

    assert world.web().image == "img:2"
    assert {one.name for one in store.iterdir()} >= set(mounted)


def test_drift_that_is_told_outlives_the_agent(tmp_path: Path) -> None:
    world = Drifting(tmp_path, Drift.REPORT)
    world.update()
    world.host.pass_time(400)

    world.host.start()
    outcome = world.host.step()

    assert outcome.acts == ()
    assert world.host.heartbeat().replicas[0].drifted


def test_a_second_agents_container_in_a_project_of_the_same_name_is_left_to_it(
    tmp_path: Path,
) -> None:
    world = Drifting(tmp_path, Drift.HEAL)
    other = replace(world.web(), id="7" * 12, replica="b-0")
    world.host.runtime.put(other, node="beta")

    world.host.pass_time(1000)

    assert other.id in {one.id for one in world.host.runtime.everything()}


def test_an_engine_that_cannot_be_asked_for_limits_costs_nothing_but_that(
    tmp_path: Path,
) -> None:
    world = Drifting(tmp_path, Drift.HEAL)
    before = world.host.containers()

    def refuse(name: str) -> None:
        if name == "limits":
            raise RuntimeDownError("too busy")

    world.update()
    world.host.script.point = refuse
    world.host.pass_time(1000)
    assert set(world.host.containers()) == set(before)

    world.host.script.point = lambda _name: None
    world.host.pass_time(60)
    assert world.web().limits == Limits(memory_bytes=2**30, restart="unless-stopped")


def test_what_the_engine_makes_of_a_limit_however_often_is_told_and_not_healed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Drifting(tmp_path, Drift.HEAL)
    real = world.host.runtime.limits

    def other(ids: tuple[str, ...]) -> dict[str, Limits]:
        return {one: replace(limits, restart="on-failure") for one, limits in real(ids).items()}

    monkeypatch.setattr(world.host.runtime, "limits", other)
    world.host.pass_time(3600)

    assert world.host.runtime.calls.count("remove") == 2, "each of two containers once"
    (report,) = world.host.heartbeat().replicas
    assert (report.state, report.message) == (
        ReplicaState.RUNNING,
        "drifted: service web has the restart policy on-failure, unless-stopped wanted, also after "
        "it was made anew; service worker has the restart policy on-failure, unless-stopped wanted,"
        " also after it was made anew",
    )

    world.host.start()
    world.host.pass_time(400)
    assert world.host.runtime.calls.count("remove") == 2, "an agent remembers it"

    monkeypatch.setattr(world.host.runtime, "limits", real)
    world.host.pass_time(400)
    assert world.host.heartbeat().replicas[0].drifted == ""


def test_the_same_update_by_hand_is_healed_each_time(tmp_path: Path) -> None:
    world = Drifting(tmp_path, Drift.HEAL)
    for _ in range(2):
        world.update()
        world.host.pass_time(1000)

        assert world.web().limits == Limits(memory_bytes=2**30, restart="unless-stopped")
    assert world.host.heartbeat().replicas[0].drifted == ""
