"""The doctor finds what is missing, and says how to mend it."""

from __future__ import annotations

from pathlib import Path

from agent.doctor import CHECKS, Finding, Patient, as_text, examine
from agent.runtime.simulated import SimulatedRuntime
from agent.settings import Settings
from fleet.memory import Line, MemoryRepository, MemoryServer


def _examined(folder: Path, **settings: str) -> dict[str, Finding]:
    repository = MemoryRepository(MemoryServer())
    if settings.pop("cut", ""):
        repository.line = Line.DOWN
    told = {"node": "alpha", "state_dir": str(folder / "state"), **settings}
    patient = Patient(settings=Settings(**told), runtime=SimulatedRuntime(), repository=repository)
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


def test_each_fix_stands_below_what_was_found() -> None:
    findings = (Finding(check="git", found="here"), Finding(check="disk", found="full", fix="x"))

    assert as_text(findings).splitlines() == [
        "ok   git          here",
        "FIX  disk         full",
        "                  x",
    ]
