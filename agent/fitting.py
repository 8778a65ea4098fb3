"""Decides what of a heartbeat goes out where not all of it would be read. Pure.

A heartbeat that is too large is refused whole, and then nothing changes on its node any longer: not
even what would make it smaller again. So logs share a budget, and what people can do without goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from schemas.heartbeat import (
    HEARTBEAT_MAX,
    GpuReport,
    Heartbeat,
    HostReport,
    LogTail,
    ReplicaReport,
    dump_heartbeat,
)
from schemas.names import ReplicaName

# Bytes as written, of all logs together: a quarter, which leaves room for the replicas themselves.
LOGS_MAX: Final = HEARTBEAT_MAX // 4
# Some lines of a stack trace. Where not everyone can have that, the newest failures do.
LEAST_TAIL: Final = 512
# Of a message, where all of them together are too much.
SHORT_CHARACTERS: Final = 100
LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


def fitting_text(heartbeat: Heartbeat) -> str:
    """Write a heartbeat that reconcilers read: logs within their budget, and the rest if it fits.

    What had to be left out is the last of its problems.

    Raises:
        AssertionError: it breaks its schema.
    """
    text = dump_heartbeat(with_shared_logs(heartbeat))
    for smaller in _smaller(heartbeat) if len(text) > HEARTBEAT_MAX else ():
        text = dump_heartbeat(smaller)
        if len(text) <= HEARTBEAT_MAX:
            break
    return text


def with_other_facts(
    heartbeat: Heartbeat, host: HostReport, gpus: tuple[GpuReport, ...], why: str
) -> Heartbeat:
    """The same with facts that can be told, and with why its own cannot be."""
    problem = f"what this host has cannot be told: {why}. Fix: report this as a fault of the agent"
    return replace(heartbeat, host=host, gpus=gpus, problems=(problem, *heartbeat.problems))


def with_shared_logs(heartbeat: Heartbeat) -> Heartbeat:
    """The same with logs of LOGS_MAX bytes as written: small ones whole, large ones alike."""
    newest = sorted(
        heartbeat.replicas, key=lambda one: (one.since or LONG_AGO, one.name), reverse=True
    )
    tails = [(one.name, log) for one in newest for log in one.logs]
    if sum(written_size(log.text) for _, log in tails) <= LOGS_MAX:
        return heartbeat
    told = tails[: LOGS_MAX // LEAST_TAIL]
    share = _share(sorted(written_size(log.text) for _, log in told))
    logs: dict[ReplicaName, tuple[LogTail, ...]] = {}
    for name, log in told:
        logs[name] = (*logs.get(name, ()), replace(log, text=last_lines(log.text, share)))
    return _with_logs(heartbeat, logs)


def last_lines(text: str, size: int) -> str:
    """The last whole lines that take no more bytes as written; of a longer line its end."""
    left, start = size, len(text)
    while start > 0 and (left := left - written_size(text[start - 1])) >= 0:
        start -= 1
    if start == 0 or text[start - 1] == "\n":
        return text[start:]
    _, _, whole = text[start:].partition("\n")
    return whole or text[start:]


def written_size(text: str) -> int:
    """Bytes that a text takes inside a heartbeat: six of a character that is not ASCII."""
    return len(json.dumps(text)) - 2


def _share(sizes: list[int]) -> int:
    """The most that each may take, so that all together take LOGS_MAX. sizes: in order."""
    left = LOGS_MAX
    for number, size in enumerate(sizes):
        share = left // (len(sizes) - number)
        if size > share:
            return share
        left -= size
    return LOGS_MAX


def _smaller(heartbeat: Heartbeat) -> Iterator[Heartbeat]:
    """Less and less of it: what is only for people first."""
    heartbeat = _with_logs(heartbeat, {})
    yield _without(heartbeat, "logs")
    heartbeat = replace(heartbeat, images=())
    yield _without(heartbeat, "logs and images")
    heartbeat = replace(heartbeat, replicas=tuple(_terse(one) for one in heartbeat.replicas))
    yield _without(heartbeat, "logs, images, services and the ends of messages")


def _with_logs(heartbeat: Heartbeat, logs: Mapping[ReplicaName, tuple[LogTail, ...]]) -> Heartbeat:
    replicas = (replace(one, logs=logs.get(one.name, ())) for one in heartbeat.replicas)
    return replace(heartbeat, replicas=tuple(replicas))


def _terse(report: ReplicaReport) -> ReplicaReport:
    return replace(
        report,
        services=(),
        message=report.message[:SHORT_CHARACTERS],
        drifted=report.drifted[:SHORT_CHARACTERS],
    )


def _without(heartbeat: Heartbeat, what: str) -> Heartbeat:
    problem = (
        f"the heartbeat is without {what}: with them it is larger than {HEARTBEAT_MAX} bytes. "
        "Fix: remove images or replicas from this node, or look at the logs here"
    )
    return replace(heartbeat, problems=(*heartbeat.problems, problem))
