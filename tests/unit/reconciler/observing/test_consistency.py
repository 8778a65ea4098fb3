"""Documents that name each other: what is not there is told, and holds who named it."""

from __future__ import annotations

import pytest

from reconciler.observing.ineffective import ineffective
from reconciler.observing.observe import observe
from reconciler.observing.snapshot import Snapshot
from tests.unit.reconciler.world import World, a_small_fleet, a_world, deployment


def told(**files: str) -> dict[str, list[str]]:
    """What holds each deployment of a small fleet with these files in addition."""
    desired = {path: text.encode() for path, text in a_small_fleet(**files).items()}
    held = observe(Snapshot(source=None, desired=desired)).held
    return {name: [str(problem) for problem in problems] for name, problems in held.items()}


WEB = "deployments/web.yaml"


@pytest.mark.parametrize(
    ("placement", "words"),
    [
        (
            "{pin: [bet]}",
            f"{WEB}:6:21: it is pinned to 'bet', and there is no such node. "
            "Fix: did you mean 'beta'?",
        ),
        (
            "{pin: [gpu-99]}",
            f"{WEB}:6:21: it is pinned to 'gpu-99', and there is no such node. "
            "Fix: write nodes/gpu-99.yaml, or take it out",
        ),
        (
            "{near: [{deployments: [chat]}, {deployments: [vectors], over: zone}]}",
            f"{WEB}:6:60: it has to be near 'vectors', and there is no such deployment. "
            "Fix: write deployments/vectors.yaml, or take it out",
        ),
    ],
)
def test_a_name_that_nobody_wrote_is_told_where_it_stands(placement: str, words: str) -> None:
    assert told(**{WEB: deployment("web", placement=placement)}) == {"web": [words]}


@pytest.mark.parametrize(
    ("placement", "words"),
    [
        (
            "{pin: [alpha, bet]}",
            f"{WEB}:6:28: it is pinned to 'bet', and there is no such node. "
            "Fix: did you mean 'beta'?",
        ),
        (
            "{apart: [{deployments: [web, chta]}]}",
            f"{WEB}:6:43: it has to be apart from 'chta', and there is no such deployment. "
            "Fix: did you mean 'chat'?",
        ),
    ],
)
def test_one_that_only_leaves_more_or_less_choice_is_warned_of_and_holds_nobody(
    placement: str, words: str
) -> None:
    files = a_small_fleet(**{WEB: deployment("web", placement=placement)})
    desired = {path: text.encode() for path, text in files.items()}
    found = observe(Snapshot(source=None, desired=desired))
    known = [one.name for one in found.deployments]

    warned = ineffective(found.deployments, known, [record.name for record in found.records])

    assert found.held == {}
    assert [str(one) for one in warned] == [words]


def test_what_it_depends_on_may_have_been_misspelt() -> None:
    (problem,) = told(**{WEB: deployment("web", dependsOn="[chatt]")})["web"]

    assert problem.endswith(
        "it depends on 'chatt', and there is no such deployment. Fix: did you mean 'chat'?"
    )


@pytest.mark.parametrize(
    "placement",
    [
        "{pin: [alpha, beta]}",
        "{near: [{deployments: [chat]}], apart: [{deployments: [web]}]}",
        "{apart: [{deployments: [broken, old]}], pin: [sick]}",
    ],
)
def test_what_is_written_but_broken_is_no_stranger(placement: str) -> None:
    files = {
        WEB: deployment("web", placement=placement),
        "deployments/broken.yaml": "kind: [",
        "deployments/old.yml": deployment("old"),
        "nodes/sick.yaml": "kind: [",
    }

    assert "web" not in told(**files)


def homes(world: World) -> dict[str, str]:
    return {one.replica: one.node for one in world.decide().plan.placements}


@pytest.mark.parametrize(
    ("placement", "removed", "words"),
    [
        ("{pin: [alpha]}", "nodes/alpha.yaml", "it is pinned to 'alpha'"),
        ("{near: [{deployments: [chat]}]}", "deployments/chat.yaml", "near 'chat'"),
    ],
)
def test_who_names_what_main_removes_is_held_as_it_runs_and_nobody_else(
    placement: str, removed: str, words: str
) -> None:
    files = {WEB: deployment("web", placement=placement), "deployments/x.yaml": deployment("x")}
    world = a_world(files=a_small_fleet(**files))
    world.pass_once()
    before = homes(world)

    world.commit({removed: None, "deployments/x.yaml": deployment("x", replicas=2)})
    world.pass_once()

    assert homes(world)["web-0"] == before["web-0"]
    assert "x-1" in homes(world)
    (problem,) = world.decide().problems
    assert words in problem.what
    assert problem.place.line == 6
