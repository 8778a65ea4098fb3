"""Puts together what watching over a replica told: falls, probes and logs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent import crashes as falls
from agent.crashes import Crashes
from agent.probing import Phase, Standing, told
from agent.tails import Tail
from schemas.assignment import AssignedReplica
from schemas.names import ReplicaName


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What watching told of a replica. Each text is empty where there is nothing to say.

    loop: that it crashes again and again. fell: its last fall, while that is young.
    failing, starting: what probes say.
    """

    loop: str = ""
    fell: str = ""
    failing: str = ""
    starting: str = ""
    tails: tuple[Tail, ...] = ()


def watch_of(
    replica: AssignedReplica,
    crashes: Crashes | None,
    standings: Mapping[str, Standing],
    now: float,
    tails: Mapping[ReplicaName, tuple[Tail, ...]],
) -> Watch:
    """What there is to say of one replica.

    standings: by replica and name of the probe. tails: by replica.
    """
    said = falls.told(crashes, now)
    is_loop = falls.is_loop(crashes, now)
    words: dict[Phase, list[str]] = {phase: [] for phase in Phase}
    for probe in replica.probes:
        standing = standings.get(f"{replica.name}/{probe.name}")
        phase = standing.phase if standing else Phase.STARTING
        words[phase].append(told(probe, standing, now))
    return Watch(
        loop=said if is_loop else "",
        fell="" if is_loop else said,
        failing="; ".join(words[Phase.FAILING]),
        starting="; ".join(words[Phase.STARTING]),
        tails=tails.get(replica.name, ()),
    )
