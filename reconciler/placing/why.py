"""Why a replica is where it is: the score of its node, term by term."""

from __future__ import annotations

from reconciler.placing.draft import Draft
from reconciler.placing.plan import Need
from reconciler.placing.trials import (
    DATA,
    IMAGE,
    LEVEL,
    MODEL,
    ORDER,
    PACKING,
    PREFER,
    SPARES_GPUS,
    TIE,
    Ask,
    Choice,
)
from schemas.assignment import RunnerUp, ScoreTerm, Why
from schemas.resources import Strategy


def why_here(
    need: Need, ask: Ask, choice: Choice, draft: Draft, runners: tuple[RunnerUp, ...]
) -> Why:
    """Tell the score of the chosen node apart into its terms."""
    row = choice.row
    order = float(draft.core.order[row])
    liked = float(ask.liked[row])
    pack = need.strategy is Strategy.PACK
    own = liked + choice.drawn + (order if pack else order * TIE)
    strategic = choice.score - own
    image = bool(need.image) and bool(draft.columns.having(need.image)[row])
    spares = need.gpus is None and bool(draft.columns.without_gpus[row])
    terms = [
        _term("packing", strategic, PACKING) if pack else _term("level", strategic, LEVEL),
        _term("order", order, ORDER) if pack else ScoreTerm(name="order", value=0.0, weight=TIE),
    ]
    if need.rules.prefer:
        terms.append(
            _term("preferred labels", liked - IMAGE * image - SPARES_GPUS * spares, PREFER)
        )
    if image:
        terms.append(_term("image is there", IMAGE, IMAGE))
    if spares:
        terms.append(_term("spares GPUs", SPARES_GPUS, SPARES_GPUS))
    text = "packs the fleet best" if pack else "is the emptiest"
    if choice.drawn and need.has_data:
        text = "its data is there"
        terms.append(_term(text, choice.drawn, DATA))
    elif choice.drawn:
        terms.append(_term("its model files are there", choice.drawn, MODEL))
    score, here = round(choice.score, 4), draft.ground.nodes[row].name
    # Where many are placed at once, runners were scored before the first of them: whoever was
    # ahead then has since got one of the others, and came second to nobody.
    behind = (one for one in runners if one.node != here and one.score <= score)
    return Why(text=text, score=score, terms=tuple(terms), runners_up=tuple(behind)[:3])


def _term(name: str, amount: float, weight: float) -> ScoreTerm:
    """One term: the part of its weight that the node got."""
    value = round(min(max(amount / weight, 0.0), 1.0), 4)
    return ScoreTerm(name=name, value=value, weight=weight)
