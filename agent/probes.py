"""Asks what is due within a pass, and keeps how it stands. For a process that makes one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from agent.asking import Ask, Question
from agent.probing import Standing, Watched, attended, judged

Standings = Mapping[str, Standing]


class Prober(Protocol):
    """Whoever asks probes."""

    def attend(self, watched: tuple[Watched, ...], known: Standings) -> Standings:
        """How each stands now, by key. known: what was remembered of earlier passes."""

    def due(self, standings: Standings) -> float | None:
        """When a pass has to attend to them again, on the boot clock; None: it need not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbesAtOnce:
    """Asks all that is due side by side and waits: as long as the slowest probe's timeout."""

    ask: Ask
    clock: Callable[[], float]

    def attend(self, watched: tuple[Watched, ...], known: Standings) -> Standings:
        now = self.clock()
        standings = dict(attended(watched, known, now))
        due = {
            Question(probe=one.probe, port=one.port): one
            for one in watched
            if standings[one.key].due <= now
        }
        answers = self.ask(due) if due else {}
        now = self.clock()
        for question, answer in answers.items():
            one = due[question]
            standings[one.key] = judged(one.probe, standings[one.key], answer, now)
        return standings

    def due(self, standings: Standings) -> float | None:
        return min((standing.due for standing in standings.values()), default=None)
