"""Asks probes beside the passes, in a thread of its own, and wakes the agent when one turns."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from agent.asking import Asker, Question
from agent.probes import Standings
from agent.probing import Phase, Standing, Watched, attended, judged

# How soon the thread sees what it was told, while answers are outstanding.
STEP_SECONDS = 0.2
# Without anything to ask it still looks now and then, should it have missed the call.
IDLE_SECONDS = 60.0

log = logging.getLogger(__name__)


class ProbeWatch(threading.Thread):
    """A prober that never makes a pass wait.

    tell: called when what is known of a replica changes in a way that people would notice.
    """

    def __init__(self, clock: Callable[[], float], tell: Callable[[], None]) -> None:
        super().__init__(name="probes", daemon=True)
        self._clock = clock
        self._tell = tell
        self._asker = Asker()
        self._changed = threading.Condition()
        self._watched: dict[str, Watched] = {}
        self._standings: dict[str, Standing] = {}
        self._shown: dict[str, Standing] = {}
        self._is_over = False  # not `_is_stopped`, which is a word of threads themselves

    def attend(self, watched: tuple[Watched, ...], known: Standings) -> Standings:
        """Ask these from now on, and no others: what was asked about others is forgotten.

        Raises:
            AssertionError: the thread died. What it found last would be told for ever, so the agent
                has to end, and is started anew.
        """
        if self.ident is not None and not (self.is_alive() or self._is_over):
            raise AssertionError("the thread that asks probes is dead")
        now = self._clock()
        with self._changed:
            before = {**known, **self._standings}
            self._standings = dict(attended(watched, before, now))
            shown = {key: one for key, one in self._shown.items() if key in self._standings}
            for key, standing in self._standings.items():
                if key not in shown or _looks_other(shown[key], standing):
                    shown[key] = standing
            self._shown = shown
            wanted = {one.key: one for one in watched}
            if wanted != self._watched:
                self._watched = wanted
                self._changed.notify_all()
            return dict(shown)

    def due(self, _standings: Standings) -> float | None:
        """Nothing: the thread keeps the time."""
        return None

    def run(self) -> None:
        """Ask until stopped."""
        under_way: dict[Question, Watched] = {}
        while not self._is_over:
            for question, one in self._due(under_way).items():
                under_way[question] = one
                self._asker.start(question)
            if under_way:
                self._take_in(self._asker.gather(STEP_SECONDS), under_way)
            else:
                self._rest()
        self._asker.close()

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _due(self, under_way: Mapping[Question, Watched]) -> dict[Question, Watched]:
        now = self._clock()
        with self._changed:
            due = {
                Question(probe=one.probe, port=one.port): one
                for key, one in self._watched.items()
                if self._standings[key].due <= now
            }
        return {question: one for question, one in due.items() if question not in under_way}

    def _take_in(self, answers: Mapping[Question, str], under_way: dict[Question, Watched]) -> None:
        now, turned = self._clock(), False
        with self._changed:
            for question, answer in answers.items():
                one = under_way.pop(question)
                before = self._standings.get(one.key)
                if before is None or before.run != one.run:
                    continue  # an answer to a question that nobody asks any longer
                after = judged(one.probe, before, answer, now)
                self._standings[one.key] = after
                turned = turned or _looks_other(self._shown.get(one.key, before), after)
        if turned:
            self._tell()

    def _rest(self) -> None:
        """Wait until something is due, or until there is something else to ask."""
        with self._changed:
            dues = [standing.due for standing in self._standings.values()]
            left = min(dues, default=self._clock() + IDLE_SECONDS) - self._clock()
            if left > 0 and not self._is_over:
                self._changed.wait(min(left, IDLE_SECONDS))


def _looks_other(before: Standing, after: Standing) -> bool:
    """Whether people would see a difference. A bad answer of one that is ready is none yet."""
    if before.run != after.run or before.phase is not after.phase:
        return True
    return after.phase is not Phase.READY and before.answer != after.answer
