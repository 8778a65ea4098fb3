"""From a bare host to one that the fleet can admit: real files, keys and repositories."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.enrol import access_fix, door_line, is_ssh, public_key, with_defaults
from agent.glance import access
from agent.settings import Settings, read_settings
from fleet.git_repo import open_repository
from fleet.port import RefUpdate
from schemas.assignment import dump_assignment
from schemas.layout import ASSIGNMENT_FILE, assigned_ref
from schemas.names import NodeName
from schemas.node import parse_node
from tests.builders import A_MOMENT, an_assigned_replica, an_assignment

ROOT = Path(__file__).parents[3]
SSH = "ssh://git@git.example.org/fleet/state.git"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state.git"
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True)
    return folder


def _enrol(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent.cli", "enrol", "--root", str(root)]
    common = ("--runtime", "simulated")
    return subprocess.run(
        [*command, *common, *words], cwd=ROOT, check=False, capture_output=True, text=True
    )


def test_a_bare_host_becomes_a_node_that_spoke(tmp_path: Path, state: Path) -> None:
    host = tmp_path / "host"

    done = _enrol(host, "--node", "gpu-1", "--state-url", str(state))

    assert done.returncode == 0, done.stderr
    show = ["git", "-C", str(state), "show", "refs/miaas/nodes/gpu-1:heartbeat.json"]
    beat = json.loads(subprocess.run(show, check=True, capture_output=True).stdout)
    assert (beat["node"], beat.get("generation", 0)) == ("gpu-1", 0)
    config = host / "etc/miaas/agent.toml"
    assert config.stat().st_mode & 0o777 == 0o600
    settings = read_settings(str(config), {}, {})
    assert (settings.node, settings.state_url) == ("gpu-1", str(state))
    assert settings.state_dir == str(host / "var/lib/miaas-agent")


def test_what_is_to_be_pasted_is_a_record_that_holds(tmp_path: Path, state: Path) -> None:
    said = _enrol(tmp_path / "host", "--node", "gpu-1", "--state-url", str(state)).stdout

    text = said[said.index("apiVersion") : said.index("Next:")]

    assert parse_node(text, path="nodes/gpu-1.yaml").name == "gpu-1"


def test_once_more_changes_no_file_and_speaks_again(tmp_path: Path, state: Path) -> None:
    host = tmp_path / "host"
    _enrol(host, "--node", "gpu-1", "--state-url", str(state))
    config = host / "etc/miaas/agent.toml"
    before = config.stat()

    done = _enrol(host)

    assert done.returncode == 0, done.stderr
    after = config.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert "the first heartbeat arrived" in done.stdout


def test_a_host_does_not_change_its_name_in_silence(tmp_path: Path, state: Path) -> None:
    host = tmp_path / "host"
    _enrol(host, "--node", "gpu-1", "--state-url", str(state))

    done = _enrol(host, "--node", "gpu-2", "--state-url", str(state))

    assert done.returncode == 3
    assert "this host is 'gpu-1' already" in done.stderr
    assert "Fix: enrol as 'gpu-1'; or drain it" in done.stderr


def _assign(state: Path, folder: Path, node: NodeName) -> None:
    """Have the fleet assign a replica to a node."""
    repository = open_repository(f"file://{state}", folder, access=access(Settings()))
    replicas = (an_assigned_replica("chat", 0),)
    text = dump_assignment(an_assignment(node, replicas=replicas, generation=1))
    file = b"services: {web: {image: 'img:1', restart: unless-stopped}}\n"
    tree = repository.write(None, {ASSIGNMENT_FILE: text.encode(), "chat-0/compose.yaml": file})
    commit = repository.commit(tree, parent=None, message="A decision", at=A_MOMENT)
    repository.fetch(assigned_ref(node))
    repository.push((RefUpdate(assigned_ref(node), commit, None),))


def _replicas(state: Path, node: str) -> list[str]:
    """The replicas that a node told of last."""
    show = ["git", "-C", str(state), "show", f"refs/miaas/nodes/{node}:heartbeat.json"]
    beat = json.loads(subprocess.run(show, check=True, capture_output=True).stdout)
    return [one["name"] for one in beat.get("replicas", ())]


def test_another_name_on_an_old_state_folder_is_refused_before_anything_is_done(
    tmp_path: Path, state: Path
) -> None:
    host = tmp_path / "host"
    _assign(state, tmp_path / "mirror.git", NodeName("gpu-1"))
    _enrol(host, "--node", "gpu-1", "--state-url", str(state))
    assert _replicas(state, "gpu-1") == ["chat-0"]
    config = host / "etc/miaas/agent.toml"
    config.unlink()

    done = _enrol(host, "--node", "gpu-2", "--state-url", str(state))

    assert done.returncode == 3
    assert "is that of node gpu-1 simulated, and this is node gpu-2" in done.stderr
    assert not config.exists()
    refs = subprocess.run(
        ["git", "-C", str(state), "for-each-ref"], capture_output=True, check=True
    )
    assert b"gpu-2" not in refs.stdout


def test_what_another_node_was_to_run_is_run_by_nobody_else(tmp_path: Path, state: Path) -> None:
    host = tmp_path / "host"
    _assign(state, tmp_path / "mirror.git", NodeName("gpu-1"))
    _enrol(host, "--node", "gpu-1", "--state-url", str(state))
    (host / "etc/miaas/agent.toml").unlink()
    (host / "var/lib/miaas-agent/owner").unlink()

    done = _enrol(host, "--node", "gpu-2", "--state-url", str(state))

    assert done.returncode == 0, done.stderr
    assert _replicas(state, "gpu-2") == []


def test_a_remote_that_does_not_answer_leaves_all_but_the_heartbeat_done(tmp_path: Path) -> None:
    host = tmp_path / "host"
    url = "ssh://git@127.0.0.1:9/state.git"

    first = _enrol(host, "--node", "gpu-1", "--state-url", url)
    key = host / "etc/miaas/id_ed25519"
    made = key.read_bytes()
    second = _enrol(host)

    assert (first.returncode, second.returncode) == (3, 3)
    assert key.read_bytes() == made
    assert key.stat().st_mode & 0o777 == 0o600
    line = public_key(Settings(node="gpu-1", ssh_key=str(key)))
    assert line.startswith("ssh-ed25519 ")
    assert line.endswith(" miaas-agent-gpu-1")
    assert all(f"\n{line}\n" in done.stdout for done in (first, second))
    assert "FIX   cannot fetch from ssh://127.0.0.1:9/state.git" in first.stdout
    assert "the name and port in state_url" in first.stdout


def test_the_key_comes_with_the_line_that_confines_it(tmp_path: Path) -> None:
    host = tmp_path / "host"

    done = _enrol(host, "--node", "gpu-1", "--state-url", "ssh://git@127.0.0.1:9/srv/state.git")

    line = public_key(Settings(node="gpu-1", ssh_key=str(host / "etc/miaas/id_ed25519")))
    door = "/usr/local/bin/miaas-doorkeeper node gpu-1 /srv/state.git"
    assert f'\nrestrict,command="{door}" {line}\n' in done.stdout
    assert "as good as root on every host" in done.stdout


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (SSH, "/fleet/state.git"),
        ("git@git.example.org:fleet/state.git", "fleet/state.git"),
        ("ssh://git@[2001:db8::1]:22/a.git", "/a.git"),
        ('ssh://git@host/a" b.git', "/PATH/AS/IN/THE/URL.git"),
        ("ssh://git@host/~git/a.git", "/PATH/AS/IN/THE/URL.git"),
    ],
)
def test_the_line_opens_the_repository_of_the_url(url: str, path: str) -> None:
    line = door_line(Settings(node="gpu-1", state_url=url), "ssh-ed25519 AAAA x")

    assert line.partition(" node ")[2] == f'gpu-1 {path}" ssh-ed25519 AAAA x'


def test_a_repository_that_may_only_be_read_is_told(tmp_path: Path, state: Path) -> None:
    hook = state / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho no pushes here >&2\nexit 1\n")
    hook.chmod(0o755)

    done = _enrol(tmp_path / "host", "--node", "gpu-1", "--state-url", str(state))

    assert done.returncode == 3
    assert "no pushes here" in done.stdout
    assert "open to this user" in done.stdout


def test_a_name_is_needed(tmp_path: Path) -> None:
    done = _enrol(tmp_path / "host", "--state-url", "/state.git")

    assert done.returncode == 2
    assert "'node' is not set. Fix: --node" in done.stderr


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (SSH, True),
        ("git@git.example.org:fleet/state.git", True),
        ("https://git.example.org/state.git", False),
        ("file:///srv/state.git", False),
        ("/srv/state.git", False),
        ("/srv/a:b.git", False),
    ],
)
def test_which_remotes_need_a_key(url: str, expected: bool) -> None:
    assert is_ssh(url) is expected


@pytest.mark.parametrize(
    ("url", "why", "fix"),
    [
        pytest.param(SSH, "git@git.example.org: Permission denied (publickey).", "deploy key"),
        pytest.param(SSH, "ERROR: Repository not found.", "deploy key"),
        pytest.param(SSH, "Could not resolve hostname git.example.org", "name and port"),
        pytest.param(
            SSH, "Host key verification failed.", "ssh-keyscan git.example.org > /etc/miaas/known"
        ),
        pytest.param(
            "ssh://git@git.example.org:2222/x",
            "Host key verification failed.",
            "ssh-keyscan -p 2222 git.example.org >",
        ),
        pytest.param(
            "git@git.example.org:x", "No ED25519 host key is known", "ssh-keyscan git.example.org"
        ),
        pytest.param("/srv/state.git", "does not appear to be a git repository", "is there"),
    ],
)
def test_each_refusal_has_its_fix(url: str, why: str, fix: str) -> None:
    settings = with_defaults(Settings(node="gpu-1", state_url=url), Path("/"))

    assert fix in access_fix(settings, why)
