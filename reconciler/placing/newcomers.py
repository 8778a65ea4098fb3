"""Who has no node yet: the most important first, gangs whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Final

import numpy as np

from reconciler.observing.node import Gpu, Node
from reconciler.placing.around import has_rules, left_by_rules
from reconciler.placing.draft import Draft
from reconciler.placing.ground import Bools, Floats
from reconciler.placing.plan import Need, Placement
from reconciler.placing.ports import choose_ports
from reconciler.placing.preempting import make_room
from reconciler.placing.trials import Ask, Choice
from reconciler.placing.why import why_here
from schemas.assignment import GpuShare, Reason, RunnerUp, Why
from schemas.names import DeploymentName, ReplicaName, replica_name
from schemas.resources import Preemption, Sharing

# The part of all deployments by which those with whole GPUs go ahead: measured on mixes of both.
HEAD_START: Final = 0.12
# The scarcity of GPU models is weighed anew after so many replicas.
LOOK_AGAIN: Final = 1000


class Claim(IntEnum):
    """What a replica without a node has to show, the best first."""

    MOVES = 0  # it ran until now
    RETURNS = 1  # its data stands somewhere
    NEW = 2


def place_newcomers(draft: Draft) -> list[ReplicaName]:
    """Place whoever has no node, and return whom no node would take.

    Goes round again while that helps: one who must be near another may have come too early, and
    a preemption may have left room. It ends with the first answer that comes back.
    """
    waiting = _waiting(draft)
    seen = [waiting]
    while True:
        count = 0
        for group in _groups(waiting, draft):
            _place_group(group, draft)
            count += len(group)
            if count >= LOOK_AGAIN:
                draft.core.look_again()
                count = 0
        left = _waiting(draft)
        if left in seen or not left:
            return left
        waiting = left
        seen.append(left)


def find_place(replica: ReplicaName, need: Need, draft: Draft) -> Placement | None:
    """Return the best place for one replica that is not counted, or None. Counts nothing."""
    return _find_in(replica, need, draft, _allowed(need, draft))


def find_place_without(
    row: int, replica: ReplicaName, need: Need, draft: Draft
) -> Placement | None:
    """Return the best place on any other row than this."""
    allowed = _allowed(need, draft)
    rows = np.ones(len(draft.ground.nodes), dtype=np.bool_) if allowed is None else allowed
    rows[row] = False
    return _find_in(replica, need, draft, rows)


def _find_in(
    replica: ReplicaName, need: Need, draft: Draft, rows: Bools | None
) -> Placement | None:
    ask, drawn = draft.ask(need), draft.columns.drawn(replica, need)
    while True:
        choice = draft.core.best(ask, rows, drawn)
        if choice is None:
            return None
        ports = ports_on(replica, need, choice.row, draft)
        if ports is not None:
            return written(replica, need, choice, ports, draft)
        rows = np.ones(len(draft.ground.nodes), dtype=np.bool_) if rows is None else rows
        rows[choice.row] = False


def _waiting(draft: Draft) -> list[ReplicaName]:
    """List the replicas without a node, in the order in which they are placed.

    Of equals, who ran until now and has to move goes before who is new: a newcomer evicts nobody.
    Of those that are new, who has data somewhere goes first, before others fill that node.
    """
    waiting = [
        (need, replica)
        for need in in_order(draft.needs)
        for index in range(need.replicas)
        if (replica := replica_name(need.deployment, index)) not in draft.placed
        and replica not in draft.bound.absent
    ]
    claims = {replica: _claim(need, replica, draft) for need, replica in waiting}
    if any(claim is not Claim.NEW for claim in claims.values()):
        waiting.sort(key=lambda one: (-one[0].priority, claims[one[1]]))
    return [replica for _, replica in waiting]


def _claim(need: Need, replica: ReplicaName, draft: Draft) -> Claim:
    if replica in draft.before:
        return Claim.MOVES
    return Claim.RETURNS if need.has_data and replica in draft.columns.volumes else Claim.NEW


def in_order(needs: Mapping[DeploymentName, Need]) -> list[Need]:
    """Most important first; who must be near another after that other; then by name.

    Of equals, those that want whole GPUs go ahead by a part of all: placed last they find GPUs in
    parts; placed first of all they leave too little CPU for the many that share.
    """
    names = {name: place for place, name in enumerate(sorted(needs))}
    ahead = HEAD_START * len(names)

    def turn(need: Need) -> tuple[int, float, str]:
        whole = need.gpus is not None and need.gpus.sharing is Sharing.EXCLUSIVE
        return -need.priority, names[need.deployment] - ahead * whole, need.deployment

    ranked = sorted(needs.values(), key=turn)
    done: dict[DeploymentName, Need] = {}

    def visit(need: Need, path: frozenset[DeploymentName]) -> None:
        for other in sorted(_targets(need) - path):
            if other in needs and other not in done:
                visit(needs[other], path | {other})
        done.setdefault(need.deployment, need)

    for need in ranked:
        if need.deployment not in done:
            visit(need, frozenset({need.deployment}))
    return list(done.values())


def _targets(need: Need) -> set[DeploymentName]:
    return {other for rule in need.rules.near for other in rule.deployments}


def _groups(waiting: list[ReplicaName], draft: Draft) -> Iterator[list[tuple[Need, ReplicaName]]]:
    """Put replicas of one deployment together, and gangs at the place of their first member."""
    groups: dict[str, list[tuple[Need, ReplicaName]]] = {}
    for replica in waiting:
        need = draft.needs[DeploymentName(replica.rsplit("-", 1)[0])]
        gang = need.rules.gang
        key = f"gang {gang}" if gang is not None else need.deployment
        groups.setdefault(key, []).append((need, replica))
    yield from groups.values()


def _place_group(group: list[tuple[Need, ReplicaName]], draft: Draft) -> None:
    """Place a deployment's replicas, or a gang."""
    gang = group[0][0].rules.gang
    mark = draft.mark()
    complete = True
    for need, replicas in _by_need(group):
        complete = _place_replicas(need, replicas, draft) and complete
        if gang is not None and not complete:
            break
    if gang is not None and not complete:
        draft.undo(mark)
    for _, replica in group:
        if replica in draft.placed:
            draft.refused.pop(replica, None)


def _by_need(
    group: list[tuple[Need, ReplicaName]],
) -> Iterator[tuple[Need, list[ReplicaName]]]:
    by_name: dict[DeploymentName, tuple[Need, list[ReplicaName]]] = {}
    for need, replica in group:
        by_name.setdefault(need.deployment, (need, []))[1].append(replica)
    yield from by_name.values()


def _place_replicas(need: Need, replicas: list[ReplicaName], draft: Draft) -> bool:
    """Place replicas of one deployment; False if one found no node.

    Those whose volumes stand somewhere choose first, each for itself. The others are all alike.
    """
    volumes = draft.columns.volumes
    drawn = [replica for replica in replicas if replica in volumes]
    alike = [replica for replica in replicas if replica not in volumes] if drawn else replicas
    if not _place_each(need, drawn, draft):
        return False
    if not (has_rules(need, draft) or any(port is not None for port in need.ports.values())):
        alike = _place_many(need, alike, draft)
    return _place_each(need, alike, draft)


def _place_each(need: Need, replicas: list[ReplicaName], draft: Draft) -> bool:
    """Place replicas one by one; False as soon as one finds no node."""
    for replica in replicas:
        found = find_place(replica, need, draft)
        if found is None and need.rules.preemption is Preemption.LOWER_PRIORITY:
            found = _push_out(replica, need, draft)
        if found is None:
            return False
        draft.put(found)
    return True


def _place_many(need: Need, replicas: list[ReplicaName], draft: Draft) -> list[ReplicaName]:
    """Place replicas that need ask about nothing but room; return those that are left."""
    ask = draft.ask(need)
    runners = _runners_up(ask, None, draft)
    for place, choice in enumerate(draft.core.many(ask, len(replicas))):
        replica = replicas[place]
        ports = ports_on(replica, need, choice.row, draft)
        if ports is None:
            # Rare: every port of the range is taken there. Those left go one by one.
            draft.core.out(ask, choice)
            continue
        draft.note(
            _placed(
                replica,
                need,
                _spot(choice, draft),
                ports,
                why_here(need, ask, choice, draft, runners),
            )
        )
    return [replica for replica in replicas if replica not in draft.placed]


def _push_out(replica: ReplicaName, need: Need, draft: Draft) -> Placement | None:
    """Make room by preemption; the victims are newcomers from then on.

    None: nobody had to go, or it found no place all the same, as what it has to be near would go.
    """
    mark = draft.mark()
    victims = make_room(need, draft, left_by_rules(need, draft))
    for victim in victims:
        draft.remove(victim)
    found = find_place(replica, need, draft) if victims else None
    if found is None:
        draft.undo(mark)
        return None
    text = f"gave way to {replica}, which is more important"
    for victim in victims:
        draft.gave_way[victim.replica] = Reason(text=text, nodes=(victim.node,))
    return found


def _allowed(need: Need, draft: Draft) -> Bools | None:
    """Which rows rules and fixed ports leave; None for all."""
    fixed = [number for number in need.ports.values() if number is not None]
    if not fixed and not has_rules(need, draft):
        return None
    rows = left_by_rules(need, draft)
    for row, ports in enumerate(draft.ports):
        if any(n in ports or n in draft.ground.nodes[row].ports for n in fixed):
            rows[row] = False
    return rows


def ports_on(replica: ReplicaName, need: Need, row: int, draft: Draft) -> dict[str, int] | None:
    """Choose the host ports of a replica on a row; None if it has none left."""
    if not need.ports:
        return {}
    before = draft.before.get(replica)
    return choose_ports(
        need.ports,
        within=need.auto_ports,
        taken=draft.taken(row),
        avoid=draft.avoid,
        before=before.ports if before is not None else {},
    )


def _runners_up(ask: Ask, drawn: Floats | None, draft: Draft) -> tuple[RunnerUp, ...]:
    """The best nodes of now with their scores, one more than are told of."""
    best = draft.core.best_rows(ask, 4, drawn)
    names = draft.ground.nodes
    return tuple(RunnerUp(node=names[row].name, score=round(score, 4)) for row, score in best)


def written(
    replica: ReplicaName, need: Need, choice: Choice, ports: Mapping[str, int], draft: Draft
) -> Placement:
    """Write down one placement with its reasons."""
    ask = draft.ask(need)
    runners = _runners_up(ask, draft.columns.drawn(replica, need), draft)
    why = why_here(need, ask, choice, draft, runners)
    return _placed(replica, need, _spot(choice, draft), ports, why)


def _placed(
    replica: ReplicaName,
    need: Need,
    place: tuple[Node, Iterable[Gpu]],
    ports: Mapping[str, int],
    why: Why,
) -> Placement:
    """Write down one placement."""
    node, gpus = place
    return Placement(
        replica=replica,
        deployment=need.deployment,
        node=node.name,
        resources=need.resources,
        sharing=sharing_of(need),
        gpus=shares_of(need, gpus),
        ports=ports,
        priority=need.priority,
        pinned=need.pinned,
        why=why,
    )


def _spot(choice: Choice, draft: Draft) -> tuple[Node, list[Gpu]]:
    """The node and the GPUs of a choice."""
    gpus = draft.ground.gpus[choice.row]
    return draft.ground.nodes[choice.row], [gpus[slot] for slot in choice.slots]


def shares_of(need: Need, gpus: Iterable[Gpu]) -> tuple[GpuShare, ...]:
    """Promise these GPUs: all of each if exclusive."""
    if need.gpus is None:
        return ()
    if need.gpus.sharing is Sharing.EXCLUSIVE:
        return tuple(GpuShare(uuid=gpu.uuid, memory_mib=gpu.memory_mib) for gpu in gpus)
    promised = need.gpus.memory_mib or 0
    return tuple(GpuShare(uuid=gpu.uuid, memory_mib=promised) for gpu in gpus)


def sharing_of(need: Need) -> Sharing:
    """How its GPUs are held; exclusive where there are none."""
    return need.gpus.sharing if need.gpus is not None else Sharing.EXCLUSIVE
