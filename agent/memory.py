"""What the agent knows from earlier passes, as one value, and its form on disk.

Losing it costs no container: owners are found by label, content by hash. It saves work and time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.backoff import Tries
from agent.content import ServiceWant
from agent.crashes import Crashes, Fall, Seen
from agent.drift import Findings, Stranger
from agent.holding import Holding, holding_from_json
from agent.probing import Phase, Standing
from agent.rollback import Held
from agent.runtime.port import Limits
from agent.shelf import plain_fields
from agent.tails import Tail
from schemas.names import CommitId, ReplicaName

VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Files of a replica that are on disk, allowed and understood.

    stored: what they use of the store. seal: of all of them as they were written.
    stop_after: what its containers are labelled with, see `agent.content.Owner`.
    """

    tree: str
    services: tuple[ServiceWant, ...] = ()
    stored: tuple[str, ...] = ()
    seal: str = ""
    stop_after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """A replica that was started here.

    tree: what it started from; empty: no start went well. halfway: whether its last start began and
    did not go well, so that containers of another version may be there. holding: what it may hold
    of this host; None: nobody knows. epoch: of the grant that it was started under; 0: it needed
    none.
    """

    deployment: str
    tree: str = ""
    halfway: bool = False
    holding: Holding | None = None
    epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """The state that something is in, and since when, by the wall clock as ISO text."""

    state: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """The last heartbeat that arrived. substance: what it told, as a digest."""

    substance: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Everything remembered.

    boot: of the host; waits and times of another boot mean nothing.
    sequence: of the last heartbeat of this boot.
    converged, generation: the assignment that was last reached in full.
    tries: by `git`, `push`, `docker` and replica name.
    tokens: how many pushes on change were left at `tokens_at`, when the last heartbeat that arrived
    was sent.
    images: that we brought here, see `agent.sweep`. pressed: whether the disk is nearly full.
    findings, audit_due: what the last thorough look found amiss, and when the next one is due.
    poll_due, speak_due: when to look at Git and when to send a keep-alive, on the boot clock.
    looked: when the last look at Git that went well began, likewise; None: there was none.
    since: when each replica got into its state; for people. host: the same of `docker` and `disk`.
    good: the last files of each replica that ran well. held: newer ones that could not be started.
    crashes, probes, tails: what watching over it told; probes by replica and name of the probe.
    """

    boot: str
    sequence: int = 0
    converged: CommitId | None = None
    generation: int = 0
    prepared: Mapping[ReplicaName, Prepared] = field(default_factory=dict)
    present: Mapping[ReplicaName, Present] = field(default_factory=dict)
    tries: Mapping[str, Tries] = field(default_factory=dict)
    good: Mapping[ReplicaName, Prepared] = field(default_factory=dict)
    held: Mapping[ReplicaName, Held] = field(default_factory=dict)
    crashes: Mapping[ReplicaName, Crashes] = field(default_factory=dict)
    probes: Mapping[str, Standing] = field(default_factory=dict)
    tails: Mapping[ReplicaName, tuple[Tail, ...]] = field(default_factory=dict)
    spoken: Spoken = field(default_factory=Spoken)
    tokens: float = 20.0
    tokens_at: float = 0.0
    images: Mapping[str, float | None] = field(default_factory=dict)
    pressed: bool = False
    findings: Findings = field(default_factory=Findings)
    audit_due: float = 0.0
    poll_due: float = 0.0
    speak_due: float = 0.0
    looked: float | None = None
    since: Mapping[ReplicaName, Since] = field(default_factory=dict)
    host: Mapping[str, Since] = field(default_factory=dict)


def to_json(memory: Memory) -> dict[str, Any]:
    """Write memory as a map, to be put on a shelf: its parts are written out there."""
    return {"version": VERSION, **plain_fields(memory)}


def from_json(value: object, *, boot: str) -> Memory:
    """Read memory. Anything that is not understood counts as nothing remembered.

    After a boot the clock starts anew: waits are over, and the next heartbeat is due.
    """
    if not isinstance(value, dict) or value.get("version") != VERSION:
        return Memory(boot=boot)
    try:
        memory = _memory(value)
    except (TypeError, KeyError, AttributeError, ValueError):
        return Memory(boot=boot)
    if memory.boot == boot:
        return memory
    return Memory(
        boot=boot,
        converged=memory.converged,
        generation=memory.generation,
        prepared=memory.prepared,
        present=memory.present,
        good=memory.good,
        since=memory.since,
        host=memory.host,
        images={name: None if since is None else 0.0 for name, since in memory.images.items()},
    )


def _memory(value: dict[str, Any]) -> Memory:
    rest = {key: part for key, part in value.items() if key != "version"}
    rest["prepared"] = {name: _prepared(part) for name, part in value["prepared"].items()}
    rest["present"] = {name: _present(part) for name, part in value["present"].items()}
    rest["tries"] = {name: Tries(**part) for name, part in value["tries"].items()}
    rest["good"] = {name: _prepared(part) for name, part in value.get("good", {}).items()}
    rest["held"] = {name: Held(**part) for name, part in value.get("held", {}).items()}
    rest["crashes"] = {name: _crashes(part) for name, part in value.get("crashes", {}).items()}
    rest["probes"] = {name: _standing(part) for name, part in value.get("probes", {}).items()}
    rest["tails"] = {
        name: tuple(Tail(**part) for part in parts)
        for name, parts in value.get("tails", {}).items()
    }
    rest["since"] = {name: Since(**part) for name, part in value.get("since", {}).items()}
    rest["host"] = {name: Since(**part) for name, part in value.get("host", {}).items()}
    rest["findings"] = _findings(value["findings"])
    rest["spoken"] = Spoken(**value["spoken"])
    return Memory(**rest)


def _present(value: dict[str, Any]) -> Present:
    return Present(**{**value, "holding": holding_from_json(value.get("holding"))})


def _findings(value: dict[str, Any]) -> Findings:
    return Findings(
        limits={name: Limits(**part) for name, part in value["limits"].items()},
        contents=value.get("contents", {}),
        vain={name: Limits(**part) for name, part in value.get("vain", {}).items()},
        strangers=tuple(Stranger(**one) for one in value["strangers"]),
    )


def _service(value: dict[str, Any]) -> ServiceWant:
    limits = None if value["limits"] is None else Limits(**value["limits"])
    return ServiceWant(**{**value, "networks": tuple(value["networks"]), "limits": limits})


def _prepared(value: dict[str, Any]) -> Prepared:
    services = tuple(_service(service) for service in value["services"])
    return Prepared(**{**value, "services": services, "stored": tuple(value["stored"])})


def _crashes(value: dict[str, Any]) -> Crashes:
    seen = {name: Seen(**part) for name, part in value["seen"].items()}
    falls = tuple(Fall(**fall) for fall in value["falls"])
    return Crashes(tree=value["tree"], seen=seen, falls=falls)


def _standing(value: dict[str, Any]) -> Standing:
    return Standing(**{**value, "phase": Phase(value["phase"])})
