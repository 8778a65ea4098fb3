"""Volumes are deleted by the last word alone, whatever happens in between."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from agent.acts import Down, RemoveVolumes
from fleet.memory import MemoryServer
from schemas.assignment import dump_assignment
from schemas.layout import ASSIGNMENT_FILE, project_name
from schemas.names import ReplicaName
from schemas.resources import VolumeRemoval
from tests.builders import an_assigned_replica, an_assignment
from tests.sim.agent.world import NODE, Host, Killed, Publisher, compose

KEEP, DELETE = VolumeRemoval.KEEP, VolumeRemoval.DELETE
REPLICAS = tuple(ReplicaName(name) for name in ("chat-0", "chat-1", "code-0"))
FILES = compose(extra="    volumes: ['data:/data']\n") + "volumes: {data: {}}\n"
Words = Mapping[ReplicaName, VolumeRemoval]


def publish(publisher: Publisher, words: Words) -> None:
    """Assign these replicas, each with its word about its volume."""
    publisher.generation += 1
    replicas = tuple(
        replace(an_assigned_replica(name.rpartition("-")[0], int(name[-1])), on_remove=word)
        for name, word in sorted(words.items())
    )
    assignment = an_assignment(NODE, replicas=replicas, generation=publisher.generation)
    files = {f"{name}/compose.yaml": FILES for name in words}
    files[ASSIGNMENT_FILE] = dump_assignment(assignment)
    publisher.publish_raw({path: text.encode() for path, text in files.items()})


def volume(replica: ReplicaName) -> str:
    return f"{project_name(NODE, replica)}_data"


@pytest.fixture
def publisher(server: MemoryServer) -> Publisher:
    return Publisher(server)


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer()


@pytest.fixture
def host(server: MemoryServer, tmp_path: Path) -> Host:
    return Host(server, tmp_path)


CHAT = REPLICAS[0]


def test_a_volume_goes_with_its_replica_where_the_last_assignment_said_so(
    host: Host, publisher: Publisher
) -> None:
    publish(publisher, {CHAT: DELETE, REPLICAS[1]: KEEP})
    host.rest()

    publish(publisher, {})
    outcome = host.rest()

    assert set(host.runtime.volumes) == {volume(REPLICAS[1])}
    assert [type(act) for act in outcome.acts] == [Down, Down, RemoveVolumes]
    assert host.heartbeat().generation == 2


@pytest.mark.parametrize(
    "words",
    [
        pytest.param([KEEP], id="never said"),
        pytest.param([DELETE, KEEP], id="taken back"),
        pytest.param([KEEP, DELETE, KEEP], id="said and taken back"),
    ],
)
def test_a_volume_stays_without_a_last_word(
    host: Host, publisher: Publisher, words: list[VolumeRemoval]
) -> None:
    for word in words:
        publish(publisher, {CHAT: word})
        host.rest()

    publish(publisher, {})
    host.rest()

    assert set(host.runtime.volumes) == {volume(CHAT)}


def test_a_replica_that_came_back_takes_the_word_with_it(host: Host, publisher: Publisher) -> None:
    publish(publisher, {CHAT: DELETE})
    host.rest()
    host.script.down = "gone"
    publish(publisher, {})
    host.step()
    publish(publisher, {CHAT: KEEP})
    host.step()
    host.script.down = ""
    host.pass_time(400)

    publish(publisher, {})
    host.rest()

    assert set(host.runtime.volumes) == {volume(CHAT)}


def test_an_agent_that_lost_the_assignment_deletes_nothing(
    host: Host, publisher: Publisher
) -> None:
    publish(publisher, {CHAT: DELETE})
    host.rest()
    for path in host.disk.glob("*.json"):
        path.unlink()
    publish(publisher, {})

    host.start()
    host.rest()

    assert host.runtime.everything() == ()
    assert set(host.runtime.volumes) == {volume(CHAT)}


def test_a_volume_that_is_still_in_use_is_tried_again_and_holds_nobody_up(
    host: Host, publisher: Publisher
) -> None:
    publish(publisher, {CHAT: DELETE})
    host.rest()
    foreign = replace(host.runtime.everything()[0], id="9" * 12)
    project = foreign.project

    def put_back(name: str) -> None:
        if name == "remove_volumes":
            host.runtime.put(foreign, node="")

    host.script.point = put_back
    publish(publisher, {REPLICAS[2]: KEEP})
    host.step()
    assert volume(CHAT) in host.runtime.volumes
    assert f"{REPLICAS[2]}/web" in host.containers()

    host.script.point = lambda _name: None
    host.runtime.down(project)
    host.pass_time(400)

    assert set(host.runtime.volumes) == {volume(REPLICAS[2])}


def test_a_heartbeat_tells_whose_volumes_stand_here_assigned_or_not(
    host: Host, publisher: Publisher
) -> None:
    publish(publisher, {CHAT: KEEP, REPLICAS[1]: DELETE})
    host.rest()
    assert host.heartbeat().volumes == (CHAT, REPLICAS[1])

    publish(publisher, {})
    host.rest()

    assert host.heartbeat().volumes == (CHAT,)


def test_a_silent_engine_tells_of_no_volumes(host: Host, publisher: Publisher) -> None:
    publish(publisher, {CHAT: KEEP})
    host.rest()

    host.script.down = "no answer within 5 s"
    host.pass_time(400)

    assert host.heartbeat().volumes == ()
    assert host.heartbeat().runtime.error


class Oracle:
    """Knows what was accepted, and fails the test at a deletion that nobody asked for.

    It is called at every point of a pass, and kills the agent at some of them.
    """

    def __init__(self, host: Host, rng: random.Random) -> None:
        self.host = host
        self.deleted = 0
        self._rng = rng
        self._words: dict[ReplicaName, VolumeRemoval] = {}

    def note(self) -> None:
        accepted = self.host.agent.notebook.accepted
        replicas = accepted.assignment.replicas if accepted else ()
        self._words.update({one.name: one.on_remove for one in replicas})

    def __call__(self, name: str) -> None:
        self.note()
        if name.startswith("volume "):
            self._judge(name.removeprefix("volume "))
        if self._rng.random() < 0.01:
            raise Killed(name)

    def _judge(self, name: str) -> None:
        (replica,) = [one for one in REPLICAS if volume(one) == name]
        accepted = self.host.agent.notebook.accepted
        assert accepted is not None
        assert replica not in accepted.trees, f"{replica} is assigned"
        assert self._words[replica] is DELETE, f"{replica} was to be kept"
        self.deleted += 1


@pytest.mark.parametrize("seed", range(16))
def test_no_sequence_of_passes_deletes_a_volume_without_the_word(tmp_path: Path, seed: int) -> None:
    _live(tmp_path, seed)  # the oracle judges every deletion


def test_these_sequences_do_delete_volumes(tmp_path: Path) -> None:
    assert sum(_live(tmp_path / str(seed), seed) for seed in range(8)) > 0


def _live(folder: Path, seed: int) -> int:
    """Live through a random history, and count the volumes that were deleted in it."""
    rng, server = random.Random(seed), MemoryServer()
    publisher, host = Publisher(server), Host(server, folder, seed)
    oracle = Oracle(host, rng)
    host.script.point = oracle
    for _ in range(45):
        _disturb(host, publisher, rng)
        try:
            host.step()
        except Killed:
            host.start()
        oracle.note()
        host.now += rng.choice((1, 20, 200))
    return oracle.deleted


def _disturb(host: Host, publisher: Publisher, rng: random.Random) -> None:
    """Do one thing that may happen to a host."""
    match rng.randrange(9):
        case 0 | 1 | 2:
            some = [name for name in REPLICAS if rng.random() < 0.5]
            publish(publisher, {name: rng.choice((KEEP, DELETE)) for name in some})
        case 3:
            publisher.publish_raw({ASSIGNMENT_FILE: rng.choice((b"", b"{", b"[]"))})
        case 4:
            host.is_cut_off(cut=rng.random() < 0.5)
        case 5:
            host.script.down = rng.choice(("", "gone"))
        case 6:
            _lose_a_file(host, rng)
        case 7 if host.runtime.everything():
            host.runtime.change(rng.choice(host.runtime.everything()).id, "exited", 1)
        case _:
            host.start()


def _lose_a_file(host: Host, rng: random.Random) -> None:
    """Have one of the agent's own files vanish or break, as a bad disk would."""
    files = sorted(host.disk.glob("*.json"))
    if files:
        path = rng.choice(files)
        path.unlink() if rng.random() < 0.5 else path.write_text("{")
        host.start()
