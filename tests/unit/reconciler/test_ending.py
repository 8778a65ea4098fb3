"""What a plan says of those that no node takes: they stay, and nothing of theirs is deleted."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest

from reconciler.cli.plan_output import written
from reconciler.cli.plan_texts import Previewed
from reconciler.cli.steps import steps_of
from reconciler.cli.terminal import Terminal
from reconciler.decide import Pass, decide
from reconciler.observing.observe import observe
from reconciler.placing.capacity import capacity
from reconciler.placing.plan import Bound
from reconciler.preview import Preview, preview_of_aim
from reconciler.settling import desired_of
from reconciler.supposing import Supposed, suppose
from schemas.names import NodeName, ReplicaName
from schemas.resources import Resources
from tests.unit.reconciler.world import deployment, node
from tests.unit.rolling.fleet import Fleet, a_fleet_of

HALF = "{cpu: 10}"
DELETE = "{onMove: lose, onRemove: delete}"
WEB = "deployments/web.yaml"


def a_fleet() -> Fleet:
    """Two nodes, each with one replica: of chat, and of web, whose data would be deleted."""
    chat = deployment("chat", resources=HALF, volumes="{onMove: lose}")
    return a_fleet_of("alpha", "beta", volumes=True, chat=chat, web=a_web())


def a_web(**spec: object) -> str:
    return deployment("web", **{"resources": HALF, "volumes": DELETE, **spec})


def homes(fleet: Fleet) -> dict[str, str]:
    return {**fleet.homes("chat"), **fleet.homes("web")}


def shown(result: Pass, output: str = "text") -> str:
    terminal = Terminal.of(io.StringIO(), io.StringIO(), {"NO_COLOR": "1"})
    told = Previewed(
        preview=preview_of_aim(result), refusals=result.aim.plan.refusals, steps=steps_of(result)
    )
    return written(told, output, terminal)


LOST_WORD = {"placement": "{require: [{key: gone, operator: Exists}]}"}


@pytest.mark.parametrize("why", ["new version", "suspended", "drained"])
def test_what_no_node_takes_stays_and_the_plan_says_so(why: str) -> None:
    fleet = a_fleet()
    home = homes(fleet)["web-0"]
    pinned = a_web(placement=f"{{pin: [{home}]}}")
    fleet.world.commit({WEB: pinned})
    fleet.rest(3)
    changes, text = {
        "new version": ({WEB: a_web(**LOST_WORD)}, "no node takes its new version"),
        "suspended": ({WEB: a_web(**LOST_WORD, suspend="true")}, "no node takes its new version"),
        "drained": (
            {f"nodes/{home}.yaml": node(home, duty="draining")},
            f"{home} is drained, and no other node takes it",
        ),
    }[why]
    fleet.world.commit(changes)
    before = homes(fleet)

    planned = fleet.world.decide()
    fleet.rest(3)

    assert homes(fleet) == before
    for result in (planned, fleet.world.decide()):
        assert preview_of_aim(result) == Preview(replicas=(), nodes=(), problems=())
        assert steps_of(result) == ()
        assert f"  web-0\n    {home}: stays as it was: {text}" in shown(result)
        assert "deleted" not in shown(result)


def test_a_later_plan_and_other_outputs_say_it_too() -> None:
    fleet = a_fleet()
    home = homes(fleet)["web-0"]
    fleet.world.commit({WEB: a_web(**LOST_WORD)})
    fleet.rest(3)
    fleet.world.commit({"deployments/chat.yaml": None})
    result = fleet.world.decide()

    value = json.loads(shown(result, "json"))

    assert value["summary"] == {"add": 0, "change": 0, "move": 0, "remove": 1}
    assert [change["replica"] for change in value["changes"]] == ["chat-0"]
    (unplaced,) = value["unplaced"]
    text = "stays as it was: no node takes its new version: requires gone Exists"
    assert unplaced["replica"] == "web-0"
    assert unplaced["reasons"][0] == {"text": text, "nodes": [home]}
    assert f"- {home}: {text}\n" in shown(result, "markdown").replace("  ", "")


def test_who_was_to_have_its_room_stays_as_well() -> None:
    fleet = a_fleet()
    before = homes(fleet)
    home, other = before["chat-0"], before["web-0"]
    fleet.world.commit({WEB: a_web(**LOST_WORD), f"nodes/{home}.yaml": node(home, duty="draining")})

    result = fleet.world.decide()

    assert preview_of_aim(result).replicas == ()
    stays = {one.replica: one.reasons[0] for one in result.aim.plan.refusals}
    assert stays.keys() == {"chat-0", "web-0"}
    assert stays[ReplicaName("chat-0")].text == (
        f"stays as it was: its place on {other} is not free yet"
    )


def test_what_is_not_ready_is_not_kept_and_the_plan_says_that() -> None:
    fleet = a_fleet()
    fleet.world.commit({WEB: a_web(**LOST_WORD)})
    home = homes(fleet)["web-0"]
    fleet.agents[home].running.clear()
    fleet.say()

    (change,) = preview_of_aim(fleet.world.decide()).replicas

    assert (change.replica, change.fate) == ("web-0", "remove")


def test_a_supposed_loss_is_not_blamed_for_what_no_node_takes_anyway() -> None:
    fleet = a_fleet()
    lost = NodeName(homes(fleet)["chat-0"])
    fleet.world.commit({WEB: a_web(**LOST_WORD)})
    fleet.rest(3)
    real = fleet.world.snapshot()
    now = fleet.world.clock.now
    snapshot, _ = suppose(real, observe(real), Supposed(lost=(lost,)), now)

    result = decide(snapshot, now, fleet.world.memory, fleet.world.renderer)

    assert [change.replica for change in preview_of_aim(result).replicas] == ["chat-0"]


def test_capacity_counts_the_room_of_who_stays_as_taken() -> None:
    fleet = a_fleet()
    home = homes(fleet)["web-0"]
    fleet.world.commit({"deployments/chat.yaml": deployment("chat", resources="{cpu: 1}")})
    fleet.rest(4)
    fleet.world.commit({WEB: a_web(**LOST_WORD)})
    result = fleet.world.decide()
    desired = desired_of(result.observed, result.held)

    bound = Bound(frozen=frozenset(result.aim.staying))
    found = capacity(desired, result.nodes, result.previous, bound)

    assert result.aim.staying.keys() == {"web-0"}
    assert found.roomiest_cpu is not None
    assert replace(found.roomiest_cpu[1], memory_mib=0, disk_mib=0) == Resources(cpu_milli=15_000)
    assert dict(found.critical)[NodeName(home)] == ("web-0",)
