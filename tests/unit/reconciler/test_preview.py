"""A preview tells what a push would change, and is what the pass then does."""

from __future__ import annotations

import pytest

from reconciler.decide import decide
from reconciler.observing.snapshot import Snapshot
from reconciler.preview import Fate, FileChange, Preview, ReplicaChange, preview, with_desired
from schemas.names import DeploymentName, NodeName, ReplicaName
from tests.unit.reconciler.world import (
    WEB_COMPOSE,
    World,
    a_small_fleet,
    a_world,
    deployment,
    node,
)

CHAT = DeploymentName("chat")
ZERO = ReplicaName("chat-0")
ALPHA, BETA = NodeName("alpha"), NodeName("beta")


def previewed(world: World, **changes: str | None) -> Preview:
    """Preview a work tree that differs from what is committed."""
    files = {**world.snapshot().desired}
    for path, text in changes.items():
        if text is None:
            del files[path]
        else:
            files[path] = text.encode()
    snapshot = with_desired(world.snapshot(), Snapshot(source=None, desired=files))
    return preview(decide(snapshot, world.clock.now, world.memory, world.renderer))


def a_decided_world() -> World:
    world = a_world("alpha", files=a_small_fleet())
    world.pass_once()
    world.beat("beta")
    world.pass_once()
    return world


def test_a_tree_without_a_difference_changes_nothing() -> None:
    assert previewed(a_decided_world()) == Preview(replicas=(), nodes=(), problems=())


def test_a_removal_shows_the_files_that_go() -> None:
    world = a_decided_world()
    text = world.tree()["nodes/alpha/chat-0/compose.yaml"]

    found = previewed(world, **{"deployments/chat.yaml": None})

    assert found.replicas == (
        ReplicaChange(
            replica=ZERO,
            deployment=CHAT,
            fate=Fate.REMOVE,
            was_on=ALPHA,
            files=(FileChange(path="compose.yaml", before=text, after=None),),
        ),
    )
    assert (found.nodes, found.count(Fate.REMOVE), found.count(Fate.ADD)) == ((ALPHA,), 1, 0)


STORE = f"{WEB_COMPOSE}volumes:\n  data: {{}}\n  cache: null\n".replace("{{}}", "{}")
VOLUMES = ("miaas-alpha-chat-0_cache", "miaas-alpha-chat-0_data")


def a_store(word: str) -> World:
    """A world whose only replica has two volumes and this word about them. beta is never seen."""
    files = a_small_fleet()
    files["templates/web/compose.yaml.j2"] = STORE
    files["deployments/chat.yaml"] = deployment("chat", volumes=f"{{onRemove: {word}}}")
    world = a_world("alpha", files=files)
    world.pass_once()
    return world


@pytest.mark.parametrize(("word", "volumes"), [("delete", VOLUMES), ("keep", ())])
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"deployments/chat.yaml": None}, id="removed"),
        pytest.param({"deployments/chat.yaml": deployment("chat", replicas=0)}, id="fewer"),
        pytest.param({"nodes/alpha.yaml": None}, id="node taken out"),
    ],
)
def test_volumes_that_would_be_deleted_are_named(
    word: str, volumes: tuple[str, ...], changes: dict[str, str | None]
) -> None:
    (change,) = previewed(a_store(word), **changes).replicas

    assert (change.fate, change.volumes) == (Fate.REMOVE, volumes)


@pytest.mark.parametrize("word", ["delete", "keep"])
def test_the_word_that_counts_is_the_one_that_was_published(word: str) -> None:
    """A commit that says `delete` and takes the deployment away at once deletes nothing."""
    other = {"delete": "keep", "keep": "delete"}[word]
    world = a_store(word)
    world.commit({"deployments/chat.yaml": deployment("chat", volumes=f"{{onRemove: {other}}}")})

    (change,) = previewed(world, **{"deployments/chat.yaml": None}).replicas

    assert bool(change.volumes) is (word == "delete")


def test_a_change_and_a_broken_document_delete_nothing() -> None:
    changed = deployment("chat", volumes="{onRemove: delete}", parameters="{text: x}")
    (change,) = previewed(a_store("delete"), **{"deployments/chat.yaml": changed}).replicas
    broken = previewed(a_store("delete"), **{"deployments/chat.yaml": "spec: ["})

    assert (change.fate, change.volumes) == (Fate.CHANGE, ())
    assert broken.replicas == ()


def test_a_change_shows_both_texts() -> None:
    world = a_decided_world()

    found = previewed(
        world, **{"deployments/chat.yaml": deployment("chat", parameters="{text: other}")}
    )

    (change,) = found.replicas
    assert (change.fate, change.was_on, change.goes_to) == (Fate.CHANGE, ALPHA, ALPHA)
    (file,) = change.files
    assert b'TEXT: "hello"' in (file.before or b"")
    assert b'TEXT: "other"' in (file.after or b"")


def test_a_move_names_both_nodes() -> None:
    found = previewed(a_decided_world(), **{"nodes/alpha.yaml": node("alpha", duty="draining")})

    (change,) = found.replicas
    assert (change.fate, change.was_on, change.goes_to) == (Fate.MOVE, ALPHA, BETA)
    assert found.nodes == (ALPHA, BETA)


def test_problems_of_the_work_tree_are_told() -> None:
    found = previewed(a_decided_world(), **{"deployments/chat.yaml": "nonsense"})

    assert found.replicas == ()
    assert [problem.place.path for problem in found.problems] == ["deployments/chat.yaml"]


@pytest.mark.parametrize("replicas", [0, 1, 4])
def test_what_is_previewed_is_what_the_pass_does(replicas: int) -> None:
    world = a_decided_world()
    text = deployment("chat", replicas=replicas)
    expected = previewed(world, **{"deployments/chat.yaml": text})

    world.commit({"deployments/chat.yaml": text})
    outcome = world.pass_once()

    assert preview(outcome.result) == expected
    assert len([p for p in world.tree() if p.endswith("/compose.yaml")]) == replicas


def test_replicas_stand_in_the_order_of_their_numbers() -> None:
    found = previewed(
        a_decided_world(), **{"deployments/chat.yaml": deployment("chat", replicas=12)}
    )

    assert [change.replica for change in found.replicas] == [f"chat-{n}" for n in range(1, 12)]
