"""What is still held by one replica is not given to another, whatever fails."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import Any

import pytest

from agent.acts import Down, Pull, Up
from fleet.memory import MemoryServer
from schemas.assignment import AssignedReplica, GpuShare, dump_assignment
from schemas.heartbeat import ReplicaState
from schemas.layout import ASSIGNMENT_FILE, project_name
from schemas.names import GpuUuid, ReplicaName
from schemas.resources import Sharing
from tests.builders import an_assigned_replica, an_assignment
from tests.sim.agent.world import NODE, Host, Killed, Killer, Publisher, compose

OLD, NEW = ReplicaName("old-0"), ReplicaName("new-0")
GPU_A, GPU_B = GpuUuid("GPU-a"), GpuUuid("GPU-b")
STUCK = "could not kill container: tried and gave up"


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer()


@pytest.fixture
def publisher(server: MemoryServer) -> Publisher:
    return Publisher(server)


@pytest.fixture
def host(server: MemoryServer, tmp_path: Path) -> Host:
    return Host(server, tmp_path)


def whole(name: str, uuid: GpuUuid, **fields: Any) -> AssignedReplica:
    shares = (GpuShare(uuid=uuid, memory_mib=1000),)
    return an_assigned_replica(name, gpus=shares, sharing=Sharing.EXCLUSIVE, **fields)


def assign(publisher: Publisher, *replicas: AssignedReplica, **images: str) -> None:
    """Assign these, each with files that say which GPU it has. images: by deployment."""
    publisher.generation += 1
    assignment = an_assignment(NODE, replicas=replicas, generation=publisher.generation)
    files: dict[str, bytes | None] = {
        f"{one.name}/compose.yaml": compose(
            image=images.get(one.deployment, "img:1"), extra=_shown(one)
        ).encode()
        for one in replicas
    }
    publisher.publish_raw({**files, ASSIGNMENT_FILE: dump_assignment(assignment).encode()})


def _shown(replica: AssignedReplica) -> str:
    return f"    environment: {{GPU: '{' '.join(share.uuid for share in replica.gpus)}'}}\n"


def lose_memory(host: Host) -> None:
    for path in host.disk.glob("*.json"):
        path.unlink()


def running(host: Host) -> set[str]:
    return {one.replica for one in host.containers().values() if one.state == "running"}


def message(host: Host, replica: ReplicaName) -> tuple[ReplicaState, str]:
    (found,) = (one for one in host.heartbeat().replicas if one.name == replica)
    return found.state, found.message


def test_nothing_starts_on_the_gpu_of_what_cannot_be_removed(
    host: Host, publisher: Publisher
) -> None:
    assign(publisher, whole("old", GPU_A))
    host.rest()
    host.script.stuck[project_name(NODE, OLD)] = STUCK

    assign(publisher, whole("new", GPU_A), whole("other", GPU_B))
    host.pass_time(300)

    assert running(host) == {"old-0", "other-0"}
    text = "waits for old-0, which still holds GPU GPU-a"
    assert message(host, NEW) == (ReplicaState.PENDING, text)
    assert message(host, OLD) == (ReplicaState.STOPPING, f"down: {STUCK}")

    host.script.stuck.clear()
    host.pass_time(600)

    assert running(host) == {"new-0", "other-0"}
    assert message(host, NEW) == (ReplicaState.RUNNING, "")


def test_what_cannot_be_removed_is_not_tried_in_a_tight_loop(
    host: Host, publisher: Publisher
) -> None:
    assign(publisher, whole("old", GPU_A))
    host.rest()
    host.script.stuck[project_name(NODE, OLD)] = STUCK
    assign(publisher, whole("new", GPU_A))
    host.rest()
    host.runtime.calls.clear()

    host.pass_time(600)

    assert 1 <= host.runtime.calls.count("down") <= 8
    assert host.runtime.calls.count("pull") <= 8
    assert "up" not in host.runtime.calls


def test_an_older_version_serves_on_while_its_place_is_still_held(
    host: Host, publisher: Publisher
) -> None:
    assign(publisher, whole("old", GPU_A), whole("new", GPU_B))
    host.rest()
    host.script.stuck[project_name(NODE, OLD)] = STUCK

    assign(publisher, whole("new", GPU_A))
    host.pass_time(120)

    assert running(host) == {"old-0", "new-0"}
    state, text = message(host, NEW)
    assert state is ReplicaState.DEGRADED
    assert text.startswith("waits for old-0, which still holds GPU GPU-a; content of service web")


def test_whoever_moves_away_goes_first(host: Host, publisher: Publisher) -> None:
    assign(publisher, whole("zoe", GPU_A))
    host.rest()

    assign(publisher, whole("zoe", GPU_B), whole("ann", GPU_A))
    acts = host.step().acts

    ups = [act.replica for act in acts if isinstance(act, Up)]
    assert ups == ["zoe-0", "ann-0"]


def test_whoever_takes_the_place_of_one_whose_move_fails_waits(
    host: Host, publisher: Publisher
) -> None:
    assign(publisher, an_assigned_replica("zoe", ports={"http": 80}))
    host.rest()
    host.script.missing_images.add("img:2")

    moved = an_assigned_replica("zoe", ports={"http": 81})
    assign(publisher, moved, an_assigned_replica("ann", ports={"http": 80}), zoe="img:2")
    host.pass_time(60)

    assert running(host) == {"zoe-0"}
    text = "waits for zoe-0, which still holds port 80"
    assert message(host, ReplicaName("ann-0")) == (ReplicaState.PENDING, text)

    host.script.missing_images.clear()
    host.pass_time(600)

    assert running(host) == {"zoe-0", "ann-0"}


def test_two_that_swap_gpus_both_arrive_and_never_share_one(
    host: Host, publisher: Publisher
) -> None:
    assign(publisher, whole("ann", GPU_A), whole("zoe", GPU_B))
    host.rest()

    assign(publisher, whole("ann", GPU_B), whole("zoe", GPU_A))
    acts = host.step().acts

    assert [(type(act), act.replica) for act in acts if isinstance(act, Down | Pull | Up)] == [
        (Pull, "zoe-0"),
        (Pull, "ann-0"),
        (Down, "ann-0"),
        (Up, "zoe-0"),
        (Up, "ann-0"),
    ]
    host.rest()
    assert running(host) == {"ann-0", "zoe-0"}


def test_nothing_of_a_swap_is_stopped_before_all_images_are_here(
    host: Host, publisher: Publisher
) -> None:
    assign(publisher, whole("ann", GPU_A), whole("zoe", GPU_B))
    host.rest()
    before = host.containers()
    host.runtime.present_images.clear()
    host.script.missing_images.add("img:1")

    assign(publisher, whole("ann", GPU_B), whole("zoe", GPU_A))
    host.pass_time(60)

    assert host.containers() == before


def test_what_a_killed_start_may_hold_is_not_forgotten(tmp_path: Path) -> None:
    """At whatever point the agent dies that starts it: nothing else gets its GPU while it runs."""
    points = itertools.takewhile(lambda at: _dies_and_comes_back(tmp_path, at), itertools.count(1))

    assert len(tuple(points)) > 10


def _dies_and_comes_back(folder: Path, kill_at: int) -> bool:
    server = MemoryServer()
    host, publisher = Host(server, folder / str(kill_at)), Publisher(server)
    assign(publisher, whole("old", GPU_A))
    killer = Killer(kill_at)
    host.script.point = killer
    with contextlib.suppress(Killed):
        host.rest()
    host.script.point = lambda _name: None
    host.start()
    host.script.stuck[project_name(NODE, OLD)] = STUCK
    assign(publisher, whole("new", GPU_A))
    host.pass_time(60)

    assert not {"old-0", "new-0"} <= running(host)
    return len(killer.passed) == kill_at


def test_a_version_whose_gpu_was_given_away_does_not_come_back(
    host: Host, publisher: Publisher
) -> None:
    assign(publisher, whole("zoe", GPU_A, rollback=True))
    host.rest()
    host.script.failing["web"] = "no such device"

    assign(publisher, whole("zoe", GPU_B, rollback=True))
    host.pass_time(60)

    assert host.agent.notebook.memory.held == {}


def test_whoever_lost_its_memory_gives_away_nothing_that_somebody_may_hold(
    host: Host, publisher: Publisher
) -> None:
    assign(publisher, whole("old", GPU_A))
    host.rest()
    lose_memory(host)
    host.script.stuck[project_name(NODE, OLD)] = STUCK
    assign(publisher, whole("new", GPU_A), an_assigned_replica("plain"))

    # The second time with the intent to remove it, which never ended (seed 3705).
    for _ in range(2):
        host.start()
        host.pass_time(60)

        assert running(host) == {"old-0", "plain-0"}
        text = "waits for old-0, of which nobody knows what it holds"
        assert message(host, NEW) == (ReplicaState.PENDING, text)


def test_whoever_lost_its_memory_changes_what_runs_before_it_starts_another(
    host: Host, publisher: Publisher
) -> None:
    """A restored state gives to one what another still has (seed 7387)."""
    assign(publisher, whole("zoe", GPU_A))
    host.rest()
    lose_memory(host)
    host.script.missing_images.add("img:2")
    moved, taker = whole("zoe", GPU_B), whole("ann", GPU_A)
    assign(publisher, moved, taker, an_assigned_replica("plain"), zoe="img:2")
    host.start()
    host.pass_time(60)

    assert running(host) == {"zoe-0", "plain-0"}
    text = "waits for zoe-0, of which nobody knows what it holds"
    assert message(host, ReplicaName("ann-0")) == (ReplicaState.PENDING, text)

    host.script.missing_images.clear()
    host.pass_time(600)

    assert running(host) == {"zoe-0", "ann-0", "plain-0"}


def test_what_an_unfinished_start_of_what_nobody_remembers_holds_is_not_given_away(
    host: Host, publisher: Publisher
) -> None:
    assign(publisher, whole("zoe", GPU_A))
    host.rest()
    lose_memory(host)
    host.script.failing["web"] = "no such device"
    assign(publisher, whole("zoe", GPU_B), whole("ann", GPU_A))
    host.start()
    acts = host.step().acts

    assert [act.replica for act in acts if isinstance(act, Up)] == ["zoe-0"]
