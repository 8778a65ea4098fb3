"""Which rows the rules about other replicas leave: near, apart and spread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from reconciler.placing.draft import Draft
from reconciler.placing.ground import Bools, Ints
from reconciler.placing.plan import Need
from schemas.names import DeploymentName
from schemas.resources import Spread


def has_rules(need: Need, draft: Draft) -> bool:
    """Whether anything about other replicas has to be asked for this need."""
    return bool(need.rules.near or need.rules.spread or need.deployment in draft.repelled)


def left_by_rules(need: Need, draft: Draft) -> Bools:
    """Which rows all rules leave for one more replica."""
    rows = np.ones(len(draft.ground.nodes), dtype=np.bool_)
    for _, left in each_rule(need, draft):
        rows &= left
    return rows


def each_rule(need: Need, draft: Draft) -> Iterator[tuple[str, Bools]]:
    """Go through the rules: what a refusal would say, and the rows that are left."""
    for rule in draft.repelled.get(need.deployment, ()):
        together = _where(rule.over, rule.other, draft)
        yield f"must be apart from {rule.other} over {rule.over}", ~together
    for near in need.rules.near:
        for other in sorted(set(near.deployments)):
            if not draft.rows_of.get(other):
                if not _goes_first(need, other, draft):
                    nowhere = np.zeros(len(draft.ground.nodes), dtype=np.bool_)
                    yield f"must be near {other}, which runs nowhere", nowhere
            else:
                together = _where(near.over, other, draft)
                yield f"must be near {other} over {near.over}", together
    for spread in need.rules.spread:
        yield from _even(need, spread, draft)


def domains(need: Need, over: str, draft: Draft) -> Bools:
    """Which values of a label count for spreading: those with a node that may be used at all."""
    values, codes = draft.columns.label(over)
    usable = draft.ask(need).allowed & _suited(need, draft)
    counted = np.zeros(len(values), dtype=np.bool_)
    counted[codes[usable]] = True
    return counted & np.array([value is not None for value in values], dtype=np.bool_)


def _goes_first(need: Need, other: DeploymentName, draft: Draft) -> bool:
    """Whether one may go first: a deployment near itself, or two that wait for each other."""
    if other == need.deployment:
        return True
    them = draft.needs.get(other)
    return them is not None and any(need.deployment in rule.deployments for rule in them.rules.near)


def _where(over: str, other: DeploymentName, draft: Draft) -> Bools:
    """Which rows are in a domain where the other deployment has a replica."""
    values, codes = draft.columns.label(over)
    there = np.zeros(len(values), dtype=np.bool_)
    there[codes[_rows(draft.rows_of.get(other, ()))]] = True
    there &= np.array([value is not None for value in values], dtype=np.bool_)
    return there[codes]


def _even(need: Need, rule: Spread, draft: Draft) -> Iterator[tuple[str, Bools]]:
    """Leave the domains that do not come to lead by more than the allowed skew."""
    values, codes = draft.columns.label(rule.over)
    counted = domains(need, rule.over, draft)
    labelled = np.array([value is not None for value in values], dtype=np.bool_)
    yield f"has no label {rule.over} to spread over", labelled[codes]
    here = np.zeros(len(values), dtype=np.int64)
    for row, count in draft.rows_of.get(need.deployment, {}).items():
        here[codes[row]] += count
    least = int(here[counted].min()) if counted.any() else 0
    text = f"would lead by more than {rule.max_skew} over {rule.over}; another has {least}"
    yield text, (labelled & (here + 1 - least <= rule.max_skew))[codes]


def _suited(need: Need, draft: Draft) -> Bools:
    """Which rows have, even if empty, enough GPUs of a kind that will do."""
    shape, rows = draft.ask(need).shape, draft.ground.now
    if not shape.gpus:
        return np.ones(len(rows.free), dtype=np.bool_)
    suits = np.array([*shape.kinds, False])[rows.kind]
    most = np.zeros(len(rows.free), dtype=np.int64)
    for model in range(int(rows.model.max(initial=-1)) + 1):
        most = np.maximum(most, (suits & (rows.model == model)).sum(axis=1))
    suited: Bools = most >= shape.gpus
    return suited


def _rows(rows: Iterable[int]) -> Ints:
    return np.array(list(rows), dtype=np.int64)
