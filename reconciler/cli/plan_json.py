"""A preview for a program. Pure."""

from __future__ import annotations

import json

from reconciler.cli.plan_texts import Previewed, diffs, unsettled
from reconciler.cli.proposal_texts import proposal_json
from reconciler.cli.steps import Step
from reconciler.preview import Fate, ReplicaChange
from schemas.assignment import Refusal


def as_json(shown: Previewed) -> str:
    """Write for a program."""
    preview = shown.preview
    value: dict[str, object] = {
        **({"remarks": list(shown.remarks)} if shown.remarks else {}),
        "summary": {str(fate): preview.count(fate) for fate in Fate},
        "changes": [_change_json(change, shown) for change in preview.replicas],
        **(
            {"ifRemovalsWereAllowed": [_change_json(change, shown) for change in shown.waiting]}
            if shown.waiting
            else {}
        ),
        "steps": [_step_json(step) for step in shown.steps],
        "mayLandElsewhere": list(unsettled(shown)),
        "unplaced": [refusal_json(refusal) for refusal in shown.refusals],
        "problems": [
            {
                "path": problem.place.path,
                "line": problem.place.line,
                "column": problem.place.column,
                "what": problem.what,
                "fix": problem.fix,
                "holds": list(shown.holds.get(problem, ())),
            }
            for problem in preview.problems
        ],
        **({"rebalance": proposal_json(shown.rebalance)} if shown.rebalance else {}),
    }
    return json.dumps(value, indent=2) + "\n"


def _change_json(change: ReplicaChange, shown: Previewed) -> dict[str, object]:
    value: dict[str, object] = {
        "replica": change.replica,
        "deployment": change.deployment,
        "fate": str(change.fate),
        "wasOn": change.was_on,
        "goesTo": change.goes_to,
        "why": change.why,
        "files": [file.path for file in change.files],
        "deletedVolumes": list(change.volumes),
    }
    return {**value, "diff": diffs(change)} if shown.with_files else value


def _step_json(step: Step) -> dict[str, object]:
    return {
        "deployment": step.deployment,
        "first": list(step.first),
        "meanwhile": [{"replica": one.replica, "text": one.text} for one in step.meanwhile],
        "holds": [
            {"reason": hold.reason, "text": hold.text, "replicas": list(hold.replicas)}
            for hold in step.holds
        ],
    }


def refusal_json(refusal: Refusal) -> dict[str, object]:
    """A refusal as JSON."""
    return {
        "replica": refusal.replica,
        "reasons": [{"text": r.text, "nodes": list(r.nodes)} for r in refusal.reasons],
        "hint": refusal.hint,
    }
