"""A new version comes in by health: one after the other, canaries first, back again if it fails."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schemas.assignment import Phase
from schemas.heartbeat import ReplicaState
from tests.unit.reconciler.world import deployment, node
from tests.unit.rolling.fleet import a_fleet_of, spread

MINUTE = timedelta(minutes=1)


def test_a_version_comes_to_one_replica_after_the_other() -> None:
    fleet = a_fleet_of(chat=spread(3))
    fleet.world.commit({"deployments/chat.yaml": spread(3, "two")})

    seen = []
    for _ in range(6):
        fleet.step()
        seen.append("".join(text[0] for text in fleet.texts().values()))

    assert seen == ["too", "tto", "ttt", "ttt", "ttt", "ttt"]
    assert fleet.phase() is Phase.SETTLED


@pytest.mark.parametrize(
    ("most", "first"),
    [(1, 1), (2, 2), (4, 4), (9, 4), ("1%", 1), ("49%", 1), ("50%", 2), ("99%", 3), ("100%", 4)],
)
def test_at_most_so_many_are_down_at_a_time(most: object, first: int) -> None:
    fleet = a_fleet_of(chat=spread(4))
    update = f"{{maxUnavailable: {most}}}"
    fleet.world.commit({"deployments/chat.yaml": spread(4, "two", update=update)})

    fleet.world.pass_once()

    assert list(fleet.texts().values()).count("two") == first


def test_nothing_goes_on_before_the_changed_one_says_that_it_is_ready() -> None:
    fleet = a_fleet_of(chat=spread(3))
    fleet.world.commit({"deployments/chat.yaml": spread(3, "two")})
    fleet.world.pass_once()

    fleet.wait(5 * MINUTE)

    assert list(fleet.texts().values()) == ["two", "one", "one"]
    assert fleet.because() == {"gate"}
    assert fleet.phase() is Phase.ROLLING


def test_one_blob_has_to_say_both_the_version_and_that_it_is_well() -> None:
    fleet = a_fleet_of(chat=spread(2))
    fleet.states["chat-0"] = ReplicaState.STARTING
    fleet.world.commit({"deployments/chat.yaml": spread(2, "two")})
    fleet.step()

    fleet.step()

    assert list(fleet.texts().values()) == ["two", "one"]


def test_a_newer_commit_ends_the_waiting_at_once() -> None:
    fleet = a_fleet_of(chat=spread(3))
    fleet.states["chat-0"] = ReplicaState.STARTING
    fleet.world.commit({"deployments/chat.yaml": spread(3, "two")})
    fleet.step()
    fleet.world.commit({"deployments/chat.yaml": spread(3, "three")})

    fleet.world.pass_once()

    assert list(fleet.texts().values()) == ["three", "one", "one"]


def test_past_the_deadline_the_last_good_version_comes_back_and_stays_until_main_changes() -> None:
    fleet = a_fleet_of(chat=spread(3))
    fleet.states["chat-0"] = ReplicaState.STARTING
    fleet.world.commit({"deployments/chat.yaml": spread(3, "two")})
    fleet.step()
    fleet.wait(9 * MINUTE)
    assert list(fleet.texts().values()) == ["two", "one", "one"]

    fleet.wait(2 * MINUTE)

    assert set(fleet.texts().values()) == {"one"}
    told = fleet.decision()
    assert told.phase is Phase.ROLLED_BACK
    assert told.message == "chat-0 did not get ready in 10m: it is ill"
    fleet.states.clear()
    fleet.rest()
    assert fleet.phase() is Phase.ROLLED_BACK
    assert fleet.decision().message == told.message
    assert set(fleet.texts().values()) == {"one"}
    fleet.world.commit({"deployments/chat.yaml": spread(3, "three")})
    fleet.rest()
    assert set(fleet.texts().values()) == {"three"}
    assert fleet.phase() is Phase.SETTLED


def test_a_version_that_fails_goes_back_before_the_deadline() -> None:
    fleet = a_fleet_of(chat=spread(3))
    fleet.states["chat-0"] = ReplicaState.FAILED
    fleet.world.commit({"deployments/chat.yaml": spread(3, "two")})
    fleet.step()

    fleet.step()
    fleet.step()

    assert set(fleet.texts().values()) == {"one"}
    assert fleet.decision().message == "chat-0 failed: it is ill"


def test_as_many_failures_as_allowed_are_borne() -> None:
    fleet = a_fleet_of(chat=spread(3))
    fleet.states["chat-0"] = ReplicaState.FAILED
    update = "{maxFailures: 2}"
    fleet.world.commit({"deployments/chat.yaml": spread(3, "two", update=update)})
    fleet.step()

    fleet.wait(5 * MINUTE)

    assert list(fleet.texts().values()) == ["two", "one", "one"]


def test_a_mended_version_is_not_kept_out_by_the_ill_one() -> None:
    fleet = a_fleet_of(chat=spread(3))
    fleet.states["chat-0"] = ReplicaState.FAILED
    update = "{rollback: false}"
    fleet.world.commit({"deployments/chat.yaml": spread(3, "two", update=update)})
    fleet.rest(4)
    assert fleet.phase() is Phase.STALLED
    assert list(fleet.texts().values()) == ["two", "one", "one"]
    assert fleet.because() == {"stalled"}
    fleet.states.clear()

    fleet.world.commit({"deployments/chat.yaml": spread(3, "three", update=update)})
    fleet.rest()

    assert set(fleet.texts().values()) == {"three"}


def test_a_first_version_has_nothing_to_go_back_to() -> None:
    fleet = a_fleet_of()
    fleet.states["chat-0"] = ReplicaState.FAILED
    fleet.world.commit({"deployments/chat.yaml": spread(1)})

    fleet.rest(4)

    assert fleet.phase() is Phase.STALLED
    assert fleet.texts() == {"chat-0": "one"}
    fleet.states.clear()
    fleet.rest(3)
    assert fleet.phase() is Phase.SETTLED


def test_taking_a_commit_back_while_it_comes_in_is_a_rollout_too() -> None:
    fleet = a_fleet_of(chat=spread(3))
    fleet.world.commit({"deployments/chat.yaml": spread(3, "two")})
    fleet.step()
    fleet.step()
    assert list(fleet.texts().values()) == ["two", "two", "one"]

    fleet.world.commit({"deployments/chat.yaml": spread(3)})
    fleet.world.pass_once()
    assert list(fleet.texts().values()).count("two") == 1

    fleet.rest(3)
    assert set(fleet.texts().values()) == {"one"}


def test_canaries_prove_themselves_for_a_while_before_the_others_follow() -> None:
    fleet = a_fleet_of(chat=spread(4))
    update = "{canary: 1, soak: 5m, maxUnavailable: 100%}"
    fleet.world.commit({"deployments/chat.yaml": spread(4, "two", update=update)})
    fleet.step()
    fleet.step()

    fleet.wait(4 * MINUTE)
    assert list(fleet.texts().values()) == ["two", "one", "one", "one"]
    assert fleet.because() == {"canary"}

    fleet.wait(2 * MINUTE)
    assert set(fleet.texts().values()) == {"two"}


def test_a_restarted_reconciler_lets_canaries_prove_themselves_anew_and_loses_nothing() -> None:
    fleet = a_fleet_of(chat=spread(2))
    update = "{canary: 1, soak: 5m}"
    fleet.world.commit({"deployments/chat.yaml": spread(2, "two", update=update)})
    fleet.step()
    fleet.wait(4 * MINUTE)
    fleet.world.memory = type(fleet.world.memory)()

    fleet.wait(4 * MINUTE)
    assert list(fleet.texts().values()) == ["two", "one"]

    fleet.wait(2 * MINUTE)
    assert list(fleet.texts().values()) == ["two", "two"]


def test_start_first_has_one_more_ready_before_the_first_old_one_is_touched() -> None:
    fleet = a_fleet_of(chat=spread(2, update="{strategy: startFirst}"))
    fleet.world.commit({"deployments/chat.yaml": spread(2, "two", update="{strategy: startFirst}")})

    fleet.step()
    assert fleet.texts() == {"chat-0": "one", "chat-1": "one", "chat-2": "two"}
    assert fleet.because() == {"surge"}

    seen = []
    for _ in range(5):
        fleet.step()
        seen.append("".join(text[0] for text in fleet.texts().values()))
    assert seen == ["tot", "ttt", "tt", "tt", "tt"]
    assert fleet.phase() is Phase.SETTLED


def test_start_first_waits_for_an_extra_replica_that_does_not_get_ready() -> None:
    fleet = a_fleet_of(chat=spread(2, update="{strategy: startFirst}"))
    fleet.states["chat-2"] = ReplicaState.STARTING
    fleet.world.commit({"deployments/chat.yaml": spread(2, "two", update="{strategy: startFirst}")})

    fleet.rest(5)

    assert fleet.texts() == {"chat-0": "one", "chat-1": "one", "chat-2": "two"}


def test_an_extra_replica_without_room_of_its_own_does_not_come_and_go() -> None:
    first = "{strategy: startFirst}"
    fleet = a_fleet_of("alpha", "beta", chat=spread(1, update=first, resources="{cpu: 9}"))
    home = fleet.homes()["chat-0"]
    other = "beta" if home == "alpha" else "alpha"
    fleet.world.commit(
        {
            "deployments/chat.yaml": spread(1, "two", update=first, resources="{cpu: 9}").replace(
                "placement: {strategy: spread}", f"placement: {{pin: [{other}]}}"
            )
        }
    )

    fleet.rest(3)
    before = len(fleet.world.history())
    fleet.rest(6)

    assert len(fleet.world.history()) == before
    assert fleet.homes() == {"chat-0": home}
    assert fleet.because() == {"surge"}


def test_a_change_of_the_template_comes_to_the_first_wave_first() -> None:
    waves = "  waves: [{key: tier, operator: In, values: [canary]}]\n"
    fleet = a_fleet_of(fleet=waves, chat=spread(4, update="{maxUnavailable: 100%}"))
    canary = fleet.homes()["chat-2"]
    head = "apiVersion: miaas/v1\nkind: Node\n"
    labels = f"metadata: {{name: {canary}, labels: {{tier: canary}}}}\n"
    fleet.world.commit({f"nodes/{canary}.yaml": head + labels})
    fleet.rest(2)
    changed = spread(4, "two", update="{maxUnavailable: 100%}")
    fleet.world.commit({"deployments/chat.yaml": changed})

    fleet.world.pass_once()
    assert fleet.texts()["chat-2"] == "two"
    assert list(fleet.texts().values()).count("two") == 1
    assert fleet.because() == {"wave"}

    fleet.rest(3)
    assert set(fleet.texts().values()) == {"two"}


def test_who_depends_waits_and_who_runs_goes_on() -> None:
    fleet = a_fleet_of()
    fleet.states["base-0"] = ReplicaState.STARTING
    fleet.change("base")
    fleet.change("chat", dependsOn="[base]")
    fleet.rest(3)
    assert fleet.homes("base")
    assert not fleet.homes("chat")
    assert fleet.because() == {"dependency"}
    assert fleet.decision().holds[0].text == "waits for base to be ready"

    fleet.states.clear()
    fleet.rest(3)
    assert fleet.homes("chat")

    fleet.states["base-0"] = ReplicaState.DEGRADED
    fleet.rest(3)
    assert fleet.homes("chat")


def test_a_circle_is_told_by_name_and_holds_who_is_on_it() -> None:
    fleet = a_fleet_of()
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        fleet.change(name, dependsOn=f"[{other}]")
    fleet.change("d", dependsOn="[a]")

    problems = [str(one) for one in fleet.world.decide().problems]

    assert (
        "deployments/a.yaml:6:15: it depends on itself: a -> b -> c -> a. "
        "Fix: take one of these out of its dependsOn"
    ) in problems
    assert len([one for one in problems if "depends on itself" in one]) == 3


def test_nothing_changes_outside_of_the_windows_but_what_is_new_or_broken() -> None:
    windows = '  windows: [{kind: allow, cron: "30 12 * * *", duration: 1h}]\n'
    fleet = a_fleet_of(fleet=windows, chat=spread(2))
    fleet.states["chat-1"] = ReplicaState.DEGRADED
    fleet.step()
    fleet.change("other")
    fleet.world.commit({"deployments/chat.yaml": spread(2, "two")})

    fleet.step()

    assert fleet.texts() == {"chat-0": "one", "chat-1": "two"}
    assert fleet.homes("other")
    assert fleet.because() == {"window"}
    fleet.states.clear()
    fleet.rest(2)
    fleet.wait(30 * MINUTE)
    fleet.rest(3)
    assert set(fleet.texts().values()) == {"two"}


@pytest.mark.parametrize("who", ["fleet", "deployment", "node"])
def test_what_is_suspended_is_left_alone(who: str) -> None:
    fleet = a_fleet_of(chat=spread(1))
    home = fleet.homes()["chat-0"]
    head = "apiVersion: miaas/v1\nkind: Fleet\nmetadata: {name: test}\n"
    suspend = {
        "fleet": {"fleet.yaml": head + "spec: {suspend: true}\n"},
        "deployment": {},
        "node": {
            f"nodes/{home}.yaml": "apiVersion: miaas/v1\nkind: Node\n"
            f"metadata: {{name: {home}}}\nspec: {{suspend: true, duty: draining}}\n"
        },
    }[who]
    more = {"suspend": "true"} if who == "deployment" else {}
    fleet.world.commit({**suspend, "deployments/chat.yaml": spread(1, "two", **more)})

    fleet.rest(3)

    assert fleet.texts() == {"chat-0": "one"}
    assert fleet.homes() == {"chat-0": home}
    assert fleet.because() == {"suspended"}


def test_a_removed_deployment_leaves_no_version_behind() -> None:
    fleet = a_fleet_of(chat=spread(1), other=spread(1).replace("chat", "other"))
    assert any(path.startswith("versions/chat/good/") for path in fleet.world.tree())

    fleet.world.commit({"deployments/chat.yaml": None})
    fleet.rest(2)

    assert not any(path.startswith("versions/chat/") for path in fleet.world.tree())
    assert any(path.startswith("versions/other/good/") for path in fleet.world.tree())


def test_a_fleet_at_rest_makes_no_commit() -> None:
    fleet = a_fleet_of(chat=spread(3))
    before = len(fleet.world.history())

    fleet.rest(5)

    assert len(fleet.world.history()) == before


def test_what_serves_stays_until_a_node_takes_its_new_version() -> None:
    fleet = a_fleet_of(chat=spread(3))
    fleet.change("chat", replicas=3, parameters="{text: two}", placement="{require: {zone: b}}")

    fleet.rest(4)

    assert fleet.texts() == dict.fromkeys(("chat-0", "chat-1", "chat-2"), "one")
    (hold,) = fleet.decision().holds
    assert hold.text == "no node takes its new version: requires zone In [b]"
    fleet.world.commit({"deployments/chat.yaml": spread(3, "three")})
    fleet.rest(9)
    assert set(fleet.texts().values()) == {"three"}


HALF = "{cpu: 10}"


@pytest.mark.parametrize("why", ["drained", "new version"])
def test_who_is_to_have_the_room_of_one_that_stays_does_not_stop_for_it(why: str) -> None:
    fleet = a_fleet_of("alpha", "beta", chat=a_half("chat"), web=a_half("web"))
    homes = {**fleet.homes("chat"), **fleet.homes("web")}
    home, other = homes["chat-0"], homes["web-0"]
    pinned = a_half("chat", placement=f"{{pin: [{other}]}}", parameters="{text: two}")
    moving = {
        "drained": {f"nodes/{home}.yaml": node(home, duty="draining")},
        "new version": {"deployments/chat.yaml": pinned},
    }
    web = a_half("web", placement="{require: {miaas/node: alhpa}}", parameters="{text: two}")
    fleet.world.commit({"deployments/web.yaml": web, **moving[why]})

    fleet.rest(4)

    assert {**fleet.homes("chat"), **fleet.homes("web")} == homes
    (hold,) = fleet.decision("chat").holds
    assert hold.text == f"its place on {other} is not free yet"
    fleet.world.commit({"deployments/web.yaml": None})
    fleet.rest(4)
    assert fleet.homes("chat") == {"chat-0": other}


def a_half(name: str, **spec: object) -> str:
    """The text of a deployment of which one fits on a node."""
    return deployment(name, resources=HALF, **spec)


CAREFUL = "{canary: 1, soak: 30m}"


def test_additional_replicas_wait_until_the_canary_is_proven() -> None:
    fleet = a_fleet_of(chat=spread(2, update=CAREFUL))
    fleet.world.commit({"deployments/chat.yaml": spread(4, "two", update=CAREFUL)})

    fleet.rest(3)
    assert fleet.texts() == {"chat-0": "two", "chat-1": "one"}
    assert fleet.because() == {"canary"}

    fleet.wait(31 * MINUTE)
    fleet.rest(4)
    assert set(fleet.texts().values()) == {"two"}
    assert len(fleet.texts()) == 4


def test_the_first_version_of_all_needs_no_canary() -> None:
    fleet = a_fleet_of(other=spread(1).replace("chat", "other"))

    fleet.world.commit({"deployments/chat.yaml": spread(3, update=CAREFUL)})
    fleet.rest(2)

    assert len(fleet.texts()) == 3


def test_a_replica_on_a_lost_node_is_no_canary() -> None:
    update = "{canary: 1, soak: 30m, maxUnavailable: 2}"
    fleet = a_fleet_of(volumes=True, chat=spread(3, update=update))
    fleet.silent.add(fleet.homes()["chat-0"])
    fleet.wait(6 * MINUTE)
    fleet.world.commit({"deployments/chat.yaml": spread(3, "two", update=update)})

    fleet.rest(3)
    assert fleet.texts() == {"chat-0": "one", "chat-1": "two", "chat-2": "one"}
    fleet.wait(31 * MINUTE)
    fleet.rest(3)
    assert fleet.texts() == {"chat-0": "one", "chat-1": "two", "chat-2": "two"}
