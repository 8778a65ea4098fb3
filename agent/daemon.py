"""The agent as a service: pass after pass, each when there is reason to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.clock import Clock
from agent.loop import Agent, Outcome
from agent.notify import Systemd
from agent.reasons import Reason
from agent.wakes import Wakes

# Without Docker's events someone has to look. A listing takes a few milliseconds.
LOOK_SECONDS = 5.0
# Docker tells of a change a moment before a listing shows it: look once more after this long.
ECHO_SECONDS = 0.3
# With them a look now and then is only for what nobody foresaw.
LOOK_ANYWAY_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """A loop around `Agent.step`. hears_events: whether Docker tells of changes just now."""

    agent: Agent
    wakes: Wakes
    clock: Clock
    systemd: Systemd
    hears_events: Callable[[], bool]

    def run(self) -> None:
        """Make passes until stopped. A pass under way is finished first."""
        reasons = frozenset({Reason.ASKED})
        outcome = self.agent.step(reasons)
        self.systemd.ready()
        while not self.wakes.is_stopped:
            self.systemd.alive(self._status(outcome))
            if outcome.settled:
                self.agent.rest()
            reasons = self.wakes.wait(self._patience(outcome, reasons))
            if not self.wakes.is_stopped:
                outcome = self.agent.step(reasons)
        self.systemd.stopping()

    def _patience(self, outcome: Outcome, reasons: frozenset[Reason]) -> float:
        """How long nothing is due, in seconds."""
        look = LOOK_ANYWAY_SECONDS if self.hears_events() else LOOK_SECONDS
        if Reason.CONTAINERS in reasons:
            look = ECHO_SECONDS
        due = min(outcome.wake, self.agent.next_look()) - self.clock.boottime()
        return max(0.0, min(look, due, self.systemd.watchdog_seconds or look))

    def _status(self, outcome: Outcome) -> str:
        """What `systemctl status` shows."""
        accepted = self.agent.notebook.accepted
        if outcome.problems:
            return outcome.problems[0][:200]
        if accepted is None:
            return "nothing is assigned yet"
        replicas = len(accepted.assignment.replicas)
        return f"generation {accepted.assignment.generation}, {replicas} replicas"
