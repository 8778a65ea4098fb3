"""The examples are whole: valid, placed, rendered, and their READMEs tell the true plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.decide import Pass, decide
from reconciler.observing.node import Node
from reconciler.placing.plan import Placement
from reconciler.rendering.port import Renderer
from reconciler.rolling.marks import Memory
from schemas.assignment import Verdict
from schemas.heartbeat import dump_heartbeat
from schemas.names import NodeName
from schemas.policy import check
from tests.builders import A_MOMENT, GIB, a_host
from tests.unit.catalogue.fleets import EXAMPLES, HEARTBEATS, NAMES, snapshot_of
from tests.unit.catalogue.shelf import Keep, compose_of
from tests.unit.catalogue.tables import with_table

by_example = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def decided(name: str, renderer: Renderer) -> Pass:
    """Let the reconciler decide about the example named by the test."""
    return _decided(name, renderer)


def _decided(name: str, renderer: Renderer) -> Pass:
    return decide(snapshot_of(name), A_MOMENT, Memory(), renderer)


@by_example
def test_examples_have_no_problems(decided: Pass) -> None:
    assert decided.problems == ()
    assert decided.notices == ()


@by_example
def test_everything_in_an_example_is_placed(decided: Pass) -> None:
    assert decided.plan.refusals == ()
    assert {one.verdict for one in decided.decision.deployments} == {Verdict.PLACED}


@by_example
def test_everything_in_an_example_is_rendered_and_passes_the_policy(decided: Pass) -> None:
    assert decided.rendered.keys() == {one.replica for one in decided.plan.placements}
    for replica, files in decided.rendered.items():
        assert check(files["compose.yaml"].decode(), path=replica) == ()


@by_example
def test_every_file_of_an_example_counts(name: str, decided: Pass) -> None:
    folder = EXAMPLES / name
    observed = decided.observed

    assert {one.name for one in observed.records} == _stems(folder / "nodes")
    assert {one.name for one in observed.deployments} == _stems(folder / "deployments")
    assert {beat.node for beat in HEARTBEATS[name]} == _stems(folder / "nodes")


@by_example
def test_the_readme_tells_the_plan(name: str, decided: Pass, kept: Keep) -> None:
    readme = EXAMPLES / name / "README.md"

    kept(readme, with_table(readme.read_text(), _plan_table(decided)))


@by_example
def test_the_order_in_which_nodes_spoke_does_not_matter(
    name: str, decided: Pass, renderer: Renderer
) -> None:
    snapshot = snapshot_of(name)
    turned = dict(reversed(list(snapshot.heartbeats.items())))

    again = decide(replace(snapshot, heartbeats=turned), A_MOMENT, Memory(), renderer)

    assert again.plan == decided.plan


def test_the_fleets_own_template_stands_before_the_built_in_one(renderer: Renderer) -> None:
    rendered = _decided("gpu-cluster", renderer).rendered

    images = {
        service["image"]
        for replica, files in rendered.items()
        if replica.startswith(("chat-", "code-"))
        for service in compose_of(files)["services"].values()
    }

    assert images == {"registry.example.internal/platform/vllm-openai:v0.26.0"}


def test_a_model_that_nobody_approved_holds_its_deployment_alone(renderer: Renderer) -> None:
    snapshot = snapshot_of("gpu-cluster")
    path = "deployments/chat/code.yaml"
    text = snapshot.desired[path].replace(b"Qwen/Qwen2.5-Coder-32B-Instruct", b"a/b")

    result = decide(
        replace(snapshot, desired={**snapshot.desired, path: text}), A_MOMENT, Memory(), renderer
    )

    assert result.held.keys() == {"code"}
    (problem,) = result.held["code"]  # type: ignore[index]
    assert problem.place.path == path
    assert len(result.plan.placements) == len(_decided("gpu-cluster", renderer).plan.placements) - 1


def test_large_models_take_four_gpus_of_one_node_in_each_zone(renderer: Renderer) -> None:
    result = _decided("gpu-cluster", renderer)

    large = _placements(result, "chat-large")

    assert [len(one.gpus) for one in large] == [4, 4]
    assert {_label(result, one, "zone") for one in large} == {"zone-a", "zone-b"}


def test_four_replicas_share_the_small_gpus_evenly_over_the_zones(renderer: Renderer) -> None:
    result = _decided("gpu-cluster", renderer)

    zones = [_label(result, one, "zone") for one in _placements(result, "embeddings")]

    counts = sorted(zones.count(zone) for zone in ("zone-a", "zone-b", "zone-c"))
    assert counts == [1, 1, 2]


def test_only_research_is_on_the_node_of_research(renderer: Renderer) -> None:
    result = _decided("gpu-cluster", renderer)

    there = {one.deployment for one in result.plan.placements if one.node == "l40s-c"}

    assert there == {"playground"}


def test_both_models_of_the_house_share_its_only_card(renderer: Renderer) -> None:
    result = _decided("homelab", renderer)

    chat, code = (_placements(result, name)[0].gpus[0] for name in ("chat", "code"))

    assert chat.uuid == code.uuid
    assert chat.memory_mib + code.memory_mib <= 24 * GIB


def test_without_its_card_the_house_says_why_and_keeps_the_rest(renderer: Renderer) -> None:
    snapshot = snapshot_of("homelab")
    blind = replace(HEARTBEATS["homelab"][0], gpus=(), host=a_host())
    beats = {**snapshot.heartbeats, NodeName("attic"): dump_heartbeat(blind).encode()}

    result = decide(replace(snapshot, heartbeats=beats), A_MOMENT, Memory(), renderer)

    assert {one.replica for one in result.plan.refusals} == {"chat-0", "code-0"}
    assert all(one.reasons for one in result.plan.refusals)


@pytest.mark.parametrize(
    ("name", "path", "before", "after", "refused"),
    [
        pytest.param(
            "homelab",
            "deployments/models/chat.yaml",
            b"sharing: shared",
            b"sharing: exclusive",
            {"code-0"},
            id="chat takes the only card for itself",
        ),
        pytest.param(
            "gpu-cluster",
            "deployments/chat/chat-large.yaml",
            b"replicas: 2",
            b"replicas: 3",
            {"chat-large-2"},
            id="one large model too many",
        ),
        pytest.param(
            "gpu-cluster",
            "nodes/t4-b.yaml",
            b"spec: {}",
            b"spec: {duty: draining}",
            set(),
            id="a drain that the others can bear",
        ),
        pytest.param(
            "gpu-cluster",
            "nodes/cpu-b.yaml",
            b"spec: {}",
            b"spec: {duty: draining}",
            {"gateway-1", "vectors-0"},
            id="a drain that they cannot",
        ),
    ],
)
def test_what_the_readmes_say_to_try_does_what_they_say(  # noqa: PLR0913, PLR0917 - a table
    name: str, path: str, before: bytes, after: bytes, refused: set[str], renderer: Renderer
) -> None:
    snapshot = snapshot_of(name)
    assert before in snapshot.desired[path]
    changed = {**snapshot.desired, path: snapshot.desired[path].replace(before, after)}

    result = decide(replace(snapshot, desired=changed), A_MOMENT, Memory(), renderer)

    assert result.problems == ()
    assert {one.replica for one in result.plan.refusals} == refused
    if path.startswith("nodes/"):
        assert Path(path).stem not in {one.node for one in result.plan.placements}


def _stems(folder: Path) -> set[str]:
    return {path.stem for path in folder.rglob("*.yaml")}


def _placements(result: Pass, deployment: str) -> list[Placement]:
    return [one for one in result.plan.placements if one.deployment == deployment]


def _label(result: Pass, placement: Placement, key: str) -> str:
    (node,) = (one for one in result.nodes if one.name == placement.node)
    return node.labels[key]


def _plan_table(result: Pass) -> str:
    nodes = {node.name: node for node in result.nodes}
    rows = "".join(
        f"| `{one.replica}` | {one.node} | {_gpu_words(one, nodes[one.node])} "
        f"| {', '.join(map(str, one.ports.values()))} |\n"
        for one in sorted(result.plan.placements, key=lambda one: one.replica)
    )
    return f"| replica | node | GPUs | port |\n|---|---|---|---|\n{rows}"


def _gpu_words(placement: Placement, node: Node) -> str:
    """Say which of the node's GPUs a replica has, counted from 0, and how much of a shared one."""
    order: Any = [gpu.uuid for gpu in node.gpus]
    cards = {gpu.uuid: gpu for gpu in node.gpus}
    words = [
        f"{order.index(share.uuid)} ({cards[share.uuid].model}"
        + (f", {share.memory_mib // GIB} GiB of it)" if placement.sharing == "shared" else ")")
        for share in placement.gpus
    ]
    return ", ".join(words)
