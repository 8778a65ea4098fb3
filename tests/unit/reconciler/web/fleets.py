"""Looks at fleets, made by hand: a busy one with one of everything, and large ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from reconciler.conditions.since import Since
from reconciler.observing.duties import Duties
from reconciler.observing.node import Freshness
from reconciler.observing.snapshot import Observed, TemplateBundle
from reconciler.web.facts import Facts, Return
from reconciler.web.looking import led
from schemas.assignment import (
    Decision,
    DeploymentDecision,
    Hold,
    Phase,
    Reason,
    Refusal,
    RunnerUp,
    ScoreTerm,
    Tenure,
    Verdict,
    Why,
)
from schemas.heartbeat import LogTail, ReplicaState, RuntimeReport
from schemas.layout import replica_folder
from schemas.leader import Leader
from schemas.names import CommitId, DeploymentName, NodeName, ReplicaName, TemplateName, TreeId
from schemas.node import Duty
from schemas.problem import Place, Problem
from schemas.resources import Taint
from schemas.rollout import Disconnect
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


def a_leaderless_fleet() -> Facts:
    """Make the quiet fleet, of which the leader died an hour ago and nobody took over."""
    quiet, then = a_quiet_fleet(), NOW - timedelta(hours=1)
    leader = Leader(holder="one", term=3, sequence=9, lease_seconds=60, since=then)
    fleet = replace(quiet.observed.fleet, lease=timedelta(seconds=60))
    observed = replace(quiet.observed, leader=leader, renewed=then, fleet=fleet)
    return led(replace(quiet, observed=observed), then, NOW)


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


NEW = CommitId("3f2a91c0" + "0" * 32)
GOOD = CommitId("9a1b2c3d" + "0" * 32)


def a_rolling_fleet() -> Facts:
    """Make a fleet in which there is one of everything that is on its way, or waits."""
    alpha, beta, gamma, delta = map(NodeName, ("alpha", "beta", "gamma", "delta"))
    chat = [an_assigned_replica("chat", number) for number in range(4)]
    api, db = an_assigned_replica("api"), an_assigned_replica("db")
    old = an_assigned_replica("old")
    failed = "failed: crash loop: service web exited with code 1"
    ago = {minutes: NOW - timedelta(minutes=minutes) for minutes in (1, 4, 30, 300)}
    return facts_of(
        an_observed(
            fleet=a_fleet("edge"),
            deployments=(
                a_deployment("api", depends_on=(DeploymentName("db"),)),
                a_deployment("batch"),
                a_deployment("chat", replicas=4),
                a_deployment("db"),
                a_deployment("old", disconnect=Disconnect(stop_after=timedelta(minutes=2))),
                a_deployment("web", depends_on=(DeploymentName("api"),)),
            ),
            records=(
                a_record("alpha"),
                a_record("beta", duty=Duty.DRAINING),
                a_record("gamma", duty=Duty.DRAINING),
                a_record("delta", suspend=True),
                a_record("omega"),
            ),
            heartbeats=(
                a_heartbeat(
                    "alpha",
                    generation=1,
                    replicas=(
                        a_replica_report("chat-0", since=ago[4]),
                        a_replica_report("chat-1", state=ReplicaState.STARTING, since=ago[1]),
                        a_replica_report("chat-2", since=ago[300]),
                        a_replica_report("chat-3", since=ago[300]),
                        a_replica_report("api-0", state=ReplicaState.STARTING, since=ago[30]),
                    ),
                ),
                a_heartbeat(
                    "beta",
                    generation=1,
                    replicas=(
                        a_replica_report("db-0", state=ReplicaState.DEGRADED, since=ago[4]),
                        a_replica_report("old-0", since=ago[300]),
                    ),
                ),
                a_heartbeat("gamma", generation=1),
                a_heartbeat("delta", generation=1, problems=("DiskPressure: 4 % free",)),
                a_heartbeat("omega", sent_at=ago[1]),
            ),
            assignments={
                alpha: an_assignment(replicas=(*chat, api)),
                beta: an_assignment("beta", replicas=(db,)),
                gamma: an_assignment("gamma"),
                delta: an_assignment("delta"),
            },
            decision=Decision(
                deployments=(
                    a_decision(
                        "api",
                        phase=Phase.ROLLED_BACK,
                        source=NEW,
                        good_source=GOOD,
                        message=f"api-0 {failed}",
                    ),
                    a_decision(
                        "batch", phase=Phase.STALLED, source=NEW, message=f"batch-0 {failed}"
                    ),
                    a_decision(
                        "chat",
                        4,
                        phase=Phase.ROLLING,
                        source=NEW,
                        holds=(a_hold("gate", "waits for chat-1 to be ready", "chat-2", "chat-3"),),
                    ),
                    a_decision("db", source=NEW),
                    a_decision(
                        "old",
                        source=NEW,
                        holds=(a_hold("fence", "waits for beta to stop it", "old-0"),),
                    ),
                    a_decision(
                        "web",
                        phase=Phase.ROLLING,
                        source=NEW,
                        holds=(a_hold("dependency", "waits for api to be ready", "web-0"),),
                    ),
                ),
                tenures=(
                    Tenure(replica=ReplicaName("old-0"), node=beta, incarnation="b", epoch=3),
                ),
            ),
        ),
        a_node("alpha"),
        a_node("beta", duty=Duty.DRAINING),
        a_node("gamma", duty=Duty.DRAINING),
        a_node("delta", duty=Duty.CORDONED, suspended=True, disk_pressure="4 % free"),
        a_node("omega", freshness=Freshness.RETURNING),
        aimed={one.name: alpha for one in (*chat, api, db, old, an_assigned_replica("web"))},
        since=Since(
            phases={
                (DeploymentName("chat"), Phase.ROLLING): ago[4],
                (DeploymentName("api"), Phase.ROLLED_BACK): ago[30],
            },
            waits={("chat-2", "gate"): ago[4], ("chat-3", "gate"): ago[4]},
        ),
        duties={
            beta: Duties(admitted=ago[300], cordoned=ago[300], draining=ago[30]),
            delta: Duties(admitted=ago[300], cordoned=ago[4], draining=ago[300]),
        },
        closed="changes are made only in `0 2 * * *` (Europe/Berlin)",
        returns={NodeName("omega"): Return(ago[1], NOW + timedelta(minutes=2))},
    )


def a_hold(reason: str, text: str, *replicas: str) -> Hold:
    """Make a hold."""
    return Hold(reason=reason, text=text, replicas=tuple(map(ReplicaName, replicas)))


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
        decision=Decision(
            deployments=(
                a_decision(
                    phase=Phase.STALLED,
                    source=CommitId(HOSTILE),
                    message=HOSTILE,
                    holds=(a_hold("gate", HOSTILE, "chat-0", "chat-1"),),
                ),
            ),
        ),
    )
    return facts_of(
        observed,
        a_node(labels={"zone": HOSTILE}),
        closed=HOSTILE,
        removals=HOSTILE,
        held={DeploymentName("chat"): (problem,)},
        problems=(problem,),
        notices=(problem,),
        refused={DeploymentName("chat"): (refusal,)},
    )
