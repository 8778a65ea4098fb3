"""What the keys of machines may push: real git, through the forced command and the hook."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.enrol import DOORKEEPER, door_line
from agent.settings import Settings
from fleet.access import Access
from fleet.git_repo import open_repository
from fleet.port import RefUpdate, RejectedError
from fleet.rehearsal import Answer, Guard, ask_guarded
from schemas.heartbeat import HEARTBEAT_MAX
from schemas.layout import ASSIGNMENTS_REF, LEADER_REF, assigned_ref, heartbeat_ref
from schemas.names import NodeName
from tests.contract.fleet.conftest import MAIN, GitWorld, committed, planted

PROGRAM = Path(__file__).parents[3] / "fleet" / "server" / "miaas-doorkeeper"
KEY = "ssh-ed25519 AAAA miaas-agent-a"
A, B = NodeName("a"), NodeName("b")
ZERO = "0" * 40


@dataclass(frozen=True)
class Key:
    """A key of somebody, as sshd treats it: it runs `forced` whatever the client asks for."""

    world: GitWorld
    forced: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def ssh(self) -> Path:
        told = self.world.folder / f"ssh {abs(hash(self.forced))}"
        asked = "for last; do :; done"
        forced = f'SSH_ORIGINAL_COMMAND="$last" exec sh -c {shlex.quote(self.forced)}'
        told.write_text(f"#!/bin/sh\n{asked}\n{forced}\n")
        told.chmod(0o755)
        return told

    @property
    def url(self) -> str:
        return f"git@host.example:{self.world.remote}"

    def push(self, *specs: str) -> subprocess.CompletedProcess[str]:
        return self.git("push", "--porcelain", "--force", self.url, *specs)

    def git(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,  # noqa: TID251  # where programs are
            **self.environment,
            "GIT_SSH_COMMAND": shlex.quote(str(self.ssh)),
            "GIT_SSH_VARIANT": "ssh",
        }
        command = ["git", f"--git-dir={self.world.remote}.seen", *words]
        return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)

    def ask(self, original: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "SSH_ORIGINAL_COMMAND": original}  # noqa: TID251
        command = ["sh", "-c", self.forced]
        return subprocess.run(
            command, check=False, capture_output=True, text=True, env=environment, input=""
        )


def of_node(world: GitWorld, node: NodeName = A) -> Key:
    """The key of a node, by the very line that `enrol` prints."""
    settings = Settings(node=node, state_url=f"git@host.example:{world.remote}")
    line = door_line(settings, KEY).replace(DOORKEEPER, str(PROGRAM))
    assert line.startswith('restrict,command="')
    return Key(world, line.split('"')[1])


def of_reconciler(world: GitWorld) -> Key:
    return Key(world, f"{PROGRAM} reconciler /elsewhere.git {world.remote}")


@pytest.fixture
def guarded(git_world: GitWorld) -> GitWorld:
    """A state repository with a hook, in which everybody has spoken."""
    (git_world.remote / "hooks" / "pre-receive").symlink_to(PROGRAM)
    for ref in (MAIN, ASSIGNMENTS_REF, *map(assigned_ref, (A, B)), *map(heartbeat_ref, (A, B))):
        planted(git_world, ref, [("100644", b"x", ref.encode())])
    git_world.git("clone", "-q", "--mirror", str(git_world.remote), f"{git_world.remote}.seen")
    return git_world


def test_a_node_speaks_for_itself_and_reads(guarded: GitWorld) -> None:
    key = of_node(guarded)
    client = open_repository(
        key.url, guarded.folder / "agent.git", access=Access(ssh=str(key.ssh))
    )  # fmt: skip
    guarded.clients.append(client)
    before = guarded.refs()

    made = committed(client, {"heartbeat.json": b"{}"})
    client.push_own(heartbeat_ref(A), made)

    assert guarded.refs() == {**before, heartbeat_ref(A): made}
    assert client.fetch(assigned_ref(A)) == {assigned_ref(A): before[assigned_ref(A)]}


def test_a_setting_for_people_does_not_stop_heartbeats(guarded: GitWorld) -> None:
    guarded.git("config", "receive.denyNonFastForwards", "true")

    assert of_node(guarded).push(f"{MAIN}:{heartbeat_ref(A)}").returncode == 0


FOREIGN = [
    heartbeat_ref(B),
    f"{heartbeat_ref(A)}x",
    f"{heartbeat_ref(NodeName('c'))}/{A}",
    assigned_ref(A),
    assigned_ref(B),
    ASSIGNMENTS_REF,
    LEADER_REF,
    MAIN,
    "refs/heads/new",
    "refs/tags/v1",
    "refs/anything",
]


@pytest.mark.parametrize("ref", FOREIGN)
def test_a_node_moves_no_other_ref(guarded: GitWorld, ref: str) -> None:
    before = guarded.refs()

    done = of_node(guarded).push(f"{heartbeat_ref(A)}:{ref}")

    assert done.returncode != 0
    assert guarded.refs() == before
    said = " ".join(line.removeprefix("remote: ") for line in done.stderr.splitlines())
    assert f"the key of node a may push refs/miaas/nodes/a, not {ref}. Fix: " in said


@pytest.mark.parametrize(
    "ref", [heartbeat_ref(A), heartbeat_ref(B), assigned_ref(A), MAIN, ASSIGNMENTS_REF]
)
def test_a_node_deletes_nothing(guarded: GitWorld, ref: str) -> None:
    before = guarded.refs()

    done = of_node(guarded).push(f":{ref}")

    assert (done.returncode != 0, guarded.refs()) == (True, before)
    assert "miaas: the key of node a may" in done.stderr


def test_one_foreign_ref_refuses_the_whole_push(guarded: GitWorld) -> None:
    before = guarded.refs()

    done = of_node(guarded).push(f"{MAIN}:{heartbeat_ref(A)}", f"{MAIN}:{assigned_ref(B)}")

    assert (done.returncode != 0, guarded.refs()) == (True, before)


def test_what_a_client_says_of_itself_counts_for_nothing(guarded: GitWorld) -> None:
    before, key = guarded.refs(), of_node(guarded)
    hooks = guarded.folder / "no hooks"
    told = {
        "MIAAS_PUSHER": "reconciler",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.hooksPath",
        "GIT_CONFIG_VALUE_0": str(hooks),
    }

    done = Key(guarded, key.forced, told).push(f"{MAIN}:{assigned_ref(B)}")

    assert (done.returncode != 0, guarded.refs()) == (True, before)


@pytest.mark.parametrize(
    ("size", "fits"),
    [
        pytest.param(HEARTBEAT_MAX, True, id="the largest that is read"),
        pytest.param(5 << 20, False, id="more than a mistake"),
    ],
)
def test_a_node_sends_no_more_than_a_heartbeat(guarded: GitWorld, size: int, fits: bool) -> None:
    key = of_node(guarded)
    made = planted(guarded, "refs/big", [("100644", b"x", os.urandom(size))])
    assert key.git("fetch", "-q", str(guarded.remote), "refs/big:refs/big").returncode == 0
    guarded.git("update-ref", "-d", "refs/big")

    done = key.push(f"refs/big:{heartbeat_ref(A)}")

    assert (done.returncode == 0, guarded.refs()[heartbeat_ref(A)] == made) == (fits, fits)
    assert ("maximum allowed size" in done.stderr) is not fits


def test_the_reconciler_publishes(guarded: GitWorld) -> None:
    key = of_reconciler(guarded)
    client = open_repository(
        key.url, guarded.folder / "reconciler.git", access=Access(ssh=str(key.ssh))
    )  # fmt: skip
    guarded.clients.append(client)
    before = client.fetch(ASSIGNMENTS_REF, assigned_ref(A), MAIN)

    made = committed(client, {"decision.json": b"{}"}, parent=before[ASSIGNMENTS_REF])
    client.push((
        RefUpdate(ASSIGNMENTS_REF, made, before[ASSIGNMENTS_REF]),
        RefUpdate(assigned_ref(A), made, before[assigned_ref(A)]),
        RefUpdate(assigned_ref(NodeName("new")), made, None),
        RefUpdate(LEADER_REF, made, None),
    ))  # fmt: skip

    moved = {ref for ref, value in guarded.refs().items() if value == made}
    assert moved == {ASSIGNMENTS_REF, assigned_ref(A), assigned_ref(NodeName("new")), LEADER_REF}
    with pytest.raises(RejectedError, match=f"the key of the reconciler .* not {MAIN}. Fix"):
        client.push((RefUpdate(MAIN, made, before[MAIN]),))


@pytest.mark.parametrize(
    "spec",
    [
        f"{MAIN}:{heartbeat_ref(A)}",
        f"{ASSIGNMENTS_REF}:{MAIN}",
        f"{MAIN}:refs/tags/v1",
        f"{MAIN}:{assigned_ref(NodeName('c'))}/d",
        f":{assigned_ref(A)}",
        f":{ASSIGNMENTS_REF}",
    ],
)
def test_the_reconciler_does_no_more_than_that(guarded: GitWorld, spec: str) -> None:
    before = guarded.refs()

    done = of_reconciler(guarded).push(spec)

    assert (done.returncode != 0, guarded.refs()) == (True, before)
    assert "miaas: the key of the reconciler may" in done.stderr


def test_people_push_as_before(guarded: GitWorld) -> None:
    person = Key(guarded, 'sh -c "$SSH_ORIGINAL_COMMAND"')

    done = person.push(f"{ASSIGNMENTS_REF}:{MAIN}", f"{MAIN}:refs/tags/v1", f":{heartbeat_ref(B)}")

    assert done.returncode == 0, done.stderr
    assert heartbeat_ref(B) not in guarded.refs()


@pytest.mark.parametrize("harm", ["no hook", "another hook", "hooks elsewhere"])
def test_without_the_hook_no_machine_pushes_what_is_not_its_own(
    guarded: GitWorld, harm: str
) -> None:
    hook = guarded.remote / "hooks" / "pre-receive"
    if harm == "hooks elsewhere":
        guarded.git("config", "core.hooksPath", str(guarded.folder))
    else:
        hook.unlink()
    if harm == "another hook":
        hook.write_text("#!/bin/sh\nexit 0\n")
        hook.chmod(0o755)
    before = guarded.refs()

    for key in (of_node(guarded), of_reconciler(guarded)):
        done = key.push(f"{ASSIGNMENTS_REF}:{MAIN}")
        assert (done.returncode != 0, guarded.refs()) == (True, before)
        assert "miaas: " in done.stderr
    assert of_node(guarded).git("ls-remote", of_node(guarded).url).returncode == 0


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "sh",
        "git-upload-archive '{remote}'",
        "git-receive-pack {remote}",
        "git-receive-pack '{remote}/../other.git'",
        "git-receive-pack '/elsewhere.git'",
        "git-receive-pack '{remote}'; touch {mark}",
        "git-upload-pack '{remote}' --help",
        "git-upload-pack '$(touch {mark})'",
    ],
)
def test_a_key_opens_its_repository_and_nothing_else(guarded: GitWorld, asked: str) -> None:
    mark = guarded.folder / "mark"

    done = of_node(guarded).ask(asked.format(remote=guarded.remote, mark=mark))

    assert (done.returncode, done.stdout, mark.exists()) == (1, "", False)
    assert "miaas: this key fetches from and pushes to" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        "",
        "node",
        "node a",
        "node '' {remote}",
        "node 'a*' {remote}",
        "node a/b {remote}",
        "node a {remote} {remote}",
        "node a --help",
        "node a '{remote} x'",
        "reconciler",
        "person {remote}",
    ],
)
def test_an_odd_line_in_authorized_keys_lets_nobody_in(guarded: GitWorld, words: str) -> None:
    key = Key(guarded, f"{PROGRAM} {words.format(remote=guarded.remote)}")

    done = key.ask(f"git-upload-pack '{guarded.remote}'")

    assert (done.returncode, done.stdout) == (1, "")
    assert "authorized_keys" in done.stderr


def test_a_pusher_that_the_hook_does_not_know_moves_nothing(guarded: GitWorld) -> None:
    command = [guarded.remote / "hooks" / "pre-receive"]
    line = f"{ZERO} {'1' * 40} {MAIN}\n"

    done = subprocess.run(
        command, input=line, text=True, check=False, env={"MIAAS_PUSHER": "odd", "PATH": os.defpath}
    )

    assert done.returncode == 1


# whether a host may do more than it should: asked by an attempt that cannot come true


def asked(world: GitWorld, key: Key, ref: str = assigned_ref(A)) -> Answer:
    folder = str(world.folder / "doctor.git")
    return ask_guarded(key.url, folder, ref, access=Access(ssh=str(key.ssh)))


def test_a_guarded_ref_is_told_from_an_open_one_and_nothing_moves(guarded: GitWorld) -> None:
    before = guarded.refs()

    by_rule = asked(guarded, of_node(guarded))
    by_luck = asked(guarded, Key(guarded, 'sh -c "$SSH_ORIGINAL_COMMAND"'))

    assert (by_rule.guard, by_luck.guard) == (Guard.HELD, Guard.OPEN)
    assert "the key of node a may push" in by_rule.why
    assert guarded.refs() == before


@pytest.mark.parametrize("how", ["loose", "packed"])
def test_an_open_ref_is_seen_however_it_is_kept(guarded: GitWorld, how: str) -> None:
    if how == "packed":
        guarded.git("pack-refs", "--all", "--prune")
    before = guarded.refs()

    answer = asked(guarded, Key(guarded, 'sh -c "$SSH_ORIGINAL_COMMAND"'))

    assert (answer.guard, guarded.refs()) == (Guard.OPEN, before)


def test_without_the_ref_nothing_is_tried(guarded: GitWorld) -> None:
    before = guarded.refs()

    answer = asked(guarded, of_node(guarded), assigned_ref(NodeName("c")))

    assert (answer.guard, guarded.refs()) == (Guard.UNKNOWN, before)
