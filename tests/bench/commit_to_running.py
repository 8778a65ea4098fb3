"""From a commit to a running container: MIaaS beside the loop that people write in a shell."""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Callable, Sequence

from examples.tour.repository import FleetRepository
from examples.tour.services import Service, start
from examples.tour.world import IMAGE
from tests.bench.field import SERVICE, Field, deploy, field, runs, settled

ROUNDS = 7
BOUND_SECONDS = 60.0
LOOP = """\
cd "$1"
while :; do
    git fetch -q && git reset -q --hard origin/main && docker compose -p loop up -d 2>/dev/null
done
"""


def measure() -> dict[str, float]:
    """Run both in turn, the other one stopped meanwhile, and give the median ratio."""
    with field() as here:
        loop, push_loop = _shell_loop(here)
        _pause([loop])
        fleet = [
            here.stage.start_reconciler(),
            *map(here.stage.start_agent, here.stage.world.hosts),
        ]
        deploy(here.stage, "0")
        settled(here.stage)
        _pause(fleet)
        ratios, seconds = [], []
        for number in range(1, ROUNDS + 1):
            theirs = _timed(here, [loop], f"loop-{number}", push_loop)
            ours = _timed(here, fleet, f"miaas-{number}", lambda v: deploy(here.stage, v))
            print(f"  round {number}: shell loop {theirs:.2f} s, miaas {ours:.2f} s", flush=True)
            ratios.append(ours / theirs)
            seconds.append(ours)
        _resume([loop, *fleet])
    return {
        "commit_to_running_ratio": round(statistics.median(ratios), 3),
        "commit_to_running_s": round(statistics.median(seconds), 3),
    }


def _shell_loop(here: Field) -> tuple[Service, Callable[[str], None]]:
    """Start the loop on a repository of its own; give it and how to push a version to it."""
    repository = FleetRepository(here.base / "loop.git", here.base / "loop")
    repository.create()
    running = here.base / "loop-running"

    def push(version: str) -> None:
        repository.put("compose.yaml", SERVICE % (IMAGE, f'"{version}"', f'"{version}"'))
        repository.commit(version)

    push("loop-0")
    FleetRepository(repository.bare, running).clone_again()
    environment = {**here.engine.environment(), "PATH": os.environ["PATH"]}
    command = ("bash", "-c", LOOP, "loop", str(running))
    service = start("loop", command, here.base / "run", environment)
    _until(lambda: runs(here.engine, "loop-0"))
    return service, push


def _timed(
    here: Field, programs: Sequence[Service], version: str, push: Callable[[str], None]
) -> float:
    """Seconds from the return of the push until the version runs."""
    _resume(programs)
    _rest(1.0)
    push(version)
    begun = time.monotonic()
    _until(lambda: runs(here.engine, version))
    seconds = time.monotonic() - begun
    _rest(1.5)  # let a reconciler and an agent finish what follows, so that a pause tears nothing
    _pause(programs)
    return seconds


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + BOUND_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"not within {BOUND_SECONDS:.0f} s")
        time.sleep(0.01)


def _rest(seconds: float) -> None:
    time.sleep(seconds)


def _pause(programs: Sequence[Service]) -> None:
    for program in programs:
        os.killpg(program.pid, signal.SIGSTOP)


def _resume(programs: Sequence[Service]) -> None:
    for program in programs:
        os.killpg(program.pid, signal.SIGCONT)


if __name__ == "__main__":
    print(measure())
