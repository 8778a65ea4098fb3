"""Moves that would gain something, in words: for a terminal, a pull request, a program. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.cli.terminal import Paint, Terminal, safe
from reconciler.placing.rebalance import Move
from reconciler.web.words import count
from schemas.fleet import RebalanceBudget


@dataclass(frozen=True, slots=True)
class Proposal:
    """What could be moved, what the fleet lets the reconciler move, and what that waits for."""

    moves: tuple[Move, ...]
    budget: RebalanceBudget
    waits_for: str | None


def proposal_text(proposal: Proposal, terminal: Terminal) -> str:
    """Write for a terminal."""
    if not proposal.moves:
        return "Rebalancing: no move of what runs would gain enough to be worth a restart.\n"
    names = max(len(move.replica) for move in proposal.moves)
    places = max(len(_where(move)) for move in proposal.moves)
    lines = [f"{terminal.paint('Rebalancing would gain:', Paint.BOLD)}\n"]
    for move in proposal.moves:
        why = terminal.paint(safe(move.why), Paint.SOFT)
        line = f"  {move.replica:<{names}}  {_where(move):<{places}}  +{move.gain:.2f}  {why}"
        lines.append(f"{line}\n")
    return "".join([*lines, f"{who_moves(proposal)}\n"])


def proposal_markdown(proposal: Proposal) -> str:
    """Write for a pull request."""
    if not proposal.moves:
        return "**Rebalancing**: no move would gain enough.\n"
    rows = "".join(
        f"| `{move.replica}` | {_where(move)} | +{move.gain:.2f} | {safe(move.why)} |\n"
        for move in proposal.moves
    )
    head = f"**Rebalancing would gain by {count(len(proposal.moves), 'move')}**\n\n"
    table = f"| replica | where | gain | why |\n|---|---|---|---|\n{rows}"
    return f"{head}{table}\n{who_moves(proposal)}\n"


def proposal_json(proposal: Proposal) -> dict[str, object]:
    """Write for a program."""
    return {
        "moves": [
            {
                "replica": move.replica,
                "wasOn": move.was_on,
                "goesTo": move.to.node,
                "gain": move.gain,
                "why": move.why,
            }
            for move in proposal.moves
        ],
        "movesPerPass": proposal.budget.moves_per_pass,
        "movesPerHour": proposal.budget.moves_per_hour,
        "waitsFor": proposal.waits_for,
    }


def who_moves(proposal: Proposal) -> str:
    """Say what becomes of a proposal by itself."""
    a_pass, an_hour = proposal.budget.moves_per_pass, proposal.budget.moves_per_hour
    if min(a_pass, an_hour) <= 0:
        return (
            "Nothing of this is done by itself: fleet.yaml has no spec.rebalance with movesPerPass "
            "and movesPerHour."
        )
    budget = f"The reconciler moves at most {a_pass} in a pass and {an_hour} in an hour"
    return f"{budget}, and waits now: {proposal.waits_for}." if proposal.waits_for else f"{budget}."


def _where(move: Move) -> str:
    return f"{move.was_on} -> {move.to.node}"
