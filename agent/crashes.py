"""Counts how often containers fall, and says when that is a crash loop. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from agent.runtime.port import Container, Details

# Once is bad luck, and thrice may be a dependency that comes up late. A fourth fall within ten
# minutes says that the next start will not help. After ten quiet minutes all is forgiven.
BUDGET = 3
WINDOW_SECONDS = 600.0
# As many as the verdict needs.
MOST_FALLS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """The end of a container that should have run on. exit_code None: nobody saw it.

    at: on the boot clock.
    """

    at: float
    service: str
    exit_code: int | None = None
    out_of_memory: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A container when it was last looked at closely. ended: whether it had ended then."""

    restarts: int
    started: str
    ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashes:
    """The falls of a replica since it runs from these files, oldest first.

    seen: by id of the container.
    """

    tree: str
    seen: Mapping[str, Seen] = field(default_factory=dict)
    falls: tuple[Fall, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A container, and what a closer look told; None: there was no reason for one.

    finishes: whether to end with code 0 is its normal end.
    """

    container: Container
    details: Details | None
    finishes: bool = False


def is_suspect(container: Container) -> bool:
    """Whether a container deserves a closer look: it started just now, or it does not run."""
    return container.young or container.state in {"restarting", "exited", "dead"}


def noted(
    before: Crashes | None, tree: str, sights: tuple[Sight, ...], now: float
) -> Crashes | None:
    """The falls of a replica after another look. None: there is nothing to remember.

    Files that changed count from nothing: a new version has a budget of its own.
    """
    known = before if before is not None and before.tree == tree else Crashes(tree=tree)
    recent = tuple(fall for fall in known.falls if now - fall.at < WINDOW_SECONDS)
    seen: dict[str, Seen] = {}
    for sight in sights:
        last = known.seen.get(sight.container.id)
        if sight.details is None:
            seen |= {sight.container.id: last} if last else {}
            continue
        seen[sight.container.id] = _seen(sight.container, sight.details)
        recent += (_fall(sight, sight.details, now),) * _falls(sight, sight.details, last)
    if not seen and not recent:
        return None
    return replace(known, seen=seen, falls=recent[-MOST_FALLS:])


def is_loop(crashes: Crashes | None, now: float) -> bool:
    """Whether the budget is used up."""
    return len(_recent(crashes, now)) > BUDGET


def told(crashes: Crashes | None, now: float) -> str:
    """What there is to say of the falls of a replica; empty: it stands.

    The words do not change with every further fall: that would be a push for each.
    """
    falls = _recent(crashes, now)
    if not falls:
        return ""
    telling = next((fall for fall in reversed(falls) if _is_telling(fall)), falls[-1])
    if len(falls) > BUDGET:
        return f"crash loop: {_ended(telling)}, more than {BUDGET} times within 10 min"
    return f"{_ended(telling)}, and was started again"


def forgiven_at(crashes: Crashes | None, now: float) -> float | None:
    """When the oldest fall is forgiven; None: there is none."""
    falls = _recent(crashes, now)
    return falls[0].at + WINDOW_SECONDS if falls else None


def _recent(crashes: Crashes | None, now: float) -> tuple[Fall, ...]:
    falls = crashes.falls if crashes else ()
    return tuple(fall for fall in falls if now - fall.at < WINDOW_SECONDS)


def _seen(container: Container, details: Details) -> Seen:
    ended = container.state in {"exited", "dead"}
    return Seen(restarts=details.restarts, started=details.started, ended=ended)


def _falls(sight: Sight, details: Details, last: Seen | None) -> int:
    """How often a container fell since the last look.

    At the first look only a fall counts that can be seen: restarts may be of last month.
    """
    container = sight.container
    ended = container.state in {"exited", "dead"}
    is_normal = sight.finishes and (container.exit_code or 0) == 0
    if ended and is_normal:
        return 0
    if last is None:
        return int(ended or container.state == "restarting")
    is_same_end = last.ended and last.started == details.started
    return max(0, details.restarts - last.restarts) + int(ended and not is_same_end)


def _fall(sight: Sight, details: Details, now: float) -> Fall:
    code = sight.container.exit_code
    return Fall(
        at=now,
        service=sight.container.service,
        exit_code=code if code is not None else details.exit_code,
        out_of_memory=details.out_of_memory,
    )


def _is_telling(fall: Fall) -> bool:
    return fall.out_of_memory or fall.exit_code is not None


def _ended(fall: Fall) -> str:
    if fall.out_of_memory:
        return f"service {fall.service} ran out of memory and was killed (OOM)"
    if fall.exit_code is None:
        return f"service {fall.service} ended"
    return f"service {fall.service} exited with code {fall.exit_code}"
