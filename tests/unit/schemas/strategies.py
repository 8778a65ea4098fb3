"""Valid documents of every kind, for hypothesis to draw from."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from schemas.assignment import (
    AssignedReplica,
    Assignment,
    Decision,
    DeploymentDecision,
    Fence,
    GpuShare,
    Hold,
    Phase,
    Reason,
    Refusal,
    Rescheduled,
    RunnerUp,
    ScoreTerm,
    Tenure,
    Verdict,
    Why,
)
from schemas.deployment import Deployment, ResourceRequest, VolumeMoves
from schemas.fleet import Fleet, PortRange, RebalanceBudget, Timings
from schemas.guards import Guards, Window, WindowKind
from schemas.heartbeat import (
    GpuReport,
    Heartbeat,
    HostReport,
    LogTail,
    ReplicaReport,
    ReplicaState,
    RuntimeReport,
    ServiceReport,
)
from schemas.leader import Leader
from schemas.machine import Card, Machine
from schemas.names import NAME_PATTERN
from schemas.node import Duty, NodeRecord
from schemas.probes import Probe, ProbeKind
from schemas.problem import Place, Problem
from schemas.resources import (
    Drift,
    Expression,
    GpuNeed,
    Neighbourhood,
    Operator,
    PlacementRules,
    Preemption,
    Preference,
    Resources,
    Sharing,
    Spread,
    Strategy,
    Taint,
    Toleration,
    VolumeRemoval,
)
from schemas.rollout import Disconnect, Portion, Update, UpdateStrategy
from schemas.template import Template, TemplatePort
from schemas.template_probes import TemplateProbe

MIB_MAX = 2**30

names: Any = st.one_of(
    st.sampled_from(["chat", "no", "on", "null", "12", "1e5", "0x1f", "22", "a-1", "0"]),
    st.from_regex(NAME_PATTERN.replace("$", r"\Z"), fullmatch=True),
)
# What people really write, and every character that YAML gives a meaning to.
texts = st.one_of(
    st.sampled_from(["no", "yes", "null", "~", "", " ", "22:22", "0755", "3.10", "1e5", "1_000"]),
    st.sampled_from(
        ["- a", "a: b", "#x", "'", '"', "*a", "&a", "!t", "%d", "@", "`", "{", "=", "<<"]
    ),
    st.text(max_size=30),
)
lines = st.one_of(
    st.sampled_from(["no", "3.10", "true", "gold", "", "é ü", "a: b", "# x"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20),
)
keys = st.one_of(
    st.sampled_from(["zone", "miaas/node", "example.org/tier", "no", "1", "true"]),
    st.from_regex(r"[A-Za-z0-9]([-A-Za-z0-9_./]{0,8}[A-Za-z0-9])?", fullmatch=True),
)
own_keys = keys.filter(lambda key: not key.startswith("miaas/"))
mib = st.one_of(st.integers(0, MIB_MAX), st.integers(0, 1024).map(lambda gib: gib * 1024))
cpu = st.one_of(st.integers(0, 4_096_000), st.integers(0, 64).map(lambda cores: cores * 1000))
plain: Any = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63) + 1, 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        texts,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


def few(entries: Any, most: int = 3, **rules: Any) -> Any:
    """A short tuple of entries."""
    return st.lists(entries, max_size=most, **rules).map(tuple)


def versions(most: int = 4) -> Any:
    """A version as numbers."""
    return st.lists(st.integers(0, 999), min_size=1, max_size=most).map(tuple)


labels = st.dictionaries(keys, lines, max_size=3)
own_labels = st.dictionaries(own_keys, lines, max_size=3)
remarks = st.dictionaries(keys, texts, max_size=3)
resources = st.builds(Resources, cpu_milli=cpu, memory_mib=mib, disk_mib=mib)


@st.composite
def gpu_needs(draw: Any, least: int = 1) -> GpuNeed:
    """A need of GPUs; what is shared says how much memory."""
    sharing = draw(st.sampled_from(Sharing))
    memory = mib if sharing is Sharing.SHARED else st.none() | mib
    return GpuNeed(
        count=draw(st.integers(least, 128)),
        memory_mib=draw(memory),
        sharing=sharing,
        vendor=draw(st.sampled_from([None, "nvidia", "amd", "intel"])),
        model=draw(st.none() | lines.filter(bool)),
        compute_capability=draw(st.none() | st.tuples(st.integers(0, 99), st.integers(0, 99))),
        driver=draw(st.none() | versions()),
        cuda=draw(st.none() | versions()),
    )


@st.composite
def expressions(draw: Any) -> Expression:
    """A condition whose values suit its operator."""
    operator = draw(st.sampled_from(Operator))
    match operator:
        case Operator.IN | Operator.NOT_IN:
            values = draw(st.lists(lines, min_size=1, max_size=3))
        case Operator.EXISTS | Operator.DOES_NOT_EXIST:
            values = []
        case _:
            values = [str(draw(st.integers(-999, 999)))]
    return Expression(key=draw(keys), operator=operator, values=tuple(values))


neighbourhoods = st.builds(
    Neighbourhood,
    deployments=st.lists(names, min_size=1, max_size=3, unique=True).map(tuple),
    over=keys,
)
rules = st.builds(
    PlacementRules,
    require=few(expressions()),
    prefer=few(st.builds(Preference, expression=expressions(), weight=st.integers(1, 100))),
    near=few(neighbourhoods),
    apart=few(neighbourhoods),
    spread=few(st.builds(Spread, over=keys, max_skew=st.integers(1, 1000))),
    pin=few(names, unique=True),
    tolerations=few(st.builds(Toleration, key=keys, value=st.none() | lines)),
    strategy=st.none() | st.sampled_from(Strategy),
    gang=st.none() | names,
    preemption=st.sampled_from(Preemption),
)


durations = st.integers(0, 30 * 24 * 3600).map(lambda seconds: timedelta(seconds=seconds))


def portions(least: int) -> Any:
    """A number or a share."""
    numbers = st.builds(Portion, number=st.integers(least, 100000))
    return numbers | st.builds(Portion, percent=st.integers(0, 100))


@st.composite
def host_ports(draw: Any) -> dict[str, int | None]:
    """Ports of a deployment: no number twice."""
    chosen = draw(st.dictionaries(names, st.none() | st.integers(1, 65535), max_size=4))
    numbers = [port for port in chosen.values() if port is not None]
    return chosen if len(numbers) == len(set(numbers)) else {}


deployments = st.builds(
    Deployment,
    name=names,
    template=names,
    labels=labels,
    annotations=remarks,
    parameters=st.dictionaries(texts, plain, max_size=4),
    replicas=st.integers(0, 1000),
    resources=st.builds(
        ResourceRequest,
        cpu_milli=st.none() | cpu,
        memory_mib=st.none() | mib,
        disk_mib=st.none() | mib,
        gpus=st.none() | gpu_needs(least=0),
    ),
    placement=rules,
    ports=host_ports(),
    on_move=st.sampled_from(VolumeMoves),
    on_remove=st.sampled_from(VolumeRemoval),
    drift=st.none() | st.sampled_from(Drift),
    update=st.builds(
        Update,
        strategy=st.sampled_from(UpdateStrategy),
        max_unavailable=portions(1),
        canary=st.integers(0, 1000),
        soak=durations,
        progress_deadline=durations,
        max_failures=st.integers(1, 1000),
        rollback=st.booleans(),
    ),
    disconnect=st.builds(
        Disconnect,
        lose_after=st.none() | durations,
        stop_after=st.none() | durations,
        replace=st.none() | st.booleans(),
    ),
    depends_on=few(names, unique=True),
    suspend=st.booleans(),
    priority=st.integers(-1000, 1000),
    place=st.just(Place("deployments/x.yaml")),
)


@st.composite
def timings(draw: Any) -> Timings:
    """Timings in their order: heartbeat, then late, then lost."""
    heartbeat = draw(st.integers(1, 3600))
    late = draw(st.integers(heartbeat + 1, 10**6))
    lost = draw(st.integers(late + 1, 2 * 10**6))
    poll = draw(st.integers(1, 3600))
    return Timings(
        heartbeat=timedelta(seconds=heartbeat),
        late=timedelta(seconds=late),
        lost=timedelta(seconds=lost),
        poll=timedelta(seconds=poll),
    )


port_ranges = st.tuples(st.integers(1024, 65535), st.integers(1024, 65535)).map(
    lambda ends: PortRange(first=min(ends), last=max(ends))
)
fleets = st.builds(
    Fleet,
    name=names,
    timings=timings(),
    ports=port_ranges,
    strategy=st.none() | st.sampled_from(Strategy),
    reserved=resources,
    rebalance=st.builds(
        RebalanceBudget,
        moves_per_pass=st.integers(0, 1000),
        moves_per_hour=st.integers(0, 10000),
    ),
    drift=st.sampled_from(Drift),
    guards=st.builds(Guards, max_removals=portions(0), evacuations_per_minute=st.integers(0, 500)),
    waves=few(expressions()),
    windows=few(
        st.builds(
            Window,
            kind=st.sampled_from(WindowKind),
            cron=st.sampled_from(["0 22 * * 1-5", "*/5 * * * *", "30 4 1 JAN *"]),
            duration=st.integers(1, 7 * 24).map(lambda hours: timedelta(hours=hours)),
            time_zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
        )
    ),
    suspend=st.booleans(),
    lease=st.none() | st.integers(5, 3600).map(lambda seconds: timedelta(seconds=seconds)),
    place=st.just(Place("fleet.yaml")),
)
records = st.builds(
    NodeRecord,
    name=names,
    labels=own_labels,
    annotations=remarks,
    taints=few(st.builds(Taint, key=keys, value=lines)),
    duty=st.sampled_from(Duty),
    reserved=st.none() | resources,
    suspend=st.booleans(),
    place=st.just(Place("nodes/x.yaml")),
)
cards = st.builds(
    Card,
    model=lines.filter(bool),
    memory_mib=mib,
    count=st.integers(1, 128),
    vendor=st.sampled_from(["nvidia", "amd", "intel"]),
    compute_capability=st.none() | st.tuples(st.integers(0, 99), st.integers(0, 99)),
    driver=st.none() | versions(),
    cuda=st.none() | versions(),
)


@st.composite
def machines(draw: Any) -> Machine:
    """A machine like another, or with all its amounts."""
    like = draw(st.none() | names)
    none = st.nothing() if like is None else st.none()
    return Machine(
        name=draw(names),
        labels=draw(own_labels),
        taints=draw(few(st.builds(Taint, key=keys, value=lines))),
        like=like,
        cpu_milli=draw(none | cpu),
        memory_mib=draw(none | mib),
        disk_mib=draw(none | mib),
        architecture=draw(st.none() | lines.filter(bool)),
        os=draw(st.none() | lines.filter(bool)),
        gpus=draw(few(cards)),
        place=Place("new.yaml"),
    )


@st.composite
def parameter_schemas(draw: Any) -> dict[str, object]:
    """The schema of some parameters, with defaults that fit."""
    properties: dict[str, object] = {}
    for name in draw(st.lists(texts, max_size=3, unique=True)):
        properties[name] = draw(
            st.one_of(
                st.builds(lambda text: {"type": "string", "default": text}, texts),
                st.builds(lambda number: {"type": "integer", "default": number}, st.integers(0, 9)),
                st.just({"type": "string", "pattern": "^[a-z]+$", "maxLength": 9}),
            )
        )
    return {"type": "object", "properties": properties, "additionalProperties": False}


@st.composite
def template_probes(draw: Any, ports: tuple[TemplatePort, ...], known: list[str]) -> Any:
    """Probes of these ports, each of its own name; only HTTP ones have a path."""
    if not ports:
        return ()
    seconds = st.integers(1, 60).map(lambda number: timedelta(seconds=number))
    kind = draw(st.sampled_from(ProbeKind))
    probe = st.builds(
        TemplateProbe,
        name=names,
        port=st.sampled_from([port.name for port in ports]),
        kind=st.just(kind),
        path=st.just("/") if kind is ProbeKind.TCP else st.sampled_from(["/", "/health"]),
        start_period=st.integers(0, 10**6).map(lambda number: timedelta(seconds=number)),
        start_period_from=st.none() | st.sampled_from(known) if known else st.none(),
        interval=seconds,
        timeout=seconds,
        failure_threshold=st.integers(1, 100),
        success_threshold=st.integers(1, 100),
    )
    return draw(few(probe, unique_by=lambda one: one.name))


@st.composite
def with_probes(draw: Any, template: Template) -> Template:
    """A template that asks its ports, and may take start periods from its parameters."""
    properties: Any = template.parameters["properties"]
    known = sorted(name for name in properties if name)
    return replace(template, probes=draw(template_probes(template.ports, known)))


templates = st.builds(
    Template,
    name=names,
    description=texts.filter(bool),
    parameters=parameter_schemas(),
    resources=resources,
    gpus=st.none() | gpu_needs(),
    ports=few(
        st.builds(
            TemplatePort,
            name=names,
            container=st.integers(1, 65535),
            path=st.sampled_from(["/", "/v1/models", "/a?b=c"]),
        ),
        unique_by=lambda port: port.name,
    ),
    volumes=few(names, unique=True),
    place=st.just(Place("templates/x/template.yaml")),
).flatmap(with_probes)

# --- machines

ids = st.from_regex(r"[0-9a-f]{40}", fullmatch=True)
uuids = st.from_regex(r"(GPU|MIG)-[0-9a-f]{8}", fullmatch=True)
replica_names = st.tuples(names, st.integers(0, 99999)).map(lambda parts: f"{parts[0]}-{parts[1]}")
moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone itself
counts = st.integers(0, 2**40)
numbers = st.lists(st.integers(0, 10**6), max_size=4).map(tuple)
unicode_texts = st.text(st.characters(codec="utf-8"), max_size=30)

gpu_reports = st.builds(
    GpuReport,
    uuid=uuids,
    index=st.integers(0, 64),
    vendor=st.sampled_from(["nvidia", "amd"]),
    model=unicode_texts,
    memory_mib=mib,
    foreign_mib=mib,
    used_mib=mib,
    compute_capability=st.just(()) | st.tuples(st.integers(0, 99), st.integers(0, 99)),
    driver=numbers,
    cuda=numbers,
    sickness=unicode_texts,
    parent=st.just("") | uuids,
    utilisation_percent=st.none() | st.integers(0, 100),
    temperature_c=st.none() | st.integers(-50, 120),
    power_w=st.none() | st.integers(0, 1000),
    throttles=st.lists(st.sampled_from(["heat", "power limit"]), max_size=2).map(tuple),
    withheld=unicode_texts,
)
hosts = st.builds(
    HostReport,
    os=st.just("linux"),
    architecture=st.sampled_from(["amd64", "arm64"]),
    kernel=unicode_texts,
    cpu_milli=cpu,
    memory_mib=mib,
    disk_mib=mib,
    foreign_memory_mib=mib,
    foreign_disk_mib=mib,
    addresses=few(unicode_texts.filter(bool)),
    ports=few(st.integers(1, 65535)),
    machine=unicode_texts,
)
replica_reports = st.builds(
    ReplicaReport,
    name=replica_names,
    deployment=names,
    state=st.sampled_from(ReplicaState),
    observed=st.just("") | ids,
    message=unicode_texts,
    drifted=unicode_texts,
    services=few(
        st.builds(
            ServiceReport,
            name=unicode_texts.filter(bool),
            image=unicode_texts,
            state=unicode_texts,
            health=unicode_texts,
            exit_code=st.none() | st.integers(0, 255),
        )
    ),
    logs=few(st.builds(LogTail, service=unicode_texts.filter(bool), text=unicode_texts)),
    since=st.none() | moments,
    epoch=counts,
)
heartbeats = st.builds(
    Heartbeat,
    node=names,
    incarnation=unicode_texts.filter(bool),
    sequence=counts,
    sent_at=moments,
    agent=unicode_texts.filter(bool),
    observed=st.none() | ids,
    generation=counts,
    host=hosts,
    runtime=st.builds(
        RuntimeReport, docker=unicode_texts, compose=unicode_texts, error=unicode_texts
    ),
    gpus=few(gpu_reports),
    replicas=few(replica_reports),
    images=few(unicode_texts.filter(bool)),
    volumes=few(replica_names),
    problems=few(unicode_texts),
)

scores = st.floats(allow_nan=False, allow_infinity=False)
whys = st.builds(
    Why,
    text=unicode_texts,
    score=scores,
    terms=few(
        st.builds(ScoreTerm, name=unicode_texts.filter(bool), value=scores, weight=scores), 2
    ),
    runners_up=few(st.builds(RunnerUp, node=names, score=scores), 2),
)
probes = st.builds(
    Probe,
    name=names,
    port=names,
    kind=st.sampled_from(ProbeKind),
    path=st.sampled_from(["/", "/health"]),
    start_period_seconds=st.integers(0, 86400),
    interval_seconds=st.integers(1, 3600),
    timeout_seconds=st.integers(1, 60),
    failure_threshold=st.integers(1, 100),
    success_threshold=st.integers(1, 100),
)
assigned_replicas = st.builds(
    AssignedReplica,
    name=replica_names,
    deployment=names,
    template=names,
    resources=resources,
    sharing=st.sampled_from(Sharing),
    gpus=few(st.builds(GpuShare, uuid=uuids, memory_mib=mib)),
    ports=st.dictionaries(names, st.integers(1, 65535), max_size=3),
    priority=st.integers(-1000, 1000),
    pinned=st.booleans(),
    probes=few(probes),
    rollback=st.booleans(),
    drift=st.sampled_from(Drift),
    on_remove=st.sampled_from(VolumeRemoval),
    fence=st.none()
    | st.builds(
        Fence,
        incarnation=unicode_texts,
        epoch=st.integers(1, 10**12),
        stop_after_seconds=st.integers(1, 2592000),
    ),
    why=whys,
)
assignments = st.builds(
    Assignment,
    node=names,
    generation=counts,
    heartbeat_seconds=st.integers(1, 3600),
    poll_seconds=st.integers(1, 3600),
    replicas=few(assigned_replicas),
)
leaders = st.builds(
    Leader,
    holder=unicode_texts.filter(bool),
    term=st.integers(1, 2**53 - 1),
    sequence=st.integers(1, 2**53 - 1),
    lease_seconds=st.integers(1, 3600),
    since=moments,
    released=st.booleans(),
)
places = st.builds(Place, unicode_texts, st.integers(0, 999), st.integers(0, 999))
problems = st.builds(Problem, places, unicode_texts, unicode_texts)
refusals = st.builds(
    Refusal,
    replica=replica_names,
    reasons=few(st.builds(Reason, text=unicode_texts, nodes=few(names)), 2),
    hint=unicode_texts,
)
decisions = st.builds(
    Decision,
    deployments=few(
        st.builds(
            DeploymentDecision,
            name=names,
            template=unicode_texts,
            replicas=st.integers(0, 1000),
            verdict=st.sampled_from(Verdict),
            problems=few(problems, 2),
            refusals=few(refusals, 2),
            phase=st.sampled_from(Phase),
            source=st.none() | ids,
            message=unicode_texts,
            holds=few(
                st.builds(
                    Hold,
                    reason=st.sampled_from(["window", "gate"]),
                    text=unicode_texts,
                    replicas=few(replica_names),
                ),
                2,
            ),
        )
    ),
    problems=few(problems),
    tenures=few(
        st.builds(
            Tenure,
            replica=replica_names,
            node=names,
            incarnation=unicode_texts,
            epoch=st.integers(0, 10**12),
            machine=unicode_texts,
            stop_after_seconds=st.integers(0, 2592000),
        )
    ),
    rescheduled=few(st.builds(Rescheduled, replica=replica_names, node=names, version=ids)),
)
