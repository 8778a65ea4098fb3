"""How long this host may still run what nobody else may run meanwhile, as a value. Pure.

A lease is renewed by a look at the remote that a heartbeat followed. Whoever decides counts from
the heartbeat, and we count from the look before it: so ours runs out first. See `schemas.fencing`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from schemas.names import ReplicaName

# 64 bits: no two lives of a host are ever taken for the same one.
TOKEN_BITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What there is to know of the lease of this host. Times are seconds on the boot clock.

    boot: names the boot that they count from.
    incarnation: which life of this host it is; empty: not drawn yet.
    renewed: when the last look began that a heartbeat followed; None: there was none in this boot.
    own: whether that heartbeat already told this incarnation.
    told: when this incarnation was last heard, or else first told; None: nobody knows of it.
    kept: replicas that run on under a grant to an earlier incarnation, each with its epoch.
    """

    boot: str
    incarnation: str = ""
    renewed: float | None = None
    own: bool = False
    told: float | None = None
    kept: Mapping[ReplicaName, int] = field(default_factory=dict)


def age(lease: Lease, now: float) -> float:
    """Seconds since the last renewal; without any, or with one in the future, for ever."""
    renewed = lease.renewed
    return now - renewed if renewed is not None and renewed <= now else math.inf


def is_lapsed(lease: Lease, limits: Limits, now: float) -> bool:
    """Whether somebody may have given up on this incarnation: no grant to it counts any longer.

    Even where nothing is fenced: a grant may have been written, and taken back, unread by us. An
    incarnation that nobody can know of has no grants that could be old.
    """
    since, bound = lease.told, limits.silence
    if limits.shortest is not None:
        since, bound = (lease.renewed if lease.own else lease.told), limits.shortest
    return since is not None and now - since >= bound


def drawn(lease: Lease, kept: Mapping[ReplicaName, int], rng: random.Random) -> Lease:
    """Begin a new incarnation. kept: as in `Lease`."""
    token = f"{rng.getrandbits(TOKEN_BITS):0{TOKEN_BITS // 4}x}"
    return Lease(
        boot=lease.boot, incarnation=f"{lease.boot}-{token}", renewed=lease.renewed, kept=kept
    )


def speaking(lease: Lease, now: float) -> Lease:
    """The lease from when a heartbeat is sent: from now on somebody may know the incarnation."""
    return lease if lease.told is not None else replace(lease, told=now)


def heard(lease: Lease, *, looked: float | None, spoke: float, now: float, limits: Limits) -> Lease:
    """The lease once a heartbeat arrived: renewed, unless it ran out before that was known.

    A heartbeat that was so long on its way may have come too late for who waits for it.

    Args:
        lease: as it was when the heartbeat was sent.
        looked: when the last look at the remote that went well began; None: there was none.
        spoke: when the heartbeat was sent.
        now: when it was known to have arrived.
        limits: of what runs here.
    """
    is_over = limits.kept is not None and age(lease, now) >= limits.kept
    if is_over or is_lapsed(lease, limits, now):
        return lease
    if looked is None or (limits.shortest is not None and now - looked >= limits.shortest):
        return replace(lease, told=spoke)
    renewed = looked if lease.renewed is None else max(lease.renewed, looked)
    return replace(lease, renewed=renewed, own=True, told=spoke)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The least times without contact after which something is stopped. None: nothing is.

    silence: after which an incarnation lapses although nothing here is fenced.
    shortest: of all that is fenced here. kept: of what an earlier incarnation left.
    """

    silence: float
    shortest: float | None = None
    kept: float | None = None


def lease_to_json(lease: Lease) -> dict[str, Any]:
    """Write a lease as plain values."""
    return asdict(lease)


def lease_from_json(value: object, *, boot: str) -> Lease:
    """Read a lease. One of another boot, or one that is damaged, is none at all.

    Whether the incarnation was told in the moment before a kill is not written down: it counts as
    told long ago.
    """
    if not isinstance(value, dict) or value.get("boot") != boot:
        return Lease(boot=boot)
    try:
        kept = {ReplicaName(name): int(epoch) for name, epoch in value["kept"].items()}
        incarnation, own = str(value["incarnation"]), value["own"] is True
        renewed, told = _seconds(value["renewed"]), _seconds(value["told"])
    except (KeyError, AttributeError, TypeError, ValueError):
        return Lease(boot=boot)
    return Lease(
        boot=boot,
        incarnation=incarnation,
        renewed=renewed,
        own=own and renewed is not None,
        told=0.0 if told is None else told,
        kept=kept,
    )


def _seconds(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no time")
    return float(value)
