"""Each kind of change recreates the one service that depends on it, and no other."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from examples.tour.engines import Engine
from tests.builders import a_gpu_uuid
from tests.e2e.agent.conftest import new_host
from tests.e2e.agent.host import IMAGE, NEXT_IMAGE, Host, Pass, a_service, files, two_services
from tests.sim.agent.world import Files

pytestmark = pytest.mark.e2e


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A kind of change: a replica before and after, and a command that tells them apart inside."""

    kind: str
    before: Files
    after: Files
    command: str
    says_before: str
    says_after: str


def of_files(kind: str, path: str, command: str, *, top: Any = None, **web: Any) -> Change:
    """A change of nothing but the text of one file."""
    return Change(
        kind=kind,
        before=two_services({path: "first\n"}, top=top, **web),
        after=two_services({path: "second\n"}, top=top, **web),
        command=command,
        says_before="first",
        says_after="second",
    )


def of_service(
    kind: str, command: str, *, before: Any, after: Any, says: tuple[str, str]
) -> Change:
    """A change of the compose file itself."""
    return Change(
        kind=kind,
        before=two_services(**before),
        after=two_services(**after),
        command=command,
        says_before=says[0],
        says_after=says[1],
    )


def gpu(number: int) -> dict[str, Any]:
    wanted = {"driver": "nvidia", "device_ids": [a_gpu_uuid(number)], "capabilities": ["gpu"]}
    return {"deploy": {"resources": {"reservations": {"devices": [wanted]}}}}


def on_gpu(number: int) -> Files:
    """A replica whose two services have a GPU each; the sibling's stays the same."""
    return files({"web": a_service(**gpu(number)), "side": a_service(**gpu(7))})


CHANGES = (
    of_service(
        "image",
        "cat /etc/image",
        before={"image": IMAGE},
        after={"image": NEXT_IMAGE},
        says=(IMAGE, NEXT_IMAGE),
    ),
    of_service(
        "environment",
        'echo "$MODEL"',
        before={"environment": {"MODEL": "small"}},
        after={"environment": {"MODEL": "large"}},
        says=("small", "large"),
    ),
    Change(
        kind="env-file",
        before=two_services({"web.env": "MODEL=small\n"}, env_file=["./web.env"]),
        after=two_services({"web.env": "MODEL=large\n"}, env_file=["./web.env"]),
        command='echo "$MODEL"',
        says_before="small",
        says_after="large",
    ),
    of_files("file-bind", "web.conf", "cat /etc/web.conf", volumes=["./web.conf:/etc/web.conf:ro"]),
    of_files(
        "folder-bind",
        "conf/deep/web.conf",
        "cat /etc/web/deep/web.conf",
        volumes=["./conf:/etc/web:ro"],
    ),
    of_files(
        "config-file",
        "web.conf",
        "cat /etc/web.conf",
        top={"configs": {"conf": {"file": "./web.conf"}}},
        configs=[{"source": "conf", "target": "/etc/web.conf"}],
    ),
    Change(
        kind="config-content",
        before=two_services(
            top={"configs": {"conf": {"content": "first\n"}}},
            configs=[{"source": "conf", "target": "/etc/web.conf"}],
        ),
        after=two_services(
            top={"configs": {"conf": {"content": "second\n"}}},
            configs=[{"source": "conf", "target": "/etc/web.conf"}],
        ),
        command="cat /etc/web.conf",
        says_before="first",
        says_after="second",
    ),
    of_files(
        "secret-file",
        "token",
        "cat /run/secrets/token",
        top={"secrets": {"token": {"file": "./token"}}},
        secrets=["token"],
    ),
    of_service(
        "command",
        "cat /proc/1/cmdline",
        before={"command": ["sleep", "1000001"]},
        after={"command": ["sleep", "1000002"]},
        says=("1000001", "1000002"),
    ),
    of_service(
        "ports",
        "cat /proc/1/cmdline",
        before={"command": ["httpd", "-f", "-p", "8080"], "ports": ["18081:8080"]},
        after={"command": ["httpd", "-f", "-p", "8080"], "ports": ["18082:8080"]},
        says=("httpd", "httpd"),
    ),
    # The engine believes that it has GPUs; it tells a container its UUIDs as it always does.
    Change(
        kind="gpu-ids",
        before=on_gpu(1),
        after=on_gpu(2),
        command="cat /proc/1/environ",
        says_before=f"NVIDIA_VISIBLE_DEVICES={a_gpu_uuid(1)}\0",
        says_after=f"NVIDIA_VISIBLE_DEVICES={a_gpu_uuid(2)}\0",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One moment of a host: container ids, and what each `web` says of itself."""

    containers: dict[str, str]
    says: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All kinds of change made at once: what was seen before and after, and after one more pass."""

    before: Seen
    after: Seen
    later: Seen
    changed: tuple[Pass, ...]
    third: Pass
    ports: tuple[bool, bool]

    def reasons(self, name: str) -> str:
        """Why something was done to a replica."""
        return "; ".join(one.reasons(name) for one in self.changed)


@pytest.fixture(scope="module")
def story(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Every kind of change, in one replica each, in a single commit.

    They are more than one pass does before it is heard again.
    """
    with new_host(engine, tmp_path_factory.mktemp("changes")) as host:
        yield told(host)


def told(host: Host) -> Story:
    host.publish({replica(change): change.before for change in CHANGES})
    host.rest()
    before = seen(host)
    host.publish({replica(change): change.after for change in CHANGES})
    changed = host.rest()
    after = seen(host)
    ports = (answers(host.engine, 18081), answers(host.engine, 18082))
    third = host.once("--now")
    return Story(
        before=before, after=after, later=seen(host), changed=changed, third=third, ports=ports
    )


def replica(change: Change) -> str:
    return f"{change.kind}-0"


def seen(host: Host) -> Seen:
    names = host.containers()
    says = {
        c.kind: host.inside(f"{replica(c)}/web", c.command)
        for c in CHANGES
        if f"{replica(c)}/web" in names
    }
    return Seen(containers=names, says=says)


def answers(engine: Engine, port: int) -> bool:
    try:
        socket.create_connection((engine.address, port), timeout=5).close()
    except OSError:
        return False
    return True


every_kind = pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.kind)


@every_kind
def test_the_service_that_changed_is_made_anew(story: Story, change: Change) -> None:
    web = f"{replica(change)}/web"

    assert story.before.containers[web] != story.after.containers[web]
    assert "service web" in story.reasons(replica(change))


@every_kind
def test_its_sibling_keeps_its_container(story: Story, change: Change) -> None:
    side = f"{replica(change)}/side"

    assert story.before.containers[side] == story.after.containers[side]
    assert "side" not in story.reasons(replica(change))


@every_kind
def test_what_is_new_is_really_inside(story: Story, change: Change) -> None:
    assert change.says_before in story.before.says[change.kind]
    assert change.says_after in story.after.says[change.kind]


def test_the_new_port_answers_and_the_old_one_is_closed(story: Story) -> None:
    assert story.ports == (False, True)


def test_another_pass_touches_nothing(story: Story) -> None:
    assert story.third.done == ()
    assert story.third.code == 0
    assert story.later == story.after
