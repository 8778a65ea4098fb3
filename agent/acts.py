"""What an agent can do to its host, as data: decided first, carried out later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from schemas.names import ReplicaName, TreeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Down:
    """Stop a replica and remove its containers and networks. Its volumes stay.

    after: whose acts must not have failed before.
    """

    replica: ReplicaName
    project: str
    reason: str
    after: frozenset[ReplicaName] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """Bring the images of a replica while what runs goes on."""

    replica: ReplicaName
    tree: TreeId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """Make a replica run from its files. Services that are as they should be are left alone.

    after: who has to let something go before: nothing of theirs must have failed.
    adopts: whether it has containers of which nobody knows what they hold.
    """

    replica: ReplicaName
    tree: TreeId
    reason: str
    after: frozenset[ReplicaName] = frozenset()
    adopts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveContainer:
    """Stop one container and remove it. The others of its replica serve on.

    after: as for `Up`, which follows.
    """

    replica: ReplicaName
    tree: TreeId
    container: str
    reason: str
    after: frozenset[ReplicaName] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveVolumes:
    """Delete the volumes of a replica that is gone, data and all."""

    replica: ReplicaName
    project: str
    reason: str


Act: TypeAlias = Down | Pull | Up | RemoveContainer | RemoveVolumes


def waits_for(act: Act) -> frozenset[ReplicaName]:
    """The replicas of which nothing may have failed before."""
    return act.after if isinstance(act, Down | RemoveContainer | Up) else frozenset()
