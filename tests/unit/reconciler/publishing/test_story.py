"""What `git log assignments` says of every kind of decision, word by word."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.preview import preview
from reconciler.publishing.story import LINES_MAX, message, node_message
from schemas.names import NodeName
from tests.unit.reconciler.world import (
    FLEET,
    WEB_COMPOSE,
    World,
    a_small_fleet,
    a_world,
    deployment,
    node,
)
from tests.unit.rolling.fleet import a_fleet_of


def one_node() -> World:
    world = a_world("alpha", files={**a_small_fleet(), "nodes/beta.yaml": node("beta")})
    world.commit({"nodes/beta.yaml": None})
    return world


def story(world: World) -> str:
    result = world.decide()
    return message(result, preview(result))


def test_the_first_decision() -> None:
    world = one_node()

    assert story(world) == (
        "chat: place chat-0 on alpha\n"
        "\n"
        "place chat-0 on alpha: is the emptiest\n"
        "admit the node alpha\n"
        "\n"
        f"Source: {world.decide().observed.source}\n"
        "Reason: chat is new\n"
        "Reason: alpha was admitted\n"
        "Placed: chat-0 on alpha\n"
        "Rolling: chat\n"
    )


def test_every_volume_that_goes_has_a_trailer() -> None:
    files = {**a_small_fleet(), "templates/web/compose.yaml.j2": f"{WEB_COMPOSE}volumes: {{d: }}\n"}
    files["deployments/chat.yaml"] = deployment("chat", volumes="{onRemove: delete}")
    del files["nodes/beta.yaml"]
    world = a_world("alpha", files=files)
    world.pass_once()
    world.commit({"deployments/chat.yaml": None})

    assert story(world).endswith(
        "Removed: chat-0 from alpha\nDeleted-Volume: miaas-alpha-chat-0_d on alpha\n"
    )


@pytest.mark.parametrize(
    ("changes", "subject", "trailers"),
    [
        pytest.param(
            {"deployments/chat.yaml": deployment("chat", parameters="{text: x}")},
            "chat: change chat-0 on alpha",
            ["Reason: chat or its template changed", "Changed: chat-0 on alpha", "Rolling: chat"],
            id="change",
        ),
        pytest.param(
            {"deployments/chat.yaml": None},
            "chat: remove chat-0 from alpha",
            ["Reason: chat was removed", "Removed: chat-0 from alpha"],
            id="remove",
        ),
        pytest.param(
            {"deployments/chat.yaml": deployment("chat", replicas=3)},
            "chat: place 2",
            [
                "Reason: chat had 1 replicas and wants more",
                "Placed: chat-1 on alpha",
                "Placed: chat-2 on alpha",
                "Rolling: chat",
            ],
            id="more",
        ),
        pytest.param(
            {"deployments/chat.yaml": None, "deployments/web.yaml": deployment("web")},
            "2 deployments: place 1, remove 1",
            [
                "Reason: chat was removed",
                "Reason: web is new",
                "Placed: web-0 on alpha",
                "Removed: chat-0 from alpha",
                "Rolling: web",
            ],
            id="two",
        ),
        pytest.param(
            {"deployments/chat.yaml": "nonsense"},
            "chat: held",
            ["Reason: chat cannot be used as it is written", "Held: chat"],
            id="held",
        ),
        pytest.param(
            {"nodes/beta.yaml": node("beta")},
            "beta: admit the node",
            ["Reason: beta was admitted"],
            id="node",
        ),
        pytest.param(
            {"deployments/big.yaml": deployment("big", resources="{memory: 1TiB}")},
            "big: unplaced",
            ["Reason: big finds too few nodes", "Rolling: big"],
            id="unplaced",
        ),
        pytest.param(
            {"nodes/gamma.yaml": "nonsense"},
            "gamma: admit the node",
            ["Reason: gamma was admitted"],
            id="broken node",
        ),
        pytest.param(
            {"fleet.yaml": FLEET + "spec: {timings: {poll: 60s}}\n"},
            "alpha: tell the node again",
            ["Reason: the fleet's settings, or where a node's own ref stood"],
            id="settings",
        ),
        pytest.param(
            {"templates/bad/template.yaml": "nonsense"},
            "decision: other problems",
            ["Reason: the problems of documents changed"],
            id="problems",
        ),
    ],
)
def test_the_subject_and_the_trailers_of_a_change(
    changes: dict[str, str | None], subject: str, trailers: list[str]
) -> None:
    world = one_node()
    world.pass_once()

    world.commit(changes)
    lines = story(world).splitlines()

    assert lines[0] == subject
    assert lines[-len(trailers) - 1 :] == [f"Source: {world.decide().observed.source}", *trailers]


def test_a_move_names_both_nodes() -> None:
    world = a_world("alpha")
    world.pass_once()
    world.beat("beta")

    world.commit({"nodes/alpha.yaml": node("alpha", duty="draining")})

    assert story(world).splitlines()[0] == "chat: move chat-0 from alpha to beta"
    assert "Reason: chat-0 could not stay on alpha: alpha is draining\n" in story(world)


@pytest.mark.parametrize(
    ("changes", "silent", "why"),
    [
        pytest.param({}, True, "{home} is lost", id="lost"),
        pytest.param({"nodes/{home}.yaml": None}, False, "nodes/{home}.yaml is gone", id="gone"),
        pytest.param(
            {"deployments/chat.yaml": deployment("chat", placement="{pin: [{other}]}")},
            False,
            "{home} does not take it any longer",
            id="pinned elsewhere",
        ),
    ],
)
def test_a_move_says_why_it_could_not_stay(
    changes: dict[str, str | None], silent: bool, why: str
) -> None:
    fleet = a_fleet_of("alpha", "beta", "gamma", chat=deployment("chat"))
    (home,) = fleet.homes().values()
    other = next(name for name in fleet.agents if name != home)
    fleet.silent = {home} if silent else set()
    filled = {
        path.replace("{home}", home): text and text.replace("{other}", other)
        for path, text in changes.items()
    }
    fleet.world.commit(filled)
    fleet.wait(timedelta(minutes=6) if silent else timedelta(seconds=30))

    told = "\n".join(fleet.world.history())

    assert f"Reason: chat-0 could not stay on {home}: {why.format(home=home)}\n" in told


def test_a_decision_in_which_only_waits_end_says_whose() -> None:
    names = ("alpha", "beta", "gamma")
    chats = {name: deployment(name) for name in ("chat", "web")}
    fleet = a_fleet_of(*names, **chats)
    fleet.rest(3)
    fleet.silent = set(names)
    fleet.wait(timedelta(minutes=6))
    assert fleet.because("chat") == fleet.because("web") == {"massLoss"}

    fleet.silent = set()
    fleet.rest(3)

    subjects = [one.partition("\n")[0] for one in fleet.world.history()]
    assert "chat, web: wait no longer" in subjects
    assert "decision: other problems" not in subjects


def test_a_broken_node_is_the_reason_of_what_it_holds() -> None:
    world = one_node()
    world.pass_once()
    world.commit({"nodes/alpha.yaml": "x: 1\n"})

    told = story(world)

    assert "Reason: chat is held by nodes/alpha.yaml:1:1: apiVersion is missing\n" in told
    assert "cannot be used as it is written" not in told


def test_what_the_guard_holds_says_so_of_each_and_names_no_file() -> None:
    names = [f"d{number}" for number in range(4)]
    files = {f"deployments/{name}.yaml": deployment(name) for name in names}
    world = a_world("alpha", files={**a_small_fleet(), **files})
    world.pass_once()
    world.commit(dict.fromkeys(files))

    told = story(world)

    why = "main removes 4 of 5 running deployments, and guards.maxRemovals (30%) allows 3"
    assert f"Reason: d0 is held: {why}\n" in told
    assert f"d0 is held: {why}. Fix: if that is meant, push a commit that says so: " in told
    assert "deployments/d0.yaml" not in told
    assert "cannot be used as it is written" not in told


def test_what_has_a_node_and_waits_says_for_what() -> None:
    ledger = {"deployments/ledger.yaml": deployment("ledger", disconnect="{stopAfter: 4m}")}
    fleet = a_fleet_of("alpha", "beta", chat=deployment("chat"))
    fleet.world.commit(ledger)
    fleet.rest(4)
    (home,) = fleet.homes("ledger").values()
    fleet.world.commit({f"nodes/{home}.yaml": node(home, duty="draining")})

    told = story(fleet.world)

    (hold,) = fleet.world.decide().decision.deployments[1].holds
    assert f"\nledger is unplaced: ledger-0 {hold.text}\n" in told
    assert f"\nReason: ledger {hold.text}\n" in told
    assert "too few nodes" not in told
    assert "no reason known" not in told


def test_a_nodes_own_commit_tells_its_part() -> None:
    world = one_node()
    world.pass_once()
    world.commit({"deployments/chat.yaml": deployment("chat", replicas=2)})
    result = world.decide()

    assert node_message(result, preview(result), NodeName("alpha")) == (
        "alpha: generation 2\n\nplace chat-1 on alpha: is the emptiest\n\n"
        f"Source: {result.observed.source}\n"
    )


def test_a_great_change_is_told_in_bounds() -> None:
    names = [f"d{number:03}" for number in range(LINES_MAX + 10)]
    files = {f"deployments/{n}.yaml": deployment(n, resources="{cpu: 10m}") for n in names}
    world = a_world(files={**a_small_fleet(), **files})

    lines = story(world).splitlines()

    assert lines[0] == f"{LINES_MAX + 11} deployments: place {LINES_MAX + 11}"
    assert lines[-1] == "Rolling: and 11 more"
    assert "Placed: and 11 more" in lines
    assert len([line for line in lines if line.startswith("Placed: ")]) == LINES_MAX + 1


def test_no_text_of_others_can_look_like_a_trailer() -> None:
    world = one_node()
    world.pass_once()
    world.commit({"deployments/bad.yaml": deployment("bad", template='"x\\n\\nPlaced: evil"')})

    lines = story(world).splitlines()

    assert not [line for line in lines if line.startswith("Placed: ")]


def test_a_decision_says_the_same_whenever_it_is_told() -> None:
    world = one_node()
    before = story(world)

    world.clock.pass_by(timedelta(seconds=30))

    assert story(world) == before
