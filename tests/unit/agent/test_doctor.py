"""The doctor finds what is missing, and says how to mend it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.doctor import CHECKS, Finding, Patient, as_json, as_text, examine, gives_gpus
from agent.runtime.simulated import SimulatedRuntime
from agent.settings import Settings
from fleet.memory import Line, MemoryRepository, MemoryServer
from fleet.port import RejectedError, UnreachableError
from fleet.rehearsal import Answer, Guard


def _examined(folder: Path, **settings: str) -> dict[str, Finding]:
    repository = MemoryRepository(MemoryServer())
    is_refused = bool(settings.pop("refused", ""))
    if settings.pop("cut", ""):
        repository.line = Line.DOWN
    told = {"node": "alpha", "state_dir": str(folder / "state"), **settings}

    def rehearse() -> None:
        if is_refused:
            raise RejectedError("the remote would refuse: read only")

    patient = Patient(
        settings=Settings(**told),
        runtime=SimulatedRuntime(),
        repository=repository,
        rehearse=rehearse,
        root=folder,
    )
    findings = examine(patient)
    assert [finding.check for finding in findings] == list(CHECKS)
    return {finding.check: finding for finding in findings}


def test_a_node_without_an_assignment_needs_a_record(tmp_path: Path) -> None:
    found = _examined(tmp_path, runtime="simulated")

    assert found["assignment"].fix == "add nodes/alpha.yaml to the fleet repository"
    assert found["state folder"].fix == ""


def test_a_remote_that_does_not_answer_is_a_finding(tmp_path: Path) -> None:
    found = _examined(tmp_path, runtime="simulated", cut="yes")

    assert found["assignment"].fix == "check state_url, the network, and the key that git uses"


def test_docker_that_does_not_run_is_a_finding_and_hides_no_other(tmp_path: Path) -> None:
    found = _examined(tmp_path, docker_host=f"unix://{tmp_path}/nobody")

    assert "does not exist" in found["docker"].found
    assert found["docker"].fix.startswith("start Docker")
    assert found["disk"].fix == "start Docker"
    assert found["state folder"].fix == ""


def test_a_docker_elsewhere_is_a_finding(tmp_path: Path) -> None:
    found = _examined(tmp_path, docker_host="tcp://10.0.0.1:2375")

    assert "drives only the engine of its own host" in found["docker"].found


def test_a_state_folder_that_cannot_be_made_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")

    assert _examined(tmp_path, runtime="simulated")["state folder"].fix


@pytest.mark.parametrize(
    ("guard", "is_mended"),
    [(Guard.HELD, True), (Guard.UNKNOWN, True), (Guard.OPEN, False)],
)
def test_a_key_that_writes_what_others_run_is_a_finding(guard: Guard, is_mended: bool) -> None:
    found, fix = CHECKS["rules"](_asking(lambda: Answer(guard, "so said the server")))

    assert (fix == "") is is_mended
    assert ("so said the server" in found) is (guard is Guard.UNKNOWN)


def test_a_remote_that_does_not_say_its_rules_is_a_finding() -> None:
    def answer() -> Answer:
        raise UnreachableError("no line")

    assert CHECKS["rules"](_asking(answer))[0] == "no line"


def _asking(answer: Callable[[], Answer]) -> Patient:
    return Patient(
        settings=Settings(node="alpha"),
        runtime=SimulatedRuntime(),
        repository=MemoryRepository(MemoryServer()),
        ask_rules=answer,
    )


def test_a_remote_that_takes_no_push_is_a_finding(tmp_path: Path) -> None:
    found = _examined(tmp_path, runtime="simulated", refused="yes")

    assert found["push"].found.endswith("read only")
    assert "deploy key that may push" in found["push"].fix
    assert found["assignment"].found.startswith("the remote answers")


@pytest.mark.parametrize(
    ("mode", "fix"),
    [
        pytest.param(0o600, "", id="for nobody else"),
        pytest.param(0o640, "chmod 600 ", id="for a group"),
        pytest.param(0o604, "chmod 600 ", id="for all"),
    ],
)
def test_a_key_that_others_can_read_is_a_finding(tmp_path: Path, mode: int, fix: str) -> None:
    key = tmp_path / "key"
    key.write_text("x")
    key.chmod(mode)

    found = _examined(tmp_path, runtime="simulated", ssh_key=str(key))["secrets"]

    assert found.fix == (fix and f"{fix}{key}")


def test_a_key_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    found = _examined(tmp_path, runtime="simulated", ssh_key=f"{tmp_path}/key")["secrets"]

    assert found.fix == "write it, or run `miaas-agent enrol`"


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        pytest.param({"Runtimes": {"runc": {}, "nvidia": {}}}, True, id="runtime"),
        pytest.param({"DiscoveredDevices": [{"ID": "nvidia.com/gpu=0"}]}, True, id="CDI"),
        pytest.param({"Runtimes": {"runc": {}}, "DiscoveredDevices": None}, False, id="neither"),
        pytest.param({}, False, id="nothing said"),
    ],
)
def test_how_docker_hands_gpus_out(info: dict[str, object], expected: bool) -> None:
    assert gives_gpus(info) is expected


def test_gpus_that_docker_cannot_hand_out_wait_for_docker(tmp_path: Path) -> None:
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    (tmp_path / "proc/driver/nvidia/version").write_text("NVRM")

    found = _examined(tmp_path, docker_host=f"unix://{tmp_path}/nobody")

    assert found["gpus"].fix == "start Docker"


def test_findings_for_machines() -> None:
    findings = (Finding(check="disk", found="full", fix="x"),)

    assert json.loads(as_json(findings)) == [{"check": "disk", "found": "full", "fix": "x"}]


def test_each_fix_stands_below_what_was_found() -> None:
    findings = (Finding(check="git", found="here"), Finding(check="disk", found="full", fix="x"))

    assert as_text(findings).splitlines() == [
        "ok   git          here",
        "FIX  disk         full",
        "                  x",
    ]
