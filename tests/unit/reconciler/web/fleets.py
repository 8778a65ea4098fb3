"""Looks at fleets, made by hand: a busy one with one of everything, and large ones."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from reconciler.observing.node import Freshness
from reconciler.observing.snapshot import Observed, TemplateBundle
from reconciler.web.facts import Facts
from schemas.assignment import (
    Decision,
    DeploymentDecision,
    Reason,
    Refusal,
    RunnerUp,
    ScoreTerm,
    Verdict,
    Why,
)
from schemas.heartbeat import LogTail, ReplicaState, RuntimeReport
from schemas.layout import replica_folder
from schemas.names import CommitId, DeploymentName, NodeName, ReplicaName, TemplateName, TreeId
from schemas.node import Duty
from schemas.problem import Place, Problem
from schemas.resources import Taint
from schemas.template import TemplatePort
from tests.builders import (
    A_MOMENT,
    a_deployment,
    a_fleet,
    a_gpu_report,
    a_heartbeat,
    a_host,
    a_node,
    a_record,
    a_replica_report,
    a_service_report,
    a_share,
    a_template,
    an_assigned_replica,
    an_assignment,
)

TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
# What a page would run if it took text for markup, anywhere.
HOSTILE = "\"><script>alert(1)</script><a href='javascript:alert(1)' onclick=x style=y>{{7*7}}"
NOW = A_MOMENT + timedelta(seconds=30)


def a_decision(name: str = "chat", replicas: int = 1, **fields: Any) -> DeploymentDecision:
    """Make the decision on a deployment whose replicas are all placed."""
    ours: dict[str, Any] = {"template": "web", "verdict": Verdict.PLACED}
    return DeploymentDecision(name=DeploymentName(name), replicas=replicas, **{**ours, **fields})


def an_observed(**fields: Any) -> Observed:
    """Make an observation of a fleet in which there is nothing."""
    web = a_template(ports=(TemplatePort(name="http", container=80),))
    ours: dict[str, Any] = {
        "source": CommitId("a" * 40),
        "fleet": a_fleet(),
        "deployments": (),
        "templates": {TemplateName("web"): TemplateBundle(template=web, files={})},
        "records": (),
        "heartbeats": (),
        "assignments": {},
        "decision": Decision(),
        "held": {},
        "problems": (),
    }
    return Observed(**{**ours, **fields})


def facts_of(observed: Observed, *nodes: Any, **fields: Any) -> Facts:
    """Make a look; the folder of every assigned replica is the one that `a_replica_report` runs."""
    folders = {
        replica_folder(node, replica.name): TreeId(TREE)
        for node, assignment in observed.assignments.items()
        for replica in assignment.replicas
    }
    seen = {beat.node: beat.sent_at for beat in observed.heartbeats}
    ours: dict[str, Any] = {
        "nodes": nodes,
        "seen": seen,
        "decided": CommitId("d" * 40),
        "folders": folders,
    }
    return Facts(observed=observed, **{**ours, **fields})


def a_quiet_fleet() -> Facts:
    """Make a fleet of one node that runs one deployment as it should."""
    alpha = NodeName("alpha")
    replica = an_assigned_replica(ports={"http": 20000})
    return facts_of(
        an_observed(
            deployments=(a_deployment(),),
            records=(a_record(),),
            heartbeats=(a_heartbeat(generation=1, replicas=(a_replica_report(),)),),
            assignments={alpha: an_assignment(replicas=(replica,))},
            decision=Decision(deployments=(a_decision(),)),
        ),
        a_node(),
    )


def a_busy_fleet() -> Facts:
    """Make a fleet in which there is one of everything that can go wrong."""
    alpha, beta, delta = map(NodeName, ("alpha", "beta", "delta"))
    why = Why(
        text="fits tightest: 1 of 2 cards stays whole",
        score=0.812,
        terms=(ScoreTerm(name="fit", value=0.9), ScoreTerm(name="prefer", value=0.5, weight=0.5)),
        runners_up=(RunnerUp(node=beta, score=0.655),),
    )
    chat = an_assigned_replica(
        ports={"http": 20000}, why=why, gpus=(a_share(), a_share(1, memory_mib=23034))
    )
    second = an_assigned_replica("chat", 1, ports={"http": 20001}, why=why)
    store = an_assigned_replica("store", ports={"postgres": 20010})
    crash = an_assigned_replica("crash", ports={"http": 20002})
    gone = an_assigned_replica("gone")
    old = an_assigned_replica("old")
    broken = Problem(
        Place("deployments/broken.yaml", 7, 13),
        "'lots' is not of type 'integer'",
        "use a whole number of replicas",
    )
    crashed = a_replica_report(
        "crash-0",
        state=ReplicaState.FAILED,
        message="image example.org/crash:1 cannot be pulled: not found",
        services=(
            a_service_report("crash", state="exited", health="", exit_code=137),
            a_service_report("side", health="unhealthy"),
        ),
        logs=(LogTail(service="crash", text="loading the model\nkey **** refused"),),
    )
    return facts_of(
        an_observed(
            fleet=a_fleet("edge"),
            deployments=(
                a_deployment("chat", replicas=2, labels={"team": "search"}, priority=10),
                a_deployment("crash"),
                a_deployment("huge"),
                a_deployment("new"),
                a_deployment("old"),
                a_deployment("store"),
                a_deployment("zero", replicas=0),
            ),
            records=(
                a_record("alpha"),
                a_record("beta", duty=Duty.CORDONED, taints=(Taint(key="lab", value="yes"),)),
                a_record("gamma"),
                a_record("delta"),
            ),
            heartbeats=(
                a_heartbeat(
                    "alpha",
                    generation=3,
                    gpus=(
                        a_gpu_report(0, used_mib=30100, utilisation_percent=97, power_w=301),
                        a_gpu_report(
                            1, used_mib=1200, foreign_mib=1100, throttles=("heat", "power limit")
                        ),
                    ),
                    replicas=(
                        a_replica_report("chat-0"),
                        a_replica_report("chat-1", state=ReplicaState.STARTING, observed="0" * 40),
                        crashed,
                        a_replica_report("past-0"),
                    ),
                ),
                a_heartbeat(
                    "beta",
                    cards=("l40s",),
                    sent_at=A_MOMENT - timedelta(minutes=9),
                    replicas=(a_replica_report("old-0"),),
                ),
                a_heartbeat(
                    "delta",
                    generation=1,
                    gpus=(a_gpu_report(owner="delta", sickness="pending row remap"),),
                    runtime=RuntimeReport(error="connect /var/run/docker.sock: refused"),
                    replicas=(a_replica_report("store-0"),),
                ),
                a_heartbeat("stray"),
            ),
            assignments={
                alpha: an_assignment(replicas=(chat, second, crash, gone), generation=3),
                beta: an_assignment("beta", replicas=(old,)),
                delta: an_assignment("delta", replicas=(store,), generation=2),
            },
            decision=Decision(
                deployments=(
                    a_decision("chat", 2),
                    a_decision("crash"),
                    a_decision("huge", verdict=Verdict.UNPLACED),
                    a_decision("old"),
                    a_decision("store"),
                    a_decision("zero", 0),
                )
            ),
        ),
        a_node("alpha", cards=("l40s", "l40s")),
        a_node("beta", freshness=Freshness.LOST, duty=Duty.CORDONED),
        a_node("gamma", freshness=Freshness.UNSEEN),
        a_node("delta", runtime_error="connect /var/run/docker.sock: refused"),
        held={DeploymentName("broken"): (broken,)},
        problems=(Problem(Place("nodes/eps.yaml", 3, 1), "unknown key 'lables'", "use 'labels'"),),
        refused={
            DeploymentName("huge"): (
                Refusal(
                    replica=ReplicaName("huge-0"),
                    reasons=(
                        Reason(
                            text="needs 4 GPUs of 80000 MiB, the largest has 46068 MiB",
                            nodes=(alpha, delta),
                        ),
                        Reason(text="silent for more than 5 minutes", nodes=(beta,)),
                    ),
                    hint="ask for 46068 MiB a GPU, and alpha would do with 2 GPUs",
                ),
            )
        },
        pending={DeploymentName("store"): "the reconciler has yet to change 1 replica"},
    )


def a_large_fleet(count: int) -> Facts:
    """Make a fleet of many nodes with eight cards each, each running one deployment of its own."""
    names = [NodeName(f"node-{number:04}") for number in range(count)]
    jobs = [f"model-{number:04}" for number in range(count)]
    cards = ("h100",) * 8
    return facts_of(
        an_observed(
            deployments=tuple(a_deployment(job) for job in jobs),
            records=tuple(a_record(name) for name in names),
            heartbeats=tuple(
                a_heartbeat(
                    name, cards=cards, generation=1, replicas=(a_replica_report(f"{job}-0"),)
                )
                for name, job in zip(names, jobs, strict=True)
            ),
            assignments={
                name: an_assignment(
                    name,
                    replicas=(
                        an_assigned_replica(
                            job, gpus=(a_share(0, owner=name, memory_mib=81559),), ports={"http": 1}
                        ),
                    ),
                )
                for name, job in zip(names, jobs, strict=True)
            },
            decision=Decision(deployments=tuple(a_decision(job) for job in jobs)),
        ),
        *(a_node(name, cards=cards) for name in names),
    )


def a_hostile_fleet() -> Facts:
    """Make a fleet in which everything that may be any text is hostile."""
    problem = Problem(Place(f"deployments/{HOSTILE}.yaml", 1, 1), HOSTILE, HOSTILE)
    report = a_replica_report(
        state=ReplicaState.FAILED,
        message=HOSTILE,
        services=(a_service_report(HOSTILE, image=HOSTILE, state=HOSTILE, health=HOSTILE),),
        logs=(LogTail(service=HOSTILE, text=HOSTILE),),
    )
    beat = a_heartbeat(
        agent=HOSTILE,
        host=a_host(os=HOSTILE, kernel=HOSTILE, addresses=(HOSTILE,)),
        runtime=RuntimeReport(docker=HOSTILE, compose=HOSTILE, error=HOSTILE),
        gpus=(a_gpu_report(model=HOSTILE, sickness=HOSTILE),),
        problems=(HOSTILE,),
        replicas=(report,),
    )
    refusal = Refusal(replica=ReplicaName("chat-1"), reasons=(Reason(text=HOSTILE),), hint=HOSTILE)
    replica = an_assigned_replica(why=Why(text=HOSTILE), ports={"http": 1})
    observed = an_observed(
        deployments=(a_deployment(replicas=2, labels={"team": HOSTILE}),),
        records=(a_record(labels={"zone": HOSTILE}),),
        heartbeats=(beat,),
        assignments={NodeName("alpha"): an_assignment(replicas=(replica,))},
    )
    return facts_of(
        observed,
        a_node(labels={"zone": HOSTILE}),
        held={DeploymentName("chat"): (problem,)},
        problems=(problem,),
        notices=(problem,),
        refused={DeploymentName("chat"): (refusal,)},
    )
