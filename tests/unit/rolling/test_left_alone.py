"""Who is to stay where it is stays, while others are held and a plan is made around them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from schemas.assignment import Phase
from schemas.heartbeat import ReplicaState
from schemas.layout import heartbeat_ref
from schemas.names import NodeName
from tests.unit.reconciler.world import FLEET, WEB, WEB_COMPOSE, deployment, node
from tests.unit.rolling.fleet import Fleet, a_fleet_of, spread

CLOSED: Final = "spec: {windows: [{kind: allow, cron: '0 22 * * *', duration: 1h}]}\n"
FENCED: Final = "{stopAfter: 2m, loseAfter: 4m}"
THREE: Final = "pin: [alpha, beta, gamma]"


def placed(name: str, rule: str = "", replicas: int = 1, **spec: object) -> str:
    inner = ", ".join(filter(None, ("strategy: spread", rule)))
    return deployment(name, replicas=replicas, placement=f"{{{inner}}}", **spec)


def labelled(*names: str) -> dict[str, str]:
    plain = {f"nodes/{name}.yaml": node(name) for name in names}
    return {path: text.replace("}", ", labels: {room: hall}}", 1) for path, text in plain.items()}


def asking(name: str) -> dict[str, str]:
    """A template that needs to know the room of its node."""
    text = WEB_COMPOSE.replace("TEXT: {{ params.text }}", "TEXT: {{ node.labels.room }}")
    return {
        f"templates/{name}/template.yaml": WEB.replace("name: web", f"name: {name}"),
        f"templates/{name}/compose.yaml.j2": text,
    }


def a_chain(replicas: int, first: str, **spec: object) -> Fleet:
    """Three deployments on the same nodes."""
    return a_fleet_of(
        *("alpha", "beta", "gamma", "delta", "epsilon", "zeta"),
        aaa=placed("aaa", first, replicas),
        bbb=placed("bbb", first, replicas),
        ccc=placed("ccc", first, replicas, **spec),
    )


def pull_apart(fleet: Fleet, text: str, replicas: int, **spec: object) -> None:
    """Let the second leave the first, so that the third may stay in the end."""
    apart = "apart: [{{deployments: [{}]}}]"
    fleet.world.commit(
        {
            "fleet.yaml": text,
            "deployments/aaa.yaml": placed("aaa", "", replicas),
            "deployments/bbb.yaml": placed("bbb", apart.format("aaa"), replicas),
            "deployments/ccc.yaml": placed("ccc", apart.format("bbb"), replicas, **spec),
        }
    )


def test_nobody_moves_in_a_closed_window_for_one_that_waits_for_it() -> None:
    fleet = a_chain(1, "pin: [alpha]")

    pull_apart(fleet, FLEET + CLOSED, 1)
    fleet.rest(4)

    assert fleet.because("bbb") == {"window"}
    assert fleet.homes("ccc") == {"ccc-0": "alpha"}


def test_one_of_which_no_two_copies_may_run_is_not_stopped_for_one_that_waits() -> None:
    fleet = a_chain(1, "pin: [alpha]", disconnect=FENCED)

    pull_apart(fleet, FLEET + CLOSED, 1, disconnect=FENCED)
    fleet.world.pass_once()

    assert fleet.homes("ccc") == {"ccc-0": "alpha"}


@pytest.mark.parametrize("text", [FLEET + CLOSED, FLEET], ids=["closed", "open"])
def test_not_all_move_at_once_for_those_that_wait(text: str) -> None:
    fleet = a_chain(3, THREE)
    before = fleet.homes("ccc")

    pull_apart(fleet, text, 3)
    fleet.world.pass_once()

    moved = {name for name, home in fleet.homes("ccc").items() if before[name] != home}
    assert len(moved) <= 1


def sized(name: str, pin: str, text: str, cpu: int, **spec: object) -> str:
    resources, parameters = f"{{cpu: {cpu}}}", f"{{text: {text}}}"
    return placed(name, f"pin: [{pin}]", resources=resources, parameters=parameters, **spec)


def touched_in_a_circle(more: dict[str, str], **spec: object) -> set[str]:
    """The replicas of `chat` of which one moves and another is let go in the same pass.

    It waits for code, which has to stay on beta: big is to leave alpha, and is suspended.
    """
    spec |= {"replicas": 2, "dependsOn": "[code]"}
    fleet = a_fleet_of(
        *("alpha", "beta", "gamma", "delta", "epsilon"),
        big=sized("big", "alpha", "one", 10),
        code=sized("code", "beta", "one", 10),
        chat=sized("chat", "gamma, delta", "one", 1, **spec),
    )
    homes = fleet.homes()
    draining = homes["chat-1"]
    fleet.world.commit(
        {
            "deployments/big.yaml": sized("big", "epsilon", "one", 10, suspend="true"),
            "deployments/code.yaml": sized("code", "alpha", "two", 10),
            "deployments/chat.yaml": sized("chat", "gamma, delta, epsilon", "two", 1, **spec),
            f"nodes/{draining}.yaml": node(draining, duty="draining"),
            **more,
        }
    )
    fleet.world.pass_once()
    texts, now = fleet.texts(), fleet.homes()
    return {name for name in homes if now.get(name) != homes[name] or texts.get(name) != "one"}


@pytest.mark.parametrize(
    ("more", "spec"),
    [
        pytest.param({}, {}, id="alone"),
        pytest.param(
            {"deployments/newer.yaml": sized("newer", "beta", "one", 10)}, {}, id="new without room"
        ),
        pytest.param({}, {"disconnect": FENCED}, id="fenced"),
    ],
)
def test_one_that_is_let_go_from_a_circle_counts_with_those_that_move(
    more: dict[str, str], spec: dict[str, object]
) -> None:
    assert len(touched_in_a_circle(more, **spec)) <= 1


@pytest.mark.parametrize("spec", [{"suspend": "true"}, {"dependsOn": "[chat]"}])
def test_who_fails_waits_for_no_room_where_another_node_has_some(spec: dict[str, object]) -> None:
    """Who is held on its node may wait for it to be ready, or for ever."""
    fleet = a_fleet_of(
        *("alpha", "beta", "gamma"),
        big=sized("big", "alpha", "one", 10, **({} if "suspend" in spec else spec)),
        chat=sized("chat", "alpha", "one", 3),
    )
    fleet.states["chat-0"] = ReplicaState.FAILED
    fleet.rest(3)

    fleet.world.commit(
        {
            "deployments/big.yaml": sized("big", "gamma", "one", 10, **spec),
            "deployments/chat.yaml": sized("chat", "alpha, beta", "mended", 10),
        }
    )
    fleet.step()

    assert fleet.texts() == {"chat-0": "mended"}


def test_room_is_kept_for_one_that_waits_for_its_fence_and_no_more_than_that() -> None:
    everywhere = "pin: [alpha, beta, gamma]"
    fleet = a_fleet_of(
        *("alpha", "beta", "gamma"), single=placed("single", everywhere, disconnect=FENCED)
    )
    home = fleet.homes("single")["single-0"]
    fleet.agents[home].stops = False

    fleet.world.commit(
        {
            f"nodes/{home}.yaml": node(home, duty="draining"),
            "deployments/web.yaml": placed("web", resources="{cpu: 1}"),
        }
    )
    fleet.rest(2)

    assert fleet.homes("single") == {}
    assert fleet.homes("web")


def test_the_soak_of_a_canary_begins_anew_where_nobody_could_look_at_it() -> None:
    update = "{canary: 1, soak: 10m, progressDeadline: 60m, maxFailures: 5}"
    fleet = a_fleet_of(chat=spread(2, update=update))
    fleet.world.commit({"deployments/chat.yaml": spread(2, "two", update=update)})
    fleet.rest(4)
    (canary,) = (name for name, text in fleet.texts().items() if text == "two")

    fleet.world.commit({"templates/web/compose.yaml.j2": "{{ nobody.knows }}"})
    fleet.states[canary] = ReplicaState.STARTING
    fleet.rest(60)
    fleet.world.commit({"templates/web/compose.yaml.j2": WEB_COMPOSE})
    fleet.states.clear()
    fleet.obey()
    fleet.rest(2)

    assert sorted(fleet.texts().values()) == ["one", "two"]


def test_what_cannot_be_rendered_keeps_its_replica_on_a_lost_node() -> None:
    def big(name: str, pin: str, template: str = "web") -> str:
        placement = f"{{pin: [{pin}]}}"
        return deployment(name, template=template, resources="{cpu: 9}", placement=placement)

    fleet = a_fleet_of("alpha", "beta", "gamma", "delta", code=big("code", "beta"))
    chat = big("chat", "alpha", "lab")
    fleet.world.commit(
        {**asking("lab"), **labelled("alpha", "beta"), "deployments/chat.yaml": chat}
    )
    fleet.rest(4)

    fleet.world.commit(
        {
            "fleet.yaml": FLEET + CLOSED,
            "deployments/code.yaml": big("code", "delta"),
            "deployments/chat.yaml": big("chat", "alpha, beta, gamma", "lab"),
        }
    )
    fleet.rest(2)
    fleet.silent |= {"alpha"}
    fleet.wait(timedelta(minutes=7))

    assert fleet.homes("chat") == {"chat-0": "alpha"}


def test_a_way_back_that_cannot_be_rendered_comes_to_rest() -> None:
    names = ("alpha", "beta", "gamma")
    fleet = a_fleet_of(*names, chat=spread(3))
    lab = asking("web")["templates/web/compose.yaml.j2"]
    fleet.world.commit({**labelled(*names), "templates/web/compose.yaml.j2": lab})
    fleet.rest(6)

    plain = {f"nodes/{name}.yaml": node(name) for name in names}
    fleet.world.commit({**plain, "templates/web/compose.yaml.j2": WEB_COMPOSE})
    fleet.states = {f"chat-{index}": ReplicaState.FAILED for index in range(3)}
    fleet.rest(5)
    before = len(fleet.world.history())
    fleet.rest(20)

    assert len(fleet.world.history()) == before


def test_the_last_good_version_outlives_a_broken_template_while_a_replica_is_on_its_way() -> None:
    fleet = a_fleet_of("alpha", "beta", chat=spread(1, disconnect=FENCED))
    home = fleet.homes()["chat-0"]
    fleet.agents[home].stops = False
    fleet.world.commit({f"nodes/{home}.yaml": node(home, duty="draining")})
    fleet.rest(3)
    assert fleet.homes() == {}

    fleet.world.commit({"templates/web/compose.yaml.j2": "{{ nobody.knows }}"})
    fleet.rest(2)
    bad = spread(1, "bad", disconnect=FENCED)
    fleet.world.commit({"templates/web/compose.yaml.j2": WEB_COMPOSE, "deployments/chat.yaml": bad})
    fleet.states["chat-0"] = ReplicaState.FAILED
    fleet.agents[home].stops = True
    fleet.rest(8)

    assert fleet.phase() is Phase.ROLLED_BACK


def test_the_last_good_version_of_what_is_suspended_outlives_its_file() -> None:
    fleet = a_fleet_of(chat=spread(2), code=deployment("code"))
    fleet.world.commit({"fleet.yaml": f"{FLEET}spec: {{suspend: true}}\n"})
    fleet.rest(2)
    fleet.world.commit({"deployments/chat.yaml": None})
    fleet.rest(2)
    assert len(fleet.homes()) == 2

    fleet.world.commit({"deployments/chat.yaml": spread(2, "two"), "fleet.yaml": FLEET})
    fleet.step()
    fleet.states["chat-0"] = ReplicaState.FAILED
    fleet.rest(4)

    assert fleet.phase() is Phase.ROLLED_BACK


@pytest.mark.parametrize("rollback", ["true", "false"])
def test_smaller_and_more_of_them_on_the_same_node_comes_in(rollback: str) -> None:
    """The new one has no room before the old one lets go of its own, and waits for nobody else."""
    fleet = a_fleet_of("alpha", chat=deployment("chat", resources="{cpu: 12}"))

    fleet.change(
        "chat",
        replicas=2,
        resources="{cpu: 7}",
        parameters="{text: two}",
        update=f"{{rollback: {rollback}}}",
    )
    fleet.rest(6)

    assert fleet.texts() == {"chat-0": "two", "chat-1": "two"}


def test_one_that_has_room_is_ready_before_the_old_one_changes() -> None:
    fleet = a_fleet_of("alpha", chat=deployment("chat", resources="{cpu: 2}"))

    fleet.change("chat", replicas=2, resources="{cpu: 2}", parameters="{text: two}")
    fleet.world.pass_once()

    assert fleet.texts()["chat-1"] == "two"
    assert fleet.texts()["chat-0"] != "two"


def test_of_fenced_ones_only_the_one_that_has_another_place_is_stopped_for_it() -> None:
    names = ("alpha", "beta", "gamma", "delta")
    sizes = {"alpha": 15, "beta": 8, "delta": 8}
    fills = {
        f"x-{name}": placed(f"x-{name}", f"pin: [{name}]", resources=f"{{cpu: {cpu}}}", priority=5)
        for name, cpu in sizes.items()
    }
    guards = "  guards: {maxRemovals: 100%}\n"
    fleet = a_fleet_of(*names, fleet=guards, **fills)
    fleet.change("chat", **fenced(5))
    fleet.rest(4)
    assert len(fleet.homes()) == 4

    fleet.world.commit({"deployments/x-alpha.yaml": None})
    fleet.change("chat", **fenced(9))
    fleet.world.pass_once()

    assert len(fleet.homes()) == 3


def fenced(cpu: int) -> dict[str, object]:
    spec = {"resources": f"{{cpu: {cpu}}}", "placement": "{strategy: spread}"}
    return {"replicas": 4, "disconnect": FENCED, **spec}


def test_what_a_suspended_one_keeps_is_given_to_nobody() -> None:
    fleet = a_fleet_of("alpha", chat=deployment("chat", resources="{cpu: 12}"))

    fleet.world.commit(
        {
            "deployments/chat.yaml": deployment("chat", resources="{cpu: 2}", suspend="true"),
            "deployments/web.yaml": deployment("web", resources="{cpu: 9}"),
        }
    )
    fleet.rest(4)

    assert fleet.homes("chat") == {"chat-0": "alpha"}
    assert fleet.homes("web") == {}


def test_a_heartbeat_that_is_gone_stops_nobody() -> None:
    fleet = a_fleet_of(
        *("alpha", "beta", "gamma"),
        chat=placed("chat", "require: {miaas/os: linux}", 3, resources="{cpu: 10}"),
    )
    homes = fleet.homes()

    for name in ("alpha", "beta"):
        del fleet.world.server.refs[heartbeat_ref(NodeName(name))]
    fleet.world.pass_once()

    assert len(homes) == 3
    assert fleet.homes() == homes


def test_a_label_that_people_take_from_a_node_without_a_heartbeat_counts_and_is_told() -> None:
    names = ("alpha", "beta", "gamma")
    fleet = a_fleet_of(*names)
    chat = placed("chat", "require: {room: hall}")
    fleet.world.commit({**labelled(*names), "deployments/chat.yaml": chat})
    fleet.rest(4)
    home = fleet.homes()["chat-0"]
    del fleet.world.server.refs[heartbeat_ref(NodeName(home))]
    fleet.silent.add(home)
    fleet.rest(4)

    fleet.world.commit({f"nodes/{home}.yaml": node(home)})
    fleet.rest(4)

    assert fleet.homes()["chat-0"] != home or fleet.decision().holds
