"""`miaas-reconciler` on real bare repositories: what it writes, says and returns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import reconciler
from fleet.git_repo import open_repository
from reconciler.cli.codes import Code
from reconciler.cli.service import main
from schemas.heartbeat import dump_heartbeat
from schemas.layout import ASSIGNMENTS_REF, HEARTBEAT_FILE, LEADER_FILE, LEADER_REF, heartbeat_ref
from schemas.leader import Leader, dump_leader, parse_leader
from schemas.names import CommitId, NodeName
from tests.builders import A_MOMENT, a_heartbeat
from tests.unit.reconciler.world import a_small_fleet, deployment

ELECTING = a_small_fleet()["fleet.yaml"] + "spec: {leader: {lease: 60s}}\n"


class Bare:
    """A real bare repository, and a person and agents who push to it."""

    def __init__(self, folder: Path) -> None:
        self.url = str(folder / "fleet.git")
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", self.url], check=True)
        self.client = open_repository(self.url, folder / "client")

    def commit(self, files: dict[str, str]) -> None:
        tree = self.client.write(None, {path: text.encode() for path, text in files.items()})
        parent = self.tip("refs/heads/main")
        made = self.client.commit(tree, parent=parent, message="a change", at=A_MOMENT)
        self.client.push_own("refs/heads/main", made)

    def beat(self, name: str) -> None:
        text = dump_heartbeat(a_heartbeat(name)).encode()
        tree = self.client.write(None, {HEARTBEAT_FILE: text})
        made = self.client.commit(tree, parent=None, message="heartbeat", at=A_MOMENT)
        self.client.push_own(heartbeat_ref(NodeName(name)), made)

    def tip(self, ref: str = ASSIGNMENTS_REF) -> CommitId | None:
        return self.client.fetch(ref).get(ref)

    def spoil(self, path: str, text: str) -> CommitId:
        """Write into the decision as somebody who must not."""
        tip = self.tip()
        assert tip is not None
        tree = self.client.write(self.client.tree(tip).id, {path: text.encode()})
        made = self.client.commit(tree, parent=tip, message="bad", at=A_MOMENT)
        self.client.push_own(ASSIGNMENTS_REF, made)
        return made

    def leader(self) -> Leader:
        tip = self.tip(LEADER_REF)
        assert tip is not None
        (file,) = self.client.tree(tip).files.values()
        return parse_leader(self.client.read([file.blob])[file.blob].decode(), path=LEADER_REF)

    def lead(self, name: str) -> None:
        lease = Leader(holder=name, term=7, sequence=1, lease_seconds=60, since=A_MOMENT)
        tree = self.client.write(None, {LEADER_FILE: dump_leader(lease).encode()})
        made = self.client.commit(tree, parent=None, message="leads", at=A_MOMENT)
        self.client.push_own(LEADER_REF, made)

    def tree(self) -> set[str]:
        tip = self.tip()
        return set(self.client.tree(tip).files) if tip else set()


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Bare]:
    made = Bare(tmp_path)
    made.commit(a_small_fleet())
    made.beat("alpha")
    yield made
    made.client.close()


def once(bare: Bare, tmp_path: Path, *more: str) -> int:
    return main(["once", "--desired", bare.url, "--state-dir", str(tmp_path / "state"), *more])


def test_one_pass_publishes_and_a_second_does_not(bare: Bare, tmp_path: Path) -> None:
    assert once(bare, tmp_path) == Code.FINE
    first = bare.tip()

    assert once(bare, tmp_path) == Code.FINE
    assert bare.tip() == first
    assert "nodes/alpha/chat-0/compose.yaml" in bare.tree()
    assert (tmp_path / "state" / "memory.json").exists()


def test_problems_are_printed_and_returned(
    bare: Bare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare.commit({**a_small_fleet(), "deployments/bad.yaml": deployment("bad", template="wbe")})

    assert once(bare, tmp_path) == Code.PROBLEMS
    assert capsys.readouterr().out == (
        "deployments/bad.yaml:5:13: there is no template 'wbe'. Fix: did you mean 'web'?\n"
    )


@pytest.mark.parametrize(
    ("path", "text", "what"),
    [
        pytest.param(
            "decision.json",
            '{"x": 1}',
            "decision.json (commit {}): apiVersion is missing; kind is missing; x is not known.",
            id="decision",
        ),
        pytest.param(
            "nodes/alpha/assignment.json",
            "[",
            "nodes/alpha/assignment.json:1:2 (commit {}): this is not JSON: Expecting value.",
            id="assignment",
        ),
    ],
)
def test_what_somebody_else_wrote_names_the_commit_and_what_takes_it_back(  # noqa: PLR0913, PLR0917 - fixtures
    path: str,
    text: str,
    what: str,
    bare: Bare,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert once(bare, tmp_path) == Code.FINE
    before = bare.tree()
    commit = bare.spoil(path, text)[:12]
    capsys.readouterr()

    assert once(bare, tmp_path) == Code.PROBLEMS
    told = capsys.readouterr().err
    assert told.startswith(f"miaas-reconciler: assignments:{what.format(commit)} Fix: ")
    command = told[told.index("git fetch origin") :]
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", bare.url, clone], check=True)
    person = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    for one in command.strip().split(" && "):
        words = ["git", *person, *one.split()[1:]]
        subprocess.run(words, cwd=clone, check=True, capture_output=True)

    assert once(bare, tmp_path) == Code.FINE
    assert bare.tree() == before


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        pytest.param(["once"], Code.USAGE, "Give --desired", id="no url"),
        pytest.param(
            ["once", "--desired", "/no/such/place"],
            Code.WORLD,
            "/no/such/place",
            id="nothing there",
        ),
        pytest.param(
            ["once", "--desired", "ext::sh -c id"], Code.WORLD, "ext::", id="a url that runs things"
        ),
    ],
)
def test_what_cannot_be_done_says_why(  # noqa: PLR0913, PLR0917 - fixtures
    arguments: list[str],
    code: Code,
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("MIAAS_DESIRED", "MIAAS_STATE"):
        monkeypatch.delenv(name, raising=False)

    assert main([*arguments, "--state-dir", str(tmp_path)]) == code
    assert told in capsys.readouterr().err


def test_a_missing_branch_publishes_nothing(
    bare: Bare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert once(bare, tmp_path, "--branch", "release") == Code.WORLD
    assert "no branch release" in capsys.readouterr().err
    assert bare.tip() is None


def test_the_environment_says_what_options_do_not(
    bare: Bare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIAAS_DESIRED", bare.url)
    monkeypatch.setenv("MIAAS_STATE_DIR", str(tmp_path / "state"))

    assert main(["once"]) == Code.FINE
    assert bare.tip() is not None


def test_state_may_be_another_repository(bare: Bare, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    state = Bare(tmp_path / "other")
    state.beat("beta")

    assert once(bare, tmp_path, "--state", state.url) == Code.FINE
    assert bare.tip() is None
    assert "nodes/beta/chat-0/compose.yaml" in state.tree()
    state.client.close()


def test_a_pass_of_its_own_leaves_the_lease_free_for_the_next(
    bare: Bare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare.commit({**a_small_fleet(), "fleet.yaml": ELECTING})
    assert once(bare, tmp_path, "--name", "one") == Code.FINE
    assert (bare.leader().holder, bare.leader().released) == ("one", True)
    more = {"deployments/more.yaml": deployment("more")}
    bare.commit({**a_small_fleet(), **more, "fleet.yaml": ELECTING})

    assert once(bare, tmp_path, "--name", "two") == Code.FINE

    assert "nodes/alpha/more-0/compose.yaml" in bare.tree()
    assert (bare.leader().holder, bare.leader().term) == ("two", 2)
    lease = bare.tip(LEADER_REF)
    assert once(bare, tmp_path, "--name", "three") == Code.FINE
    assert bare.tip(LEADER_REF) == lease, "there was nothing to decide"
    assert "another leads" not in capsys.readouterr().err


def test_a_pass_beside_a_leader_says_that_something_is_left_to_it(
    bare: Bare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare.commit({**a_small_fleet(), "fleet.yaml": ELECTING})
    assert once(bare, tmp_path) == Code.FINE
    before = bare.tip()
    bare.lead("one")

    assert once(bare, tmp_path) == Code.FINE
    assert "another leads leader=one left=False" in capsys.readouterr().err
    more = {"deployments/more.yaml": deployment("more")}
    bare.commit({**a_small_fleet(), **more, "fleet.yaml": ELECTING})

    assert once(bare, tmp_path) == Code.PENDING
    assert "another leads leader=one left=True" in capsys.readouterr().err
    assert bare.tip() == before


def test_a_pass_beside_a_leader_that_is_dead_decides_once_its_lease_is_over(
    bare: Bare, tmp_path: Path
) -> None:
    bare.commit({**a_small_fleet(), "fleet.yaml": ELECTING})
    bare.lead("one")
    assert once(bare, tmp_path) == Code.PENDING
    kept = tmp_path / "state" / "standing.json"
    before = json.loads(kept.read_text())

    kept.write_text(json.dumps({**before, "moved": before["moved"] - 30}))
    assert once(bare, tmp_path) == Code.PENDING
    kept.write_text(json.dumps({**before, "moved": before["moved"] - 60}))

    assert once(bare, tmp_path) == Code.FINE
    assert "nodes/alpha/chat-0/compose.yaml" in bare.tree()
    assert (bare.leader().term, bare.leader().released) == (8, True)


def test_a_rewind_is_known_again_by_a_new_start(
    bare: Bare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["once", "--desired", bare.url, "--state-dir"]
    first = bare.tip("refs/heads/main")
    assert first is not None
    bare.commit({**a_small_fleet(), "README.md": "words"})
    assert main([*words, str(tmp_path / "kept")]) == Code.FINE
    bare.client.push_own("refs/heads/main", first)

    assert main([*words, str(tmp_path / "kept")]) == Code.PROBLEMS
    assert main([*words, str(tmp_path / "new")]) == Code.PROBLEMS

    assert capsys.readouterr().out.count(f"the branch is at {first}, which does not follow") == 2


def test_the_service_hears_of_a_push_decides_and_ends_when_asked(
    bare: Bare, tmp_path: Path
) -> None:
    with running(bare, tmp_path) as service:
        until(lambda: "nodes/alpha/chat-0/compose.yaml" in bare.tree())
        bare.commit({**a_small_fleet(), "deployments/web.yaml": deployment("web")})
        # Far below the time between two polls: it was heard, not found.
        until(lambda: "nodes/alpha/web-0/compose.yaml" in bare.tree(), seconds=10)
        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=20) == Code.FINE

    lines = said(tmp_path).splitlines()
    assert lines[0] == "info reconciler.cli.service started branch=main"
    assert len([line for line in lines if "decision published" in line]) == 2
    assert lines[-1] == "info reconciler.cli.service stopped"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_leader_whose_git_is_ended_with_it_hands_the_lease_back(
    bare: Bare, tmp_path: Path, number: signal.Signals
) -> None:
    bare.commit({**a_small_fleet(), "fleet.yaml": ELECTING})
    with running(bare, tmp_path) as service:
        until(lambda: "decision published" in said(tmp_path))
        os.killpg(service.pid, number)
        service.wait(timeout=20)

    assert "handed the lease back" in said(tmp_path)
    assert bare.leader().released


@contextmanager
def running(bare: Bare, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A service in a process group of its own, as systemd and a shell start one."""
    root = str(Path(reconciler.__file__).parent.parent)
    command = "import sys; from reconciler.cli.service import main; sys.exit(main(sys.argv[1:]))"
    words = ("run", "--desired", bare.url, "--state-dir", tmp_path / "s")
    with (tmp_path / "said").open("wb") as log:
        service = subprocess.Popen(
            [sys.executable, "-c", command, *words],
            env={"PYTHONPATH": root, "PATH": os.defpath},
            stderr=log,
            start_new_session=True,
        )
    try:
        yield service
    finally:
        service.kill()
        service.wait()


def said(tmp_path: Path) -> str:
    return (tmp_path / "said").read_text()


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for a condition, within bounds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)  # noqa: TID251 - this is the bounded wait
