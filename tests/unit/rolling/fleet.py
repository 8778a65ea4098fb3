"""A fleet whose agents do as they are told, as far as a test lets them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from reconciler.decide import Pass
from schemas.assignment import Assignment, DeploymentDecision, Phase
from schemas.heartbeat import ReplicaReport, ReplicaState, RuntimeReport
from schemas.layout import replica_folder
from schemas.names import CommitId, NodeName, ReplicaName
from tests.builders import a_host, a_replica_report
from tests.unit.reconciler.world import (
    FLEET,
    WEB,
    WEB_COMPOSE,
    World,
    a_world,
    deployment,
    node,
)

POLL = timedelta(seconds=15)
VOLUMES = "  volumes: [data]\n"


@dataclass
class Agent:
    """What one agent says. told: the assignment that it obeys.

    accepted: the commit that it says to obey, where that is not what stands at its ref.
    """

    name: str
    incarnation: str = "boot-1"
    sequence: int = 0
    told: Assignment | None = None
    running: dict[ReplicaName, ReplicaReport] = field(default_factory=dict)
    docker: str = ""
    machine: str = "m1"
    stops: bool = True
    accepted: CommitId | None = None


@dataclass
class Fleet:
    """The world, and an agent for each of its nodes.

    states: how replicas fare other than well. stale: those that do not take a new version.
    """

    world: World
    agents: dict[str, Agent]
    states: dict[str, ReplicaState] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)

    def obey(self, *names: str) -> None:
        """Let agents do what is published for them, and say so; all that are not silent."""
        observed = self.world.decide().observed
        folders = self.world.snapshot().folders
        for name in names or sorted(self.agents):
            agent = self.agents[name]
            if name in self.silent:
                continue
            told = observed.assignments.get(NodeName(name))
            agent.told = told
            wanted = {one.name: one for one in told.replicas} if told else {}
            kept = (
                {} if agent.stops else {k: v for k, v in agent.running.items() if k not in wanted}
            )
            agent.running = {
                **kept,
                **{
                    one.name: a_replica_report(
                        one.name,
                        state=self.states.get(one.name, ReplicaState.RUNNING),
                        observed=folders[replica_folder(NodeName(name), one.name)],
                        epoch=one.fence.epoch if one.fence else 0,
                        message="it is ill" if one.name in self.states else "",
                    )
                    for one in wanted.values()
                    if one.fence is None or one.fence.incarnation == agent.incarnation
                },
            }
            self.say(name)

    def say(self, *names: str) -> None:
        """Let agents say again how things are."""
        for name in names or sorted(set(self.agents) - self.silent):
            agent = self.agents[name]
            agent.sequence += 1
            told = agent.told
            self.world.beat(
                name,
                incarnation=agent.incarnation,
                host=a_host(machine=f"{name}-{agent.machine}"),
                sequence=agent.sequence,
                replicas=tuple(agent.running.values()),
                runtime=RuntimeReport(docker="28", compose="5", error=agent.docker),
                generation=told.generation if told else 0,
                accepted_generation=told.generation if told else 0,
                accepted=agent.accepted
                or (self.world.snapshot().assigned.get(NodeName(name)) if told else None),
            )

    def step(self, span: timedelta = POLL) -> Pass:
        """Let time go by, a pass be made, and every agent obey."""
        self.world.clock.pass_by(span)
        result = self.world.pass_once().result
        self.obey()
        return result

    def rest(self, steps: int = 12) -> None:
        """Let it come to rest."""
        for _ in range(steps):
            self.step()

    def wait(self, span: timedelta) -> Pass:
        """Let a span go by in passes, in which agents speak and do nothing new."""
        until = self.world.clock.now + span
        while self.world.clock.now < until:
            self.world.clock.pass_by(min(POLL, until - self.world.clock.now))
            self.say()
            self.world.pass_once()
        return self.world.decide()

    def change(self, name: str, **spec: object) -> None:
        """Commit a deployment."""
        self.world.commit({f"deployments/{name}.yaml": deployment(name, **spec)})

    def texts(self, name: str = "chat") -> dict[str, str]:
        """The text that every published replica of a deployment has in its files."""
        found: dict[str, str] = {}
        for path, content in self.world.tree().items():
            parts = path.split("/")
            if parts[0] == "nodes" and parts[-1] == "compose.yaml":
                replica = parts[2]
                if replica.rpartition("-")[0] == name:
                    line = next(li for li in content.decode().splitlines() if "TEXT" in li)
                    found[replica] = line.partition(": ")[2].strip('" ')
        return dict(sorted(found.items()))

    def homes(self, name: str = "chat") -> dict[str, str]:
        """The node of every published replica of a deployment."""
        found = {
            one.name: str(node)
            for node, each in self.world.decide().observed.assignments.items()
            for one in each.replicas
            if one.deployment == name
        }
        return dict(sorted(found.items()))

    def decision(self, name: str = "chat") -> DeploymentDecision:
        """What was decided of a deployment last."""
        decisions = self.world.decide().observed.decision.deployments
        return next(one for one in decisions if one.name == name)

    def phase(self, name: str = "chat") -> Phase:
        """How the newest version of a deployment fares."""
        return self.decision(name).phase

    def because(self, name: str = "chat") -> set[str]:
        """Why replicas of a deployment are held, in one word each."""
        return {hold.reason for hold in self.decision(name).holds}


def a_fleet_of(*nodes: str, fleet: str = "", volumes: bool = False, **deployments: str) -> Fleet:
    """A fleet at rest that runs its deployments. fleet: further lines of fleet.yaml's spec."""
    names = nodes or ("alpha", "beta", "gamma", "delta")
    world = a_world(
        *names,
        files={
            "fleet.yaml": FLEET + (f"spec:\n{fleet}" if fleet else ""),
            **{f"nodes/{name}.yaml": node(name) for name in names},
            "templates/web/template.yaml": WEB + (VOLUMES if volumes else ""),
            "templates/web/compose.yaml.j2": WEB_COMPOSE,
            **{f"deployments/{name}.yaml": text for name, text in deployments.items()},
        },
    )
    made = Fleet(world, {name: Agent(name) for name in names})
    made.say()
    made.rest(3)
    return made


def spread(replicas: int, text: str = "one", **spec: object) -> str:
    """The text of the deployment `chat`, one replica a node as far as there are nodes."""
    return deployment(
        "chat",
        replicas=replicas,
        parameters="{text: " + text + "}",
        placement="{strategy: spread}",
        **spec,
    )
