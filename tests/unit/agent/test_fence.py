"""`miaas-agent fence` over an engine that writes down what it is told."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent import fence
from agent.fenced import record
from agent.lease import Lease, lease_to_json
from agent.notebook import Notebook
from agent.runtime import kernel, light
from agent.runtime.port import Container
from agent.settings import Settings
from agent.shelf import Shelf
from schemas.assignment import Fence
from schemas.fencing import STOP_TIME
from schemas.layout import LABEL_NODE, LABEL_REPLICA, LABEL_STOP_AFTER

BOOT, NOW = "boot-1", 1000.0
PROGRAM = """
import sys
from agent.cli import main
code = main(["fence", *sys.argv[1:]])
heavy = {"agent.commands", "git", "python_on_whales", "dataclasses", "logging", "schemas"}
print(code, sorted(heavy & set(sys.modules)))
"""


class Engine:
    """Lists containers, and does as told; `answers` says what else it answers, by the path."""

    def __init__(self, path: Path, containers: list[dict[str, Any]]) -> None:
        self.containers = containers
        self.answers: dict[str, int] = {}
        self.told: list[str] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(16)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            with link:
                method, target = link.recv(65536).decode().split(" ")[:2]
                if method == "GET":
                    status, body = self.answers.get("list", 200), json.dumps(self.containers)
                else:
                    self.told.append(target)
                    status, body = self.answers.get(target, 204), ""
                link.sendall(f"HTTP/1.0 {status} x\r\n\r\n{body}".encode())


def a_container(number: int, stop_after: str) -> dict[str, Any]:
    labels = {LABEL_NODE: "alpha", LABEL_REPLICA: "only-0", LABEL_STOP_AFTER: stop_after}
    return {"Id": f"{number:012x}", "Labels": labels}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(tmp_path / "s", [a_container(1, "60"), a_container(2, "120")])
    yield made
    made.close()


def _enforce(tmp_path: Path, **more: str) -> int:
    words = {"docker_host": f"unix://{tmp_path}/s", "state_dir": str(tmp_path), **more}
    settings = Settings(node="alpha", state_url="/x", **words)
    return fence.enforce(settings, boot=BOOT, boottime=lambda: NOW)


def _lease(tmp_path: Path, age: float, **fields: Any) -> None:
    lease = Lease(boot=BOOT, incarnation="x", renewed=NOW - age, own=True, told=NOW)
    value: Mapping[str, Any] = {**lease_to_json(lease), **fields}
    (tmp_path / "lease.json").write_text(json.dumps(value))


STOP_1, STOP_2 = (f"/containers/{number:012x}/stop?t=20" for number in (1, 2))


@pytest.mark.parametrize(
    ("age", "told"),
    [
        pytest.param(59.9, [], id="young"),
        pytest.param(60.0, [STOP_1], id="exact"),
        pytest.param(89.9, [STOP_1], id="one of two"),
        pytest.param(90.0, [STOP_1, STOP_2], id="the other while the first stops"),
        pytest.param(120.0, [STOP_1, STOP_2], id="both"),
    ],
)
def test_stops_what_is_over(tmp_path: Path, engine: Engine, age: float, told: list[str]) -> None:
    _lease(tmp_path, age)

    assert _enforce(tmp_path) == fence.FINE
    assert sorted(engine.told) == told


@pytest.mark.parametrize("kind", ["missing", "damaged", "of another boot", "from the future"])
def test_a_lease_that_says_nothing_is_over(tmp_path: Path, engine: Engine, kind: str) -> None:
    match kind:
        case "damaged":
            (tmp_path / "lease.json").write_bytes(b"\xff{")
        case "of another boot":
            _lease(tmp_path, 1, boot="boot-0")
        case "from the future":
            _lease(tmp_path, -1)

    assert _enforce(tmp_path) == fence.FINE
    assert sorted(engine.told) == [STOP_1, STOP_2]


def test_a_label_that_nobody_can_read_means_at_once(tmp_path: Path, engine: Engine) -> None:
    engine.containers = [a_container(1, "soon")]
    _lease(tmp_path, 0)

    _enforce(tmp_path)

    assert engine.told == [STOP_1]


@pytest.mark.usefixtures("engine")
def test_says_what_it_stopped_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _lease(tmp_path, 61)

    _enforce(tmp_path)

    assert capsys.readouterr().err == (
        "warning agent.fence stopped replica=only-0 container=000000000001 "
        "stop_after_seconds=60 lease_age_seconds=61\n"
    )


def test_what_does_not_stop_is_killed_and_what_is_not_killed_is_told(
    tmp_path: Path, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    kill = "/containers/000000000001/kill"
    engine.answers = {STOP_1: 500, kill: 500}
    _lease(tmp_path, 61)

    assert _enforce(tmp_path) == fence.REFUSED

    assert engine.told == [STOP_1, kill]
    assert "error agent.fence not stopped replica=only-0" in capsys.readouterr().err


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], float]]:
    """What was ended without Docker, and how long each could end by itself. All of it runs."""
    told: list[tuple[list[str], float]] = []

    def end_all(containers: list[str], grace: float = 15.0) -> dict[str, str]:
        told.append((sorted(containers), grace))
        return {}

    monkeypatch.setattr(kernel, "running", lambda containers: containers)
    monkeypatch.setattr(kernel, "end_all", end_all)
    return told


def test_what_docker_does_not_even_kill_is_ended_without_it(
    tmp_path: Path, engine: Engine, ended: list[tuple[list[str], float]]
) -> None:
    engine.answers = {STOP_1: 500, "/containers/000000000001/kill": 500}
    _lease(tmp_path, 61)

    assert _enforce(tmp_path) == fence.FINE
    assert ended == [(["000000000001"], 0.0)]


@pytest.mark.parametrize("trouble", ["refuses", "is away"])
def test_without_docker_what_was_seen_last_is_ended_when_it_is_over(
    tmp_path: Path,
    engine: Engine,
    trouble: str,
    ended: list[tuple[list[str], float]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    _lease(tmp_path, 1)
    assert _enforce(tmp_path) == fence.FINE
    away = f"unix://{tmp_path}/nowhere" if trouble == "is away" else f"unix://{tmp_path}/s"
    engine.answers["list"] = 500

    _lease(tmp_path, 59)
    assert _enforce(tmp_path, docker_host=away) == fence.REFUSED
    assert ended == [([], 15.0)]
    _lease(tmp_path, 61)
    assert _enforce(tmp_path, docker_host=away) == fence.REFUSED

    assert ended[1:] == [(["000000000001"], 15.0)]
    assert "warning agent.fence stopped replica=only-0" in capsys.readouterr().err


def test_what_the_agent_saw_after_a_start_is_known_too(
    tmp_path: Path, ended: list[tuple[list[str], float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = Notebook(Shelf(tmp_path), BOOT)
    shorter = Fence(incarnation="x", epoch=1, stop_after_seconds=60)
    monkeypatch.setattr(notebook, "fences", lambda: {"late-0": shorter})
    fenced = Container(
        id="e" * 64,
        project="miaas-alpha-only-0",
        replica="only-0",
        deployment="only",
        service="web",
        image="example.org/web:1",
        state="running",
        stop_after=60,
    )
    notebook.keep_fenced([replace(fenced, stop_after=None)])
    assert not (tmp_path / fence.FENCED_FILE).exists()
    late = replace(fenced, id="a" * 64, replica="late-0", stop_after=None)
    longer = replace(late, id="b" * 64, stop_after=3600)
    ended_itself = replace(fenced, id="f" * 64, state="exited")
    notebook.keep_fenced([fenced, ended_itself, late, longer])
    _lease(tmp_path, 61)

    assert _enforce(tmp_path) == fence.REFUSED
    assert ended == [(sorted((fenced.id, late.id, longer.id)), 15.0)]


@pytest.mark.parametrize("text", ["", "{", "7", "null", "[7]", '[{"Id": "x"}]', '[{"Labels": {}}]'])
def test_a_damaged_note_tells_of_nothing(
    tmp_path: Path, text: str, ended: list[tuple[list[str], float]]
) -> None:
    (tmp_path / fence.FENCED_FILE).write_text(text)

    assert _enforce(tmp_path) == fence.REFUSED
    assert ended == [([], 15.0)]


def test_the_shorter_limit_counts_and_what_has_no_label_is_known_too(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was fenced while it ran, or its limit was made shorter, and it was not made anew yet."""
    bare, longer = "b" * 64, f"{2:012x}"
    monkeypatch.setattr(kernel, "running", lambda names: [one for one in names if one == bare])
    told = [(bare, "only-0", "40"), (longer, "only-1", "40"), ("c" * 64, "gone-0", "40")]
    entries = [
        {"Id": name, "Labels": {LABEL_REPLICA: one, LABEL_STOP_AFTER: limit}}
        for name, one, limit in told
    ]
    (tmp_path / fence.FENCED_FILE).write_text(record(entries))
    engine.containers = [a_container(2, "3600")]
    _lease(tmp_path, 41)

    assert _enforce(tmp_path) == fence.FINE
    assert sorted(engine.told) == [STOP_2, f"/containers/{bare}/stop?t=20"]


def test_a_note_that_cannot_be_written_is_told_and_stops_nothing_else(
    tmp_path: Path, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / f"{fence.SEEN_FILE}.part").mkdir()
    _lease(tmp_path, 61)

    assert _enforce(tmp_path) == fence.FINE
    assert engine.told == [STOP_1]
    assert "error agent.fence cannot write down what runs" in capsys.readouterr().err


@pytest.mark.parametrize("trouble", ["refuses", "is away"])
def test_an_engine_that_does_not_answer_is_told(
    tmp_path: Path, engine: Engine, trouble: str, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.answers["list"] = 500
    socket_name = "s" if trouble == "refuses" else "nowhere"

    code = _enforce(tmp_path, docker_host=f"unix://{tmp_path}/{socket_name}")

    assert (code, engine.told) == (fence.REFUSED, [])
    assert capsys.readouterr().err.startswith("error agent.fence docker")


def test_what_only_pretends_to_run_needs_no_fence(tmp_path: Path, engine: Engine) -> None:
    assert _enforce(tmp_path, runtime="simulated") == fence.FINE
    assert engine.told == []


def test_it_loads_next_to_nothing(tmp_path: Path, engine: Engine) -> None:
    words = ("--node", "alpha", "--state-url", "/x", "--state-dir", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words, "--docker-host", f"unix://{tmp_path}/s"],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )

    assert done.stdout == "0 []\n"
    assert len(engine.told) == 2


def test_the_names_are_those_of_the_documents() -> None:
    """It imports none of these, to stay light."""
    assert (fence.LABEL_NODE, fence.LABEL_REPLICA, fence.LABEL_STOP_AFTER) == (
        LABEL_NODE,
        LABEL_REPLICA,
        LABEL_STOP_AFTER,
    )


def test_stopping_takes_no_longer_than_the_arithmetic_allows() -> None:
    assert light.GRACE_SECONDS < light.STOP_SECONDS
    assert STOP_TIME.total_seconds() > light.STOP_SECONDS + light.KILL_SECONDS
