"""Whoever serves goes on serving, whatever becomes of the version that was to replace it."""

from __future__ import annotations

from schemas.assignment import Phase
from schemas.heartbeat import ReplicaState
from tests.unit.reconciler.world import deployment
from tests.unit.rolling.fleet import Fleet, a_fleet_of, spread

TWO = "{text: two}"
FITS_ONE = {"placement": "{strategy: spread, require: {zone: b}}", "resources": "{cpu: 9}"}


def record(name: str, zone: str, duty: str = "") -> str:
    labels = f"labels: {{zone: {zone}}}"
    said = f"spec: {{duty: {duty}}}\n" if duty else ""
    return f"apiVersion: miaas/v1\nkind: Node\nmetadata: {{name: {name}, {labels}}}\n{said}"


def three_of_which_one_fits() -> Fleet:
    """A new version will fit on alpha alone."""
    fleet = a_fleet_of("alpha", "beta", "gamma", chat=spread(3))
    fleet.world.commit({"nodes/alpha.yaml": record("alpha", "b")})
    fleet.rest(2)
    return fleet


def test_a_version_that_fits_for_some_is_not_the_good_one_and_the_others_serve_on() -> None:
    fleet = three_of_which_one_fits()

    fleet.change("chat", replicas=3, parameters=TWO, **FITS_ONE)
    fleet.rest(6)

    assert fleet.texts() == {"chat-0": "two", "chat-1": "one", "chat-2": "one"}
    assert fleet.phase() is Phase.ROLLING
    assert fleet.because() == {"homeless"}


def test_nor_do_they_stop_when_it_stalls() -> None:
    fleet = three_of_which_one_fits()
    fleet.states["chat-0"] = ReplicaState.FAILED

    fleet.change("chat", replicas=3, parameters=TWO, update="{rollback: false}", **FITS_ONE)
    fleet.rest(6)

    assert fleet.texts() == {"chat-0": "two", "chat-1": "one", "chat-2": "one"}
    assert fleet.phase() is Phase.STALLED


OLD, NEW = ("alpha", "beta", "gamma"), ("delta", "epsilon", "zeta")


def moving(failing: str) -> Fleet:
    """Three replicas move to new nodes, and the old ones are cordoned in the same commit."""
    fleet = a_fleet_of(*OLD, *NEW)
    zones = {**dict.fromkeys(OLD, "a"), **dict.fromkeys(NEW, "b")}
    fleet.world.commit({f"nodes/{name}.yaml": record(name, zone) for name, zone in zones.items()})
    fleet.rest(2)
    fleet.world.commit({"deployments/chat.yaml": in_zone("a", "one")})
    fleet.rest(4)
    fleet.states[failing] = ReplicaState.FAILED
    cordoned = {f"nodes/{name}.yaml": record(name, "a", "cordoned") for name in OLD}
    fleet.world.commit({"deployments/chat.yaml": in_zone("b", "two"), **cordoned})
    return fleet


def in_zone(zone: str, text: str) -> str:
    placement = f"{{strategy: spread, require: {{zone: {zone}}}}}"
    return deployment("chat", replicas=3, parameters=f"{{text: {text}}}", placement=placement)


def test_what_is_rejected_serves_on_where_no_node_takes_the_last_good_version() -> None:
    fleet = moving("chat-1")

    fleet.rest(8)

    assert fleet.phase() is Phase.ROLLED_BACK
    assert fleet.texts() == {"chat-0": "two", "chat-2": "one"}
    (hold,) = fleet.decision().holds
    assert (hold.reason, hold.replicas) == ("homeless", ("chat-0",))
    assert hold.text.startswith("no node takes its last good version: ")


def test_so_does_what_people_take_back() -> None:
    fleet = moving("chat-1")
    fleet.states["chat-1"] = ReplicaState.STARTING
    fleet.rest(3)
    fleet.states.clear()

    fleet.world.commit({"deployments/chat.yaml": in_zone("a", "one")})
    fleet.rest(6)

    assert fleet.texts().get("chat-0") == "two"
    assert fleet.texts().get("chat-2") == "one"
