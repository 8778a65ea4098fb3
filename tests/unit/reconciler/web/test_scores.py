"""Scores as people read them, and every term of the planner with its meaning."""

from __future__ import annotations

from reconciler.placing.engine import plan
from reconciler.web.replicas import why_view
from reconciler.web.scores import Points, points
from reconciler.web.views import ScoreView
from schemas.names import replica_name
from schemas.resources import Expression, Operator, PlacementRules, Preference, Strategy
from tests.builders import a_gpu_need, a_need, a_node


def test_a_term_is_told_in_points_with_two_digits() -> None:
    terms = (
        ScoreView(name="packing", value=0.9512345678901, weight=10.0),
        ScoreView(name="a new one", value=1.0, weight=0.25),
        ScoreView(name="order", value=1.0, weight=0.001),
    )

    assert list(points(terms)) == [
        Points("9.51", "10", "packing", "leaves the most room for what else is asked for"),
        Points("0.25", "0.25", "a new one", ""),
    ]


def test_every_term_that_the_planner_gives_is_explained() -> None:
    wish = Preference(expression=Expression(key="fast", operator=Operator.EXISTS))
    rules = PlacementRules(prefer=(wish,))
    needs = tuple(
        a_need(
            f"{strategy}-{kind}",
            rules=rules,
            image="img",
            strategy=strategy,
            gpus=gpus,
            has_data=gpus is None,
        )
        for strategy in Strategy
        for kind, gpus in (("plain", None), ("gpu", a_gpu_need()))
    )
    there = {
        "images": frozenset({"img"}),
        "volumes": frozenset(replica_name(need.deployment, 0) for need in needs),
        "labels": {"fast": "yes"},
    }
    nodes = (a_node("a", **there), a_node("b", cards=["t4"] * 4, **there))
    made = plan(needs, nodes, ())
    assert made.refusals == ()

    told = [one for placed in made.placements for one in points(why_view(placed.why).terms)]

    assert {one.name for one in told} >= {
        "packing",
        "level",
        "image is there",
        "its data is there",
        "its model files are there",
        "spares GPUs",
    }
    assert all(one.meaning for one in told), [one.name for one in told if not one.meaning]


def test_nobody_who_came_second_scored_more() -> None:
    needs = tuple(
        a_need(f"d{number}", replicas=6, strategy=strategy)
        for number, strategy in enumerate(Strategy)
    )

    made = plan(needs, tuple(map(a_node, "abcd")), ())

    for placed in made.placements:
        assert all(other.score <= placed.why.score for other in placed.why.runners_up)
        assert placed.node not in {other.node for other in placed.why.runners_up}
    assert any(placed.why.runners_up for placed in made.placements)
