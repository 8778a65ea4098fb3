"""Whole passes over a fleet in memory: what is held, what goes on, what is never touched."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest

from reconciler.decide import decide
from reconciler.observing.bounds import LEAP
from reconciler.rolling.marks import Memory
from schemas.assignment import Verdict, parse_assignment, parse_decision
from schemas.names import CommitId, NodeName
from schemas.problem import BadDocumentError
from tests.builders import a_gpu_uuid, a_host
from tests.unit.reconciler.world import (
    FLEET,
    WEB,
    WEB_COMPOSE,
    InlineRenderer,
    World,
    a_small_fleet,
    a_world,
    deployment,
    node,
)

K = TypeVar("K")
V = TypeVar("V")


def verdict(world: World, name: str) -> str:
    decision = parse_decision(world.tree()["decision.json"].decode(), path="decision.json")
    return next(one.verdict for one in decision.deployments if one.name == name)


def problems(world: World) -> list[str]:
    return [str(problem) for problem in world.decide().problems]


def where(world: World, replica: str) -> str:
    paths = [path for path in world.tree() if f"/{replica}/compose.yaml" in path]
    assert len(paths) == 1, f"{replica} is in {paths}"
    return paths[0].split("/")[1]


def test_a_commit_becomes_an_assignment_with_its_rendered_files() -> None:
    world = a_world()

    world.pass_once()

    host = where(world, "chat-0")
    assert world.tree()[f"nodes/{host}/chat-0/compose.yaml"].decode() == (
        'services:\n  web:\n    image: "example.org/web:1.0"\n    environment:\n'
        '      TEXT: "hello"\n    ports:\n      - "20000:8080"\n'
    )
    assert world.own_tree(host) == {
        path.removeprefix(f"nodes/{host}/"): content
        for path, content in world.tree().items()
        if path.startswith(f"nodes/{host}/")
    }
    assert verdict(world, "chat") == Verdict.PLACED


def test_a_pass_without_a_change_publishes_nothing() -> None:
    world = a_world()
    world.pass_once()
    refs = dict(world.server.refs)

    again = world.pass_once()

    assert again.commit is None
    assert world.server.refs == refs


def test_a_new_heartbeat_alone_publishes_nothing() -> None:
    world = a_world()
    world.pass_once()

    world.beat("alpha", sequence=2)
    world.clock.pass_by(timedelta(seconds=30))

    assert world.pass_once().commit is None


def test_every_admitted_node_is_told_something_even_if_it_runs_nothing() -> None:
    world = a_world()
    world.pass_once()

    assert {"nodes/alpha/assignment.json", "nodes/beta/assignment.json"} <= world.tree().keys()


def test_a_removed_deployment_disappears_from_its_node() -> None:
    world = a_world()
    world.pass_once()

    world.commit({"deployments/chat.yaml": None})
    world.pass_once()

    assert not [path for path in world.tree() if "chat-0" in path]
    assert "Removed: chat-0 from " in world.history()[0]


def test_a_removed_node_is_told_to_run_nothing_and_its_work_goes_elsewhere() -> None:
    world = a_world()
    world.pass_once()
    gone = where(world, "chat-0")

    world.commit({f"nodes/{gone}.yaml": None})
    world.pass_once()

    told = parse_assignment(world.own_tree(gone)["assignment.json"].decode(), path="x")
    assert (told.replicas, told.generation) == ((), 2)
    assert where(world, "chat-0") != gone


def test_a_generation_grows_only_where_something_changed() -> None:
    world = a_world()
    world.pass_once()
    host = where(world, "chat-0")
    other = {"alpha": "beta", "beta": "alpha"}[host]

    world.commit({"deployments/chat.yaml": deployment("chat", parameters="{text: other}")})
    world.pass_once()

    generations = {
        name: json.loads(world.own_tree(name)["assignment.json"])["generation"]
        for name in (host, other)
    }
    assert generations == {host: 2, other: 1}


def test_a_generation_goes_above_what_an_agent_has_seen_after_a_restore_from_backup() -> None:
    world = a_world()
    world.pass_once()

    world.beat("alpha", sequence=2, generation=7)
    world.pass_once()

    assert json.loads(world.own_tree("alpha")["assignment.json"])["generation"] == 8 + LEAP
    assert world.pass_once().commit is None


@pytest.mark.parametrize(
    ("accepted", "generation", "wanted"),
    [
        pytest.param("a" * 40, 7, 8 + LEAP, id="obeys a later one that it has not reached"),
        pytest.param("a" * 40, 1, 2 + LEAP, id="obeys another one of the same generation"),
        pytest.param("ours", 1, 1, id="obeys what we know"),
        pytest.param("a" * 40, 0, 1, id="obeys an earlier one, and will follow"),
    ],
)
def test_a_generation_goes_above_what_an_agent_obeys_and_we_know_nothing_of(
    accepted: str, generation: int, wanted: int
) -> None:
    world = a_world()
    world.pass_once()
    ours = world.snapshot().assigned[NodeName("alpha")]

    world.beat(
        "alpha",
        sequence=2,
        accepted=ours if accepted == "ours" else CommitId(accepted),
        accepted_generation=generation,
    )
    world.pass_once()

    assert json.loads(world.own_tree("alpha")["assignment.json"])["generation"] == wanted
    assert world.pass_once().commit is None


BROKEN = [
    pytest.param("a: [", "deployments/chat.yaml:2:1: this is not YAML", id="no yaml"),
    pytest.param("", "deployments/chat.yaml", id="empty"),
    pytest.param(b"\xff\xfe", "deployments/chat.yaml:1:1", id="no text"),
    pytest.param(deployment("chat", template="wbe"), "did you mean 'web'?", id="template"),
    pytest.param(deployment("other"), "rename the file to other.yaml", id="other name"),
    pytest.param(
        deployment("chat", parameters="{txet: a}"), "deployments/chat.yaml:6:16", id="parameter"
    ),
    pytest.param(deployment("chat", ports="{htp: 80}"), "did you mean 'http'?", id="port"),
    pytest.param(b"#" * 1_048_577, "1048577 bytes", id="too large"),
]


@pytest.mark.parametrize(("text", "told"), BROKEN)
def test_a_broken_deployment_stays_as_it_was_and_says_where_and_why(
    text: str | bytes, told: str
) -> None:
    world = a_world()
    world.pass_once()
    before = world.tree()

    world.commit({"deployments/chat.yaml": text, "deployments/new.yaml": deployment("new")})
    world.pass_once()

    after = world.tree()
    kept = {path for path in before if "chat-0" in path}
    assert {path: after[path] for path in kept} == {path: before[path] for path in kept}
    assert verdict(world, "chat") == Verdict.HELD
    assert told in "\n".join(problems(world))
    assert where(world, "new-0")


def test_a_symbolic_link_in_place_of_a_deployment_does_not_remove_it() -> None:
    world = a_world()
    world.pass_once()
    snapshot = world.snapshot()
    files = {p: c for p, c in snapshot.desired.items() if p != "deployments/chat.yaml"}

    linked = replace(snapshot, desired=files, ignored=("deployments/chat.yaml",))
    result = decide(linked, world.clock.now, Memory(), world.renderer)

    assert list(result.held) == ["chat"]
    assert not any("chat-0" in path for path in result.changes.files)


@pytest.mark.parametrize("folder", ["deployments", "nodes", "templates"])
def test_a_link_in_place_of_a_folder_changes_nothing_anywhere(folder: str) -> None:
    world = a_world()
    world.pass_once()
    snapshot = world.snapshot()
    files = {p: c for p, c in snapshot.desired.items() if not p.startswith(f"{folder}/")}

    linked = replace(snapshot, desired=files, ignored=(folder,))
    result = decide(linked, world.clock.now, world.memory, world.renderer)

    assert list(result.changes.files) == ["decision.json"]
    assert [str(one.place) for one in result.observed.frozen] == [folder]


def test_a_link_that_hides_a_folder_of_deployments_removes_none() -> None:
    world = a_world()
    world.pass_once()
    snapshot = world.snapshot()
    files = {p: c for p, c in snapshot.desired.items() if p != "deployments/chat.yaml"}

    linked = replace(snapshot, desired=files, ignored=("deployments/team",))
    result = decide(linked, world.clock.now, world.memory, world.renderer)

    assert list(result.changes.files) == ["decision.json"]
    assert list(result.held) == ["chat"]
    assert [str(one.place) for one in result.problems] == ["deployments/team"]


def test_a_link_in_place_of_a_template_does_not_bring_the_built_in_one() -> None:
    world = a_world()
    snapshot = world.snapshot()
    own = {p: c for p, c in snapshot.desired.items() if p.startswith("templates/web/")}
    rest = {p: c for p, c in snapshot.desired.items() if p not in own}

    linked = replace(snapshot, desired=rest, builtin=own, ignored=("templates/web",))
    result = decide(linked, world.clock.now, world.memory, world.renderer)

    assert list(result.held) == ["chat"]


def test_the_same_deployment_in_two_folders_holds_it_and_names_both() -> None:
    world = a_world()
    world.pass_once()

    world.commit({"deployments/team/chat.yaml": deployment("chat", replicas=3)})

    found = "\n".join(problems(world))
    assert "deployments/chat.yaml: the same deployment is also written in" in found
    assert "deployments/team/chat.yaml: the same deployment is also written in" in found
    assert list(world.decide().held) == ["chat"]


def test_a_bad_template_holds_all_that_use_it_and_no_others() -> None:
    world = a_world(
        files=a_small_fleet(
            **{
                "deployments/second.yaml": deployment("second"),
                "templates/own/template.yaml": WEB.replace("web}", "own}"),
                "templates/own/compose.yaml.j2": WEB_COMPOSE,
                "deployments/third.yaml": deployment("third", template="own"),
            }
        )
    )
    world.pass_once()
    before = world.tree()

    world.commit({"templates/web/template.yaml": "kind: Nonsense\n"})
    world.commit({"deployments/third.yaml": deployment("third", template="own", replicas=2)})
    world.pass_once()

    after = world.tree()
    assert [path for path in before if after.get(path) != before[path] and "third" not in path] == [
        path
        for path in before
        if path.endswith(("decision.json", "assignment.json")) and after[path] != before[path]
    ]
    assert {name: verdict(world, name) for name in ("chat", "second", "third")} == {
        "chat": Verdict.HELD,
        "second": Verdict.HELD,
        "third": Verdict.PLACED,
    }


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"fleet.yaml": "kind: ["}, id="broken"),
        pytest.param({"fleet.yaml": None}, id="missing"),
        pytest.param(dict.fromkeys((*a_small_fleet(),)) | {"README": "x"}, id="empty"),
    ],
)
def test_without_fleet_settings_nothing_is_removed_anywhere(
    change: dict[str, str | None],
) -> None:
    world = a_world()
    world.pass_once()
    before = world.tree()

    world.commit(change)
    world.pass_once()

    after = world.tree()
    assert {p: c for p, c in after.items() if p != "decision.json"} == {
        p: c for p, c in before.items() if p != "decision.json"
    }
    assert verdict(world, "chat") == Verdict.HELD
    assert world.pass_once().commit is None


def test_a_broken_node_document_leaves_its_work_alone_and_adds_none() -> None:
    world = a_world("alpha", files=a_small_fleet())
    world.commit({"nodes/beta.yaml": None})
    world.pass_once()
    before = world.tree()

    world.commit({"nodes/alpha.yaml": "nonsense", "deployments/new.yaml": deployment("new")})
    world.pass_once()

    after = world.tree()
    assert [p for p in before if p.startswith("nodes/") and after[p] != before[p]] == []
    assert verdict(world, "new") == Verdict.UNPLACED


def test_a_heartbeat_that_nobody_understands_moves_nothing_and_makes_one_commit() -> None:
    arch = "{require: {miaas/arch: amd64}}"
    world = a_world(
        "alpha",
        files=a_small_fleet(**{"deployments/chat.yaml": deployment("chat", placement=arch)}),
    )
    world.pass_once()
    world.beat("beta")
    world.pass_once()
    before = world.tree()
    assert where(world, "chat-0") == "alpha"

    world.push_heartbeat("alpha", b"{}")
    world.pass_once()
    told = world.history()
    world.push_heartbeat("alpha", b"no json at all")
    world.pass_once()

    assert [p for p, c in world.tree().items() if before[p] != c] == ["decision.json"]
    assert "the heartbeat of the node 'alpha' cannot be understood" in "".join(problems(world))
    assert world.history() == told


def test_a_template_that_fails_for_one_deployment_holds_only_that_one() -> None:
    conditional = "{% if params.text == 'bad' %}{{ params.nothing }}{% endif %}\n" + WEB_COMPOSE
    world = a_world(files=a_small_fleet(**{"templates/web/compose.yaml.j2": conditional}))
    world.pass_once()
    before = world.tree()

    world.commit(
        {
            "deployments/chat.yaml": deployment("chat", parameters="{text: bad}"),
            "deployments/fine.yaml": deployment("fine", parameters="{text: good}"),
        }
    )
    world.pass_once()

    host = where(world, "chat-0")
    path = f"nodes/{host}/chat-0/compose.yaml"
    assert world.tree()[path] == before[path]
    assert "templates/web/compose.yaml.j2:1:1: there is no 'nothing' here" in str(problems(world))
    assert (verdict(world, "chat"), verdict(world, "fine")) == (Verdict.HELD, Verdict.PLACED)


def test_a_deployment_that_never_was_and_is_broken_has_no_replicas() -> None:
    world = a_world(files=a_small_fleet(**{"deployments/bad.yaml": "nonsense"}))

    world.pass_once()

    assert verdict(world, "bad") == Verdict.HELD
    assert not [path for path in world.tree() if "bad-" in path]


def test_poison_among_five_hundred_changes_only_what_is_poisoned() -> None:
    names = [f"d{number:03}" for number in range(500)]
    world = a_world(
        files=a_small_fleet(
            **{
                f"deployments/{name}.yaml": deployment(name, resources="{cpu: 10m}")
                for name in names
            }
        )
    )
    world.pass_once()
    before = world.tree()

    world.commit({"deployments/d250.yaml": "spec: {template: [}"})
    outcome = world.pass_once()

    assert list(outcome.result.changes.files) == ["decision.json"]
    assert list(outcome.result.held) == ["d250"]
    assert {p: c for p, c in world.tree().items() if p != "decision.json"} == {
        p: c for p, c in before.items() if p != "decision.json"
    }


def shuffled(mapping: Mapping[K, V], rng: random.Random) -> dict[K, V]:
    items = list(mapping.items())
    rng.shuffle(items)
    return dict(items)


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_input_does_not_matter(seed: int) -> None:
    more = {f"deployments/d{n}.yaml": deployment(f"d{n}", replicas=n % 4) for n in range(12)}
    world = a_world(files=a_small_fleet(**more, **{"deployments/bad.yaml": "nonsense"}))
    snapshot = world.snapshot()
    rng = random.Random(seed)

    mixed = replace(
        snapshot,
        desired=shuffled(snapshot.desired, rng),
        heartbeats=shuffled(snapshot.heartbeats, rng),
        builtin=shuffled(snapshot.builtin, rng),
    )
    first = decide(snapshot, world.clock.now, Memory(), InlineRenderer())
    second = decide(mixed, world.clock.now, Memory(), InlineRenderer())

    assert list(second.changes.files.items()) == list(first.changes.files.items())


def test_a_why_or_the_words_of_a_refusal_alone_are_no_change() -> None:
    world = a_world(
        files=a_small_fleet(
            **{"deployments/big.yaml": deployment("big", resources="{memory: 1TiB}")}
        )
    )
    world.pass_once()
    told = world.tree()["decision.json"]

    world.beat("alpha", sequence=2, host=a_host(foreign_memory_mib=1000))
    outcome = world.pass_once()

    assert outcome.commit is None
    assert world.tree()["decision.json"] == told
    refusals = outcome.result.plan.refusals
    assert [refusal.replica for refusal in refusals] == ["big-0"]


def test_what_somebody_else_wrote_into_the_assignments_is_put_right() -> None:
    world = a_world()
    world.pass_once()
    good = world.tree()
    host = where(world, "chat-0")
    client = world.client
    tip = client.fetch("refs/heads/assignments")["refs/heads/assignments"]
    tree = client.write(
        client.tree(tip).id,
        {f"nodes/{host}/chat-0/compose.yaml": b"evil", "nodes/ghost/x": b"", "extra": b""},
    )
    client.push_own(
        "refs/heads/assignments",
        client.commit(tree, parent=tip, message="tampered", at=world.clock.now),
    )

    world.pass_once()

    after = world.tree()
    own = f"nodes/{host}/assignment.json"
    assert {p: c for p, c in after.items() if p != own} == {
        p: c for p, c in good.items() if p != own
    }


def test_a_lost_own_ref_is_made_again_without_a_new_decision() -> None:
    world = a_world()
    commit = world.pass_once().commit
    kept = world.own_tree("alpha")
    del world.server.refs["refs/miaas/assigned/alpha"]

    again = world.pass_once().commit

    assert again == commit
    assert world.own_tree("alpha") == kept
    assert world.pass_once().commit is None


def test_an_own_decision_that_cannot_be_read_stops_the_pass() -> None:
    world = a_world()
    world.pass_once()
    client = world.client
    tip = client.fetch("refs/heads/assignments")["refs/heads/assignments"]
    tree = client.write(client.tree(tip).id, {"nodes/alpha/assignment.json": b"{"})
    client.push_own(
        "refs/heads/assignments",
        client.commit(tree, parent=tip, message="damaged", at=world.clock.now),
    )

    with pytest.raises(BadDocumentError, match=r"nodes/alpha/assignment\.json"):
        world.pass_once()


def test_a_gpu_deployment_is_told_the_uuid_of_its_gpu() -> None:
    compose = WEB_COMPOSE + "    labels: {{ gpus | map(attribute='uuid') | list }}\n"
    files = a_small_fleet(
        **{
            "templates/web/compose.yaml.j2": compose,
            "deployments/chat.yaml": deployment("chat", resources="{gpus: {count: 1}}"),
        }
    )
    world = a_world("alpha", files=files)
    world.beat("beta", cards=("l40s",))

    world.pass_once()

    text = world.tree()["nodes/beta/chat-0/compose.yaml"].decode()
    assert f'labels: ["{a_gpu_uuid(0, "beta")}"]' in text


def test_a_small_fleets_whole_tree(golden: Callable[[str, dict[str, bytes]], None]) -> None:
    files = a_small_fleet(
        **{
            "fleet.yaml": FLEET,
            "nodes/gpu-1.yaml": node("gpu-1"),
            "deployments/llm.yaml": deployment(
                "llm",
                template="llama-cpp",
                parameters="{model: 'ggml-org/gemma-3-4b-it-GGUF:Q4_K_M'}",
                resources="{gpus: {count: 1, memory: 20GiB}}",
            ),
            "deployments/chat.yaml": deployment("chat", replicas=3),
            "deployments/big.yaml": deployment("big", resources="{memory: 1TiB}"),
            "deployments/bad.yaml": deployment("bad", template="wbe"),
        }
    )
    world = a_world(files=files)
    world.beat("gpu-1", cards=("l40s", "l40s"))

    world.pass_once()

    golden("assignments", world.tree())
