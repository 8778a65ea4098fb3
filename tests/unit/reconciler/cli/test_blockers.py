"""What `miaas explain` names as the one thing that has to change first."""

from __future__ import annotations

from datetime import timedelta

from fleet.memory import MemoryRepository
from reconciler.cli.blockers import blockers
from reconciler.cli.explain_texts import explanation
from reconciler.observing.read import Reader
from reconciler.web.looker import look_once
from reconciler.web.overview import fleet_view
from reconciler.web.views import FleetView
from schemas.layout import heartbeat_ref
from schemas.names import NodeName
from tests.unit.reconciler.cli.screens import a_terminal
from tests.unit.reconciler.world import deployment, node
from tests.unit.rolling.fleet import Fleet, a_fleet_of, spread

LOST = timedelta(minutes=5)


def shown(fleet: Fleet) -> FleetView:
    world = fleet.world
    client = MemoryRepository(world.server)
    reader = Reader(client, client, "main")
    snapshot = reader.read()
    history = reader.history(snapshot)
    now, memory = world.clock.now, world.memory
    return fleet_view(look_once(snapshot, now, memory, world.renderer, history=history)[0])


def told(fleet: Fleet, name: str = "chat") -> str:
    """All lines about a deployment."""
    view = shown(fleet)
    one = view.deployments_by_name[name]
    replicas = {f"{name}-{number}" for number in range(one.wanted)}
    return "\n".join(blockers(view, one, frozenset(replicas)))


def test_a_dependency_without_replicas() -> None:
    fleet = a_fleet_of(base=deployment("base", replicas=0))
    fleet.change("chat", dependsOn="[base]")
    fleet.rest(3)

    assert "  base asks for no replicas, and so is never ready" in told(fleet).splitlines()


def test_a_dependency_whose_documents_are_broken() -> None:
    fleet = a_fleet_of(base=deployment("base"), chat=spread(2, dependsOn="[base]"))
    fleet.rest(3)
    broken = deployment("base", replicas="lots")
    fleet.world.commit(
        {
            "deployments/base.yaml": broken,
            "deployments/chat.yaml": spread(2, "two", dependsOn="[base]"),
        }
    )
    fleet.rest(3)

    assert "  base is held: deployments/base.yaml:" in told(fleet)


def test_a_dependency_that_no_node_takes() -> None:
    fleet = a_fleet_of(base=deployment("base", resources="{memory: 900GiB}"))
    fleet.change("chat", dependsOn="[base]")
    fleet.rest(3)

    assert "    base-0 has no node: " in told(fleet)
    assert "900 GiB" in told(fleet)


def test_no_room_for_the_extra_replica() -> None:
    spec = {"update": "{strategy: startFirst}", "ports": "{http: 8080}"}
    fleet = a_fleet_of("alpha", "beta", chat=spread(2, **spec))
    fleet.world.commit({"deployments/chat.yaml": spread(2, "two", **spec)})
    fleet.rest(4)

    assert "no node has room for the extra replica" in told(fleet)


def test_a_deployment_that_nobody_wants_on_a_suspended_node() -> None:
    fleet = a_fleet_of(chat=spread(1))
    home = fleet.homes()["chat-0"]
    fleet.world.commit({f"nodes/{home}.yaml": node(home, suspend="true")})
    fleet.rest(2)
    fleet.world.commit({"deployments/chat.yaml": None})
    fleet.rest(3)

    assert told(fleet) == f"nobody wants it any longer, and it is held: {home} is suspended"


def test_a_drained_node_says_why_somebody_cannot_leave_it() -> None:
    fleet = a_fleet_of("alpha", "beta", chat=deployment("chat", placement="{pin: [alpha]}"))
    fleet.world.commit({"nodes/alpha.yaml": node("alpha", duty="draining")})
    fleet.rest(3)

    conditions = shown(fleet).nodes_by_name["alpha"].conditions

    (draining,) = (one for one in conditions if one.type == "Draining")
    assert draining.message == "still has chat-0: alpha is drained, and no other node takes it"


def test_a_lost_node_that_is_given_up_leaves_nothing_behind() -> None:
    fleet = a_fleet_of(chat=spread(2))
    home = fleet.homes()["chat-0"]
    fleet.silent.add(home)
    fleet.wait(LOST + timedelta(seconds=30))
    fleet.rest(3)

    view = shown(fleet)
    text = explanation(view, view.deployments_by_name["chat"], frozenset({"chat-0"}), a_terminal())
    assert f"\nchat-0 was on {home}: {home} is lost; it had it when last heard of, and" in text
    assert view.deployments_by_name["chat"].sync.state == "Synced"

    fleet.world.commit({f"nodes/{home}.yaml": None})
    fleet.rest(2)
    clears = f"git push STATE :{heartbeat_ref(NodeName(home))}"
    view = shown(fleet)
    assert view.nodes_by_name[home].mark.why.endswith(f"if gone for good: {clears}")
    assert clears in view.notices[0].fix

    del fleet.world.server.refs[heartbeat_ref(NodeName(home))]
    fleet.rest(2)
    view = shown(fleet)
    assert home not in view.nodes_by_name
    assert view.verdict.text == "The deployment is healthy and in sync; 3 nodes ready."
