"""From a commit to a running container: MIaaS beside the loop that people write in a shell.

And beside two programs that people use for this today, where they can be installed from PyPI.
"""

from __future__ import annotations

import os
import shlex
import signal
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.tour.repository import FleetRepository
from examples.tour.services import Service, start
from examples.tour.world import IMAGE
from tests.bench.field import SERVICE, Field, deploy, field, runs, settled
from tests.bench.peers import install

ROUNDS = 7
BOUND_SECONDS = 120.0
SHELL = "cd {folder} && git fetch -q && git reset -q --hard origin/main && {compose} 2>/dev/null"
COMPOSE = "docker compose -p {name} up -d"
HARBORMASTER = "{bin}/harbormaster run --config {folder}/../harbor.yml --working-dir {folder}"
ANSIBLE = (
    "{bin}/ansible-pull --only-if-changed -U {url} -C main -d {folder} -i localhost,"
    " -e ansible_python_interpreter={bin}/python local.yml"
)
PLAYBOOK = """\
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.command: docker compose -p ansible up -d
      args: {chdir: "{{ playbook_dir }}"}
"""


@dataclass(frozen=True, slots=True)
class Runner:
    """Programs that follow a repository, and how to push a version of the service to it."""

    name: str
    programs: tuple[Service, ...]
    push: Callable[[str], None]


def measure() -> dict[str, float]:
    """Run all in turn, the others stopped meanwhile; the median of each one's ratio to the loop."""
    with field() as here:
        peers = install()
        runners = [_shell_loop(here), _miaas(here), *_peers(here, peers)]
        times: dict[str, list[float]] = {runner.name: [] for runner in runners}
        for number in range(1, ROUNDS + 1):
            for runner in runners:
                times[runner.name].append(_timed(here, runner, f"{runner.name}-{number}"))
            shown = ", ".join(f"{name} {seconds[-1]:.2f} s" for name, seconds in times.items())
            print(f"  round {number}: {shown}", flush=True)
        for runner in runners:
            _signal(runner, signal.SIGCONT)
    return _figures(times)


def _figures(times: dict[str, list[float]]) -> dict[str, float]:
    def ratio(name: str) -> float:
        pairs = zip(times[name], times["shell"], strict=True)
        return round(statistics.median(ours / theirs for ours, theirs in pairs), 3)

    figures = {
        "commit_to_running_ratio": ratio("miaas"),
        "commit_to_running_s": round(statistics.median(times["miaas"]), 3),
    }
    if "harbormaster" in times:
        figures["harbormaster_ratio"] = ratio("harbormaster")
        figures["ansible_pull_ratio"] = ratio("ansible")
    return figures


def _miaas(here: Field) -> Runner:
    """A reconciler and an agent, both in `run` mode."""
    agents = map(here.stage.start_agent, here.stage.world.hosts)
    programs = (here.stage.start_reconciler(), *agents)
    deploy(here.stage, "miaas-0")
    settled(here.stage)
    return _paused(Runner("miaas", programs, lambda version: deploy(here.stage, version)))


def _shell_loop(here: Field) -> Runner:
    compose = COMPOSE.format(name="shell")
    return _follower(here, "shell", lambda folder, _: SHELL.format(folder=folder, compose=compose))


def _peers(here: Field, installed: Path | None) -> list[Runner]:
    if installed is None:
        return []

    def harbor(folder: str, url: str) -> str:
        config = f"apps: {{bench: {{url: {url}, branch: main}}}}\n"
        (here.base / "harbor.yml").write_text(config, encoding="utf-8")
        return HARBORMASTER.format(bin=installed, folder=folder)

    def ansible(folder: str, url: str) -> str:
        return ANSIBLE.format(bin=installed, folder=folder, url=url)

    return [_follower(here, "harbormaster", harbor), _follower(here, "ansible", ansible)]


def _follower(here: Field, name: str, command: Callable[[str, str], str]) -> Runner:
    """Run a command over and over that follows a repository of plain compose files."""
    repository = FleetRepository(here.base / f"{name}.git", here.base / name)
    repository.create()
    repository.put("local.yml", PLAYBOOK)

    def push(version: str) -> None:
        quoted = f'"{version}"'
        repository.put("compose.yaml", SERVICE % (IMAGE, quoted, quoted))
        repository.commit(version)

    push(f"{name}-0")
    folder = here.base / f"{name}-follows"
    if name == "shell":
        FleetRepository(repository.bare, folder).clone_again()
    folder.mkdir(exist_ok=True)
    words = command(shlex.quote(str(folder)), shlex.quote(str(repository.bare)))
    environment = {
        **here.engine.environment(),
        "PATH": os.environ["PATH"],
        "HOME": str(here.base),
        "LC_ALL": "C.UTF-8",
    }
    loop = ("bash", "-c", f"while :; do {words}; done")
    runner = Runner(name, (start(name, loop, here.base / "run", environment),), push)
    _until(lambda: runs(here.engine, f"{name}-0"))
    return _paused(runner)


def _timed(here: Field, runner: Runner, version: str) -> float:
    """Seconds from the return of the push until the version runs."""
    _signal(runner, signal.SIGCONT)
    time.sleep(1.0)
    runner.push(version)
    begun = time.monotonic()
    _until(lambda: runs(here.engine, version))
    seconds = time.monotonic() - begun
    _paused(runner)
    return seconds


def _paused(runner: Runner) -> Runner:
    """Stop a runner where it stands, after it had time to finish what follows a start."""
    time.sleep(1.5)
    _signal(runner, signal.SIGSTOP)
    return runner


def _signal(runner: Runner, number: signal.Signals) -> None:
    programs: Sequence[Service] = runner.programs
    for program in programs:
        os.killpg(program.pid, number)


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + BOUND_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"not within {BOUND_SECONDS:.0f} s")
        time.sleep(0.01)


if __name__ == "__main__":
    print(measure())
