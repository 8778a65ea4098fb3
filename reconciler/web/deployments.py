"""How each deployment fares: what the commit asks for, what was decided, what nodes say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from reconciler.conditions.deployments import hold_text
from reconciler.observing.causes import Cause, cause_of, leading, said
from reconciler.web.facts import Index
from reconciler.web.replicas import is_left_behind, leftover_view, replica_view
from reconciler.web.rollouts import Going, going, waits
from reconciler.web.views import (
    DeploymentView,
    Health,
    HealthMark,
    ProblemView,
    ReasonView,
    RefusalView,
    ReplicaView,
    Sync,
    SyncMark,
)
from reconciler.web.words import count, enumerate_names
from schemas.assignment import DeploymentDecision, Phase, Refusal
from schemas.deployment import Deployment
from schemas.layout import DEPLOYMENTS
from schemas.names import DeploymentName
from schemas.problem import Problem

# Worst first. Progress is no fault, and silence is worse than progress: nobody knows.
_HEALTH_ORDER: Final = (
    Health.MISSING,
    Health.DEGRADED,
    Health.UNKNOWN,
    Health.PROGRESSING,
    Health.HEALTHY,
)
_SYNC_ORDER: Final = (Sync.OUT_OF_SYNC, Sync.UNKNOWN, Sync.SYNCED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """All that is known of one deployment.

    written: as main asks for it, also where it is held; None: there is no document of it that can
    be understood. old_template: as it was last assigned. frozen: nothing in the fleet may change.
    held_by: which deployments each problem holds.
    pending: what the reconciler has yet to do. waits: what those without a node wait for.
    refused: replicas that have no node, and why. staying: why it runs on though nobody wants it.
    """

    name: DeploymentName
    desired: Deployment | None
    written: Deployment | None
    decided: DeploymentDecision | None
    old_template: str
    held: bool
    frozen: bool
    problems: tuple[Problem, ...]
    held_by: Mapping[Problem, tuple[str, ...]]
    replicas: tuple[ReplicaView, ...]
    refused: tuple[Refusal, ...]
    pending: str
    waits: str
    staying: str = ""

    @property
    def is_wanted(self) -> bool:
        """Whether the commit asks for it, even where its document cannot be read."""
        return self.held or self.frozen or self.desired is not None

    @property
    def wanted(self) -> int:
        """How many replicas it asks for; as many as it last did where nothing says that now."""
        if self.written is not None:
            return self.written.replicas
        if self.decided is not None and self.is_wanted:
            return self.decided.replicas
        return len(self.placed) if self.is_wanted else 0

    @property
    def placed(self) -> tuple[ReplicaView, ...]:
        """Those of its replicas that have a node."""
        return tuple(replica for replica in self.replicas if replica.wanted)

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """Those that have none, and why."""
        return self.refused if self.is_wanted else ()


def deployment_views(index: Index) -> tuple[DeploymentView, ...]:
    """Show every deployment that someone wants, that is decided on, or that still runs."""
    return tuple(_view(case, _going(index, case)) for case in _cases(index))


def _going(index: Index, case: _Case) -> Going:
    broken = said(case.problems) if case.problems else ""
    if case.frozen:
        broken = broken or "nothing in the fleet may change"
    return going(
        index,
        case.name,
        case.wanted,
        case.placed,
        case.refusals,
        broken=broken,
        cause=cause_of(case.problems),
    )


def held_by(held: Mapping[DeploymentName, Iterable[Problem]]) -> Mapping[Problem, tuple[str, ...]]:
    """Say of every problem which deployments it holds."""
    found: dict[Problem, list[str]] = {}
    for name, problems in sorted(held.items()):
        for problem in dict.fromkeys(problems):
            found.setdefault(problem, []).append(name)
    return {problem: tuple(names) for problem, names in found.items()}


def problem_view(problem: Problem, holds: tuple[str, ...] = ()) -> ProblemView:
    """Show a problem of a document. holds: deployments that stay as they last were for it."""
    return ProblemView(
        path=problem.place.path,
        line=problem.place.line,
        column=problem.place.column,
        what=problem.what,
        fix=problem.fix,
        deployment=holds[0] if len(holds) == 1 else "",
        holds=holds,
    )


def _cases(index: Index) -> tuple[_Case, ...]:
    facts = index.facts
    desired = {deployment.name: deployment for deployment in facts.observed.deployments}
    # A decision on what nobody wants and nothing runs is history, and no state.
    holders = held_by(facts.held)
    names = {*desired, *facts.held, *index.assigned, *index.leftovers}
    return tuple(
        _Case(
            name=name,
            desired=desired.get(name),
            written=desired.get(name) or facts.observed.aside.get(name),
            decided=index.decided.get(name),
            old_template=next((one.template for _, one in index.assigned.get(name, ())), ""),
            held=name in facts.held,
            frozen=bool(facts.observed.frozen),
            problems=tuple(sorted(facts.held.get(name, ()))),
            held_by=holders,
            replicas=_replicas(index, name),
            refused=facts.refused.get(name, ()),
            pending=facts.pending.get(name, ""),
            waits=_waits(index, name),
            staying=facts.staying.get(name, ""),
        )
        for name in sorted(names)
    )


def _waits(index: Index, name: DeploymentName) -> str:
    decided = index.decided.get(name)
    placed = {one.name for _, one in index.assigned.get(name, ())}
    for hold in decided.holds if decided else ():
        absent = tuple(name for name in hold.replicas if name not in placed)
        if absent:
            return hold_text(absent, hold.text)
    return ""


def _replicas(index: Index, name: DeploymentName) -> tuple[ReplicaView, ...]:
    assigned = index.assigned.get(name, ())
    leftovers = index.leftovers.get(name, ())
    return (
        *(replica_view(index, node, replica) for node, replica in assigned),
        *(leftover_view(index, node, report) for node, report in leftovers),
    )


def _view(case: _Case, goes: Going) -> DeploymentView:
    health = _health(case)
    return DeploymentView(
        name=case.name,
        template=case.written.template if case.written else case.old_template,
        source=_source(case),
        priority=case.written.priority if case.written else 0,
        labels=dict(sorted(case.written.labels.items())) if case.written else {},
        wanted=case.wanted,
        placed=len(case.placed),
        healthy=sum(replica.health.state is Health.HEALTHY for replica in case.placed),
        sync=_sync(case, waits(goes)),
        health=health,
        rollout=goes.rollout,
        conditions=goes.conditions,
        last_error=_last_error(case),
        depends_on=tuple(case.written.depends_on) if case.written else (),
        replicas=case.replicas,
        unplaced=tuple(map(_refusal, case.refusals)),
        absent=goes.absent,
        holds=goes.holds,
        holders=goes.holders,
        problems=tuple(problem_view(one, case.held_by[one]) for one in case.problems),
    )


def _source(case: _Case) -> str:
    if case.written is not None:
        return case.written.place.path
    paths = (one.place.path for one in case.problems)
    return next((path for path in paths if path.startswith(f"{DEPLOYMENTS}/")), "")


def _sync(case: _Case, waiting: str) -> SyncMark:
    if why := _amiss(case) or waiting:
        return SyncMark(state=Sync.OUT_OF_SYNC, why=why)
    # Of what a silent node had nobody knows any more, and what is wanted runs elsewhere.
    told = (one for one in case.replicas if not is_left_behind(one))
    worst = min(told, key=lambda r: _SYNC_ORDER.index(r.sync.state), default=None)
    if worst is None:
        return SyncMark(state=Sync.SYNCED, why="asks for no replicas, and has none")
    if worst.sync.state is Sync.SYNCED:
        return SyncMark(state=Sync.SYNCED, why="runs what the commit asks for")
    return SyncMark(state=worst.sync.state, why=f"{worst.name}: {worst.sync.why}")


def _amiss(case: _Case) -> str:
    if not case.is_wanted:
        return (
            f"no longer wanted, and {f'held: {case.staying}' if case.staying else 'not gone yet'}"
        )
    if case.frozen:
        return "nothing in the fleet may change now: it stays as it last was"
    if case.problems:
        return f"{_what_is_wrong(case)}: it stays as it last was"
    return _undecided(case) or (_without_node(case) if case.refusals else "")


def _what_is_wrong(case: _Case) -> str:
    if case.frozen:
        return "nothing in the fleet may change"
    match cause_of(case.problems):
        case Cause.DOCUMENTS:
            return "its documents are broken"
        case Cause.NODE:
            return f"held by {leading(case.problems).place}"
        case Cause.REMOVALS:
            return "too much would be removed at once"


def _undecided(case: _Case) -> str:
    if case.decided is None:
        return "the reconciler has not decided on it yet"
    desired = case.desired
    newest = desired is None or (
        (desired.replicas, desired.template) == (case.decided.replicas, case.decided.template)
    )
    if not newest:
        return "the reconciler has not decided on its newest version yet"
    # Whoever only looks does not know how long a version had been coming in before it stalled.
    return "" if case.decided.phase is Phase.STALLED else case.pending


def _health(case: _Case) -> HealthMark:
    if not case.is_wanted:
        return HealthMark(state=Health.PROGRESSING, why=_unwanted(case))
    if case.wanted == 0 and not case.problems:
        return HealthMark(state=Health.HEALTHY, why="asks for no replicas")
    if not case.placed:
        return _absent(case)
    worst = min(case.placed, key=lambda r: _HEALTH_ORDER.index(r.health.state))
    if case.wanted > len(case.placed) and worst.health.state is not Health.DEGRADED:
        return _lacking(case)
    if worst.health.state is Health.HEALTHY:
        return HealthMark(state=Health.HEALTHY, why=_all_run(case))
    return HealthMark(state=worst.health.state, why=f"{worst.name}: {worst.health.why}")


def _unwanted(case: _Case) -> str:
    """What becomes of a deployment that nobody wants and that still runs."""
    if case.staying:
        return f"nobody wants it any longer, and it is held: {case.staying}"
    if all(map(is_left_behind, case.replicas)):
        return f"{case.replicas[0].name}: {case.replicas[0].health.why}"
    nodes = tuple(sorted({one.node for one in case.replicas if not is_left_behind(one)}))
    verb = "has" if len(nodes) == 1 else "have"
    return f"{enumerate_names(nodes)} {verb} yet to stop it"


def _absent(case: _Case) -> HealthMark:
    state = Health.PROGRESSING if case.waits and not case.refusals else Health.MISSING
    return HealthMark(state=state, why=_nowhere(case))


def _lacking(case: _Case) -> HealthMark:
    if case.waits and not case.refusals:
        return HealthMark(state=Health.PROGRESSING, why=case.waits)
    if case.problems and not case.refusals:
        why = f"{_without_node(case)}: {_what_is_wrong(case)}"
        return HealthMark(state=Health.PROGRESSING, why=why)
    return HealthMark(state=Health.DEGRADED, why=_without_node(case))


def _nowhere(case: _Case) -> str:
    if case.refusals:
        first = case.refusals[0]
        return "; ".join(_reason(r.text, r.nodes) for r in first.reasons) or "no node fits it"
    if case.problems:
        return f"{_what_is_wrong(case)}, and it never ran"
    return case.waits or "the reconciler has not placed it yet"


def _reason(text: str, nodes: tuple[str, ...]) -> str:
    return f"{enumerate_names(nodes)}: {text}" if nodes else text


def _without_node(case: _Case) -> str:
    here = {replica.name for replica in case.placed}
    stuck = tuple(one.replica for one in case.refusals if one.replica in here)
    if stuck:
        verb = "stays" if len(stuck) == 1 else "stay"
        return f"{enumerate_names(stuck, 3)} {verb} as before: no node fits what is asked for now"
    lacking = max(case.wanted - len(case.placed), len(case.refusals))
    verb = "has" if lacking == 1 else "have"
    return f"{lacking} of {count(case.wanted, 'replica')} {verb} no node"


def _all_run(case: _Case) -> str:
    return "its replica runs" if len(case.placed) == 1 else f"all {len(case.placed)} replicas run"


def _last_error(case: _Case) -> str:
    if case.problems:
        return said(case.problems)
    ailing = (r for r in case.placed if r.health.state is Health.DEGRADED)
    told = next((f"{r.name} on {r.node}: {r.message or r.health.why}" for r in ailing), "")
    return told or (_nowhere(case) if case.refusals else "")


def _refusal(refusal: Refusal) -> RefusalView:
    return RefusalView(
        replica=refusal.replica,
        reasons=tuple(ReasonView(text=r.text, nodes=tuple(r.nodes)) for r in refusal.reasons),
        hint=refusal.hint,
    )
