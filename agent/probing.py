"""Judges what probes were answered: starting, ready or failing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from schemas.probes import Probe, ProbeKind

# Until it is ready, a replica is asked after a tenth of the time that its start has taken so far:
# who is up in a second is seen in a second, and who takes ten minutes is not pestered.
START_PART = 10.0
SHORTEST_SECONDS = 1.0
# Of how long something fails only these steps are told: a heartbeat each second would say no more.
TOLD_SPANS = (
    (86400, "a day"),
    (21600, "6 h"),
    (3600, "1 h"),
    (900, "15 min"),
    (300, "5 min"),
    (60, "1 min"),
    (30, "30 s"),
    (10, "10 s"),
)


class Phase(StrEnum):
    """What is known of a replica by one probe."""

    STARTING = "starting"  # never ready yet, and there is still time
    READY = "ready"
    FAILING = "failing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A probe of a replica whose containers run.

    port: on this host. run: another text whenever something else is asked, or its containers are
    others or were started anew; what was known before then says nothing.
    """

    replica: str
    probe: Probe
    port: int
    run: str

    @property
    def key(self) -> str:
        """Names it among all probes of a host."""
        return f"{self.replica}/{self.probe.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one probe stands. Times are on the boot clock.

    run: as of `Watched`. began: when it was first attended to. due: when to ask again.
    good, bad: answers of that kind in a row. bad_since: when the first of these was asked.
    answer: the last bad answer in words; empty: none in this row.
    """

    run: str
    began: float
    due: float
    phase: Phase = Phase.STARTING
    good: int = 0
    bad: int = 0
    bad_since: float = 0.0
    answer: str = ""


def attended(
    watched: Iterable[Watched], known: Mapping[str, Standing], now: float
) -> Mapping[str, Standing]:
    """A standing for each probe: the known one of the same run, or a new one that is due."""
    found = {}
    for one in watched:
        before = known.get(one.key)
        same = before is not None and before.run == one.run
        found[one.key] = before if before and same else Standing(run=one.run, began=now, due=now)
    return found


def judged(probe: Probe, before: Standing, answer: str, now: float) -> Standing:
    """How a probe stands after an answer; an empty one is good."""
    after = _counted(before, answer, now)
    phase = _phase(probe, after, now)
    pause = float(probe.interval_seconds)
    if phase is Phase.STARTING:
        pause = min(pause, max(SHORTEST_SECONDS, (now - before.began) / START_PART))
    return replace(after, phase=phase, due=now + pause)


def told(probe: Probe, standing: Standing | None, now: float) -> str:
    """What a probe says of a replica that is not ready; empty where it is. None: never asked."""
    if standing is None:
        return f"probe {probe.name}: {asked(probe)} not answered yet"
    match standing.phase:
        case Phase.READY:
            return ""
        case Phase.STARTING:
            so_far = f"{standing.answer} so far" if standing.answer else "not answered yet"
            return f"probe {probe.name}: {asked(probe)} {so_far}"
        case Phase.FAILING:
            answer = standing.answer or "not answered"
            span = _span(now - standing.bad_since)
            return f"probe {probe.name}: {asked(probe)} {answer}{span}"


def asked(probe: Probe) -> str:
    """What a probe asks, in words."""
    if probe.kind is ProbeKind.HTTP:
        return f"GET {probe.path}"
    return f"a connection to port {probe.port}"


def _counted(before: Standing, answer: str, now: float) -> Standing:
    if not answer:
        return replace(before, good=before.good + 1, bad=0, bad_since=0.0, answer="")
    since = before.bad_since if before.bad else now
    return replace(before, good=0, bad=before.bad + 1, bad_since=since, answer=answer)


def _phase(probe: Probe, after: Standing, now: float) -> Phase:
    if after.good >= probe.success_threshold:
        return Phase.READY
    if after.bad < probe.failure_threshold:
        return after.phase
    has_time = now - after.began < probe.start_period_seconds
    return Phase.STARTING if after.phase is Phase.STARTING and has_time else Phase.FAILING


def _span(seconds: float) -> str:
    return next((f" for more than {words}" for least, words in TOLD_SPANS if seconds > least), "")
