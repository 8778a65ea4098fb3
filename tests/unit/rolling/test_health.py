"""Whatever people commit, no more replicas are down than their deployment allows."""

from __future__ import annotations

import random

import pytest

from schemas.layout import replica_folder
from schemas.names import NodeName, ReplicaName
from tests.unit.reconciler.world import node
from tests.unit.rolling.fleet import Fleet, a_fleet_of, spread

NODES = ("alpha", "beta", "gamma", "delta", "epsilon")
STRATEGIES = ("stopFirst", "startFirst")


def up(fleet: Fleet) -> int:
    """How many replicas serve right now, as an onlooker sees it who needs no heartbeat."""
    folders = fleet.world.snapshot().folders
    return sum(
        report.observed == folders.get(replica_folder(NodeName(agent.name), ReplicaName(name)))
        for agent in fleet.agents.values()
        for name, report in agent.running.items()
    )


@pytest.mark.parametrize("seed", range(12))
def test_people_change_their_minds_and_drain_nodes(seed: int) -> None:
    rng = random.Random(seed)
    most, replicas = rng.choice([1, 1, 2]), rng.randint(2, 4)
    strategy = rng.choice(STRATEGIES)
    settings = f"{{maxUnavailable: {most}, strategy: {strategy}, canary: {rng.choice([0, 1])}}}"
    fleet = a_fleet_of(*NODES, chat=spread(replicas, update=settings))
    fleet.rest(2)
    least = replicas if strategy == "startFirst" else replicas - most
    for step in range(30):
        act = rng.random()
        if act < 0.25:
            text = spread(replicas, f"text-{step}", update=settings)
            fleet.world.commit({"deployments/chat.yaml": text})
        elif act < 0.4:
            name, duty = rng.choice(NODES), rng.choice(["draining", "active", "cordoned"])
            fleet.world.commit({f"nodes/{name}.yaml": node(name, duty=duty)})
        fleet.world.pass_once()
        assert up(fleet) >= least, f"seed {seed}, step {step}"
        fleet.obey(*rng.sample(NODES, rng.randint(1, len(NODES))))
    for name in NODES:
        fleet.world.commit({f"nodes/{name}.yaml": node(name, duty="active")})
    fleet.rest(20)
    assert len(set(fleet.texts().values())) == 1
    assert len(fleet.texts()) == replicas
    before = len(fleet.world.history())
    fleet.rest(3)
    assert len(fleet.world.history()) == before
