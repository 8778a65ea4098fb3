"""Says how what was assigned fares, in the words of a heartbeat. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache

from agent.content import ServiceWant
from agent.converge import Wanted, intruder_text
from agent.drift import Stranger, vain_texts, without_limits
from agent.faults import faults
from agent.grants import running_of
from agent.runtime.port import Container, Limits
from agent.watched import Watch
from schemas.heartbeat import LogTail, ReplicaReport, ReplicaState, ServiceReport
from schemas.layout import replica_of
from schemas.names import DeploymentName, NodeName, ReplicaName
from schemas.resources import Drift

# A failing command can print without end; a status is read by people, on one screen.
MESSAGE_CHARACTERS = 1000
# As many as a heartbeat may hold of one replica. Who scales a service further sees the first ones.
MOST_SERVICES = 256
# As many as a heartbeat may tell of. It is a preference: the rest is placed as if it had none.
MOST_WITH_VOLUMES = 10_000
# States in which a container is on its way. `restarting` is none of them: it has fallen.
RISING = frozenset({"created"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is known of one replica beside its containers.

    tree: what it last started from; empty: no start went well. message: why the last try failed.
    delay: for whom it waits before it can change. watch: what watching over it told.
    intruders: containers put into its project by hand. bar: why it must not be started here now.
    epoch: of the grant that it was started under; 0: it needed none. vain: limits that the engine
    gives to a content though others are wanted, by content hash.
    is_healed: whether what differs is made right again though what is changed by hand is only told.
    """

    tree: str = ""
    message: str = ""
    bar: str = ""
    epoch: int = 0
    delay: str = ""
    is_healed: bool = False
    watch: Watch = field(default_factory=Watch)
    vain: Mapping[str, Limits] = field(default_factory=dict)
    intruders: tuple[Stranger, ...] = ()


def replica_reports(
    assigned: tuple[Wanted, ...],
    own: Mapping[ReplicaName, tuple[Container, ...]] | None,
    courses: Mapping[ReplicaName, Course],
) -> tuple[ReplicaReport, ...]:
    """Report every assigned replica, and every other one that is not gone yet, sorted by name.

    own: containers by replica; None: the engine does not answer, and nobody knows.
    """
    if own is None:
        return tuple(_unknown(want, courses.get(want.replica, Course())) for want in assigned)
    reports = [
        _assigned(want, own.get(want.replica, ()), courses.get(want.replica, Course()))
        for want in assigned
    ]
    wanted = {want.replica for want in assigned}
    reports += [
        _leaving(replica, containers, courses.get(replica, Course()))
        for replica, containers in own.items()
        if replica not in wanted
    ]
    return tuple(sorted(reports, key=lambda report: report.name))


def _assigned(want: Wanted, containers: tuple[Container, ...], course: Course) -> ReplicaReport:
    services = want.services or ()
    # Other limits than wanted are drift, and no illness.
    judged = without_limits(containers)
    state = _state(services, judged, course)
    if course.bar and not running_of(containers):
        state = ReplicaState.PENDING
    drifted = _drifted(want, containers, course)
    message = _message(state, services, judged, course)
    if drifted and state in {ReplicaState.RUNNING, ReplicaState.DEGRADED}:
        watch, is_told = course.watch, want.drift is Drift.REPORT
        rest = (watch.fell, watch.failing) if is_told else (message,)
        parts = (f"drifted: {drifted}", *rest)
        message = "; ".join(part for part in parts if part)
    return ReplicaReport(
        name=want.replica,
        deployment=want.deployment,
        state=state,
        observed=course.tree,
        message=shortened(message),
        drifted=shortened(drifted),
        services=_services(containers),
        logs=_logs(state, course.watch),
        epoch=0 if state is ReplicaState.PENDING else course.epoch,
    )


def _drifted(want: Wanted, containers: tuple[Container, ...], course: Course) -> str:
    """In what a replica differs from the files that it started from, where that is only told."""
    if course.is_healed or want.services is None or course.tree != want.tree:
        return ""
    vain = vain_texts(want.services, containers, course.vain)
    if want.drift is not Drift.REPORT:
        return "; ".join(vain)
    strange = [intruder_text(one) for one in course.intruders]
    return "; ".join((*faults(want.services, containers), *vain, *strange))


def _message(
    state: ReplicaState,
    services: tuple[ServiceWant, ...],
    containers: tuple[Container, ...],
    course: Course,
) -> str:
    """What there is to say, worst first: why a try failed, then what is wrong with what runs."""
    watch = course.watch
    parts: tuple[str, ...]
    match state:
        case ReplicaState.FAILED:
            parts = (course.message, watch.loop)
        case ReplicaState.DEGRADED:
            parts = (watch.fell, *_complaints(services, containers), watch.failing)
        case ReplicaState.STARTING:
            parts = (watch.fell, watch.starting)
        case ReplicaState.PENDING if course.bar:
            parts = ()
        case _:
            parts = (watch.fell,)
    return "; ".join(part for part in (course.bar, course.delay, *parts) if part)


def _logs(state: ReplicaState, watch: Watch) -> tuple[LogTail, ...]:
    """The logs of what fails. What runs well again keeps them to itself."""
    if state is ReplicaState.RUNNING and not watch.fell:
        return ()
    return tuple(LogTail(service=one.service, text=one.text) for one in watch.tails if one.text)


def _unknown(want: Wanted, course: Course) -> ReplicaReport:
    """Report a replica that cannot be seen: worse than running, and no word about its services.

    One that must not be started here is not told as pending: that would say that it does not run.
    """
    return ReplicaReport(
        name=want.replica,
        deployment=want.deployment,
        state=ReplicaState.DEGRADED if course.tree or course.bar else ReplicaState.PENDING,
        observed=course.tree,
        message="Docker does not answer: nobody knows how it fares",
        epoch=course.epoch,
    )


def _leaving(
    replica: ReplicaName, containers: tuple[Container, ...], course: Course
) -> ReplicaReport:
    return ReplicaReport(
        name=replica,
        deployment=DeploymentName(containers[0].deployment),
        state=ReplicaState.STOPPING,
        observed=course.tree,
        message=shortened(course.message),
        services=_services(containers),
        epoch=course.epoch,
    )


def _state(
    services: tuple[ServiceWant, ...], containers: tuple[Container, ...], course: Course
) -> ReplicaState:
    """Judge a replica. A failed last try counts even while an older version serves on."""
    if course.message or course.watch.loop:
        return ReplicaState.FAILED
    if not course.tree:
        return ReplicaState.PENDING
    if any(_complaints(services, containers)) or course.watch.failing:
        return ReplicaState.DEGRADED
    if course.watch.starting or any(
        one.health == "starting" or one.state in RISING for one in containers
    ):
        return ReplicaState.STARTING
    return ReplicaState.RUNNING


def _complaints(
    services: tuple[ServiceWant, ...], containers: tuple[Container, ...]
) -> tuple[str, ...]:
    """All that is wrong with the containers of a replica, its own checks included."""
    sick = tuple(
        f"service {one.service} is {'unhealthy' if one.state == 'running' else one.state}"
        for one in containers
        if one.state == "restarting" or (one.state == "running" and one.health == "unhealthy")
    )
    return (*faults(services, containers), *sick)


def _services(containers: tuple[Container, ...]) -> tuple[ServiceReport, ...]:
    return tuple(
        ServiceReport(
            name=one.service,
            image=one.image,
            state=one.state,
            health=one.health,
            exit_code=one.exit_code,
        )
        for one in sorted(containers, key=lambda one: (one.service, one.id))[:MOST_SERVICES]
    )


def shortened(message: str) -> str:
    """The end of a message that is too long: what went wrong stands last."""
    if len(message) <= MESSAGE_CHARACTERS:
        return message
    return "... " + message[-MESSAGE_CHARACTERS:]


def with_volumes(node: NodeName, projects: tuple[str, ...]) -> tuple[ReplicaName, ...]:
    """Of a node's replicas those whose volumes stand here, assigned or not, sorted.

    Projects of others on this engine are left out, as far as their names tell.
    """
    replicas = {replica_of(node, project) for project in projects}
    return tuple(sorted(one for one in replicas if one is not None)[:MOST_WITH_VOLUMES])


@lru_cache(maxsize=16)  # a pass asks up to four times, and most say what the last one said
def substance(*parts: object) -> str:
    """Digest of what a heartbeat says that is worth a push of its own.

    Measurements are not, nor since when a state lasts: they go with the next keep-alive, so noise
    costs nothing.
    """
    text = json.dumps(parts, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, ReplicaReport):
        return asdict(replace(value, since=None))
    raise TypeError(f"{type(value).__name__} has no place in a substance")
