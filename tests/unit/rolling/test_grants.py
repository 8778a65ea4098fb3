"""A replica of which no two copies may run: who may start it, and when somebody else may."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.rolling.holders import UNKNOWN
from reconciler.rolling.marks import Memory
from schemas.assignment import Fence
from schemas.names import CommitId, NodeName
from tests.builders import a_host, a_replica_report
from tests.unit.reconciler.world import FLEET, deployment, node
from tests.unit.rolling.fleet import POLL, Agent, Fleet, a_fleet_of, spread

MINUTE = timedelta(minutes=1)
CLOSED = '{kind: deny, cron: "* * * * *", duration: 1h}'
FENCED = "{stopAfter: 2m, loseAfter: 4m}"


def a_singleton(**spec: object) -> Fleet:
    return a_fleet_of("alpha", "beta", "gamma", chat=spread(1, disconnect=FENCED, **spec))


def fence(fleet: Fleet) -> Fence | None:
    """The grant that is published."""
    assignments = fleet.world.decide().observed.assignments.values()
    return next((one.fence for each in assignments for one in each.replicas), None)


def restore(fleet: Fleet, backup: dict[str, str]) -> None:
    """Bring back what machines wrote, as it was; what people wrote stays."""
    refs = fleet.world.server.refs
    main = refs["refs/heads/main"]
    refs.clear()
    refs.update({**backup, "refs/heads/main": main})


def moved_since(fleet: Fleet) -> tuple[dict[str, str], str, str]:
    """A backup, and the nodes that chat-0 was on when it was made, and that it moved to since."""
    backup = dict(fleet.world.server.refs)
    home = fleet.homes()["chat-0"]
    fleet.world.commit({f"nodes/{home}.yaml": node(home, duty="draining")})
    fleet.rest(4)
    holder = fleet.homes()["chat-0"]
    assert holder != home
    return backup, home, holder


def copies(fleet: Fleet) -> int:
    """How many agents run it or were last heard to."""
    return sum("chat-0" in agent.running for agent in fleet.agents.values())


def test_a_grant_names_the_incarnation_of_its_node() -> None:
    fleet = a_singleton()

    assert fence(fleet) == Fence(incarnation="boot-1", epoch=1, stop_after_seconds=120)


def test_a_planned_move_is_stop_then_word_then_start() -> None:
    fleet = a_singleton()
    home = fleet.homes()["chat-0"]
    fleet.agents[home].stops = False
    fleet.world.commit({f"nodes/{home}.yaml": node(home, duty="draining")})

    fleet.rest(4)
    assert fleet.homes() == {}
    assert fleet.decision().holds[0].text == f"waits for {home} to stop it"

    fleet.agents[home].stops = True
    fleet.obey()
    fleet.step()
    assert fleet.homes()["chat-0"] != home
    found = fence(fleet)
    assert found is not None
    assert found.epoch == 2
    fleet.step()
    assert copies(fleet) == 1


@pytest.mark.parametrize("docker", ["", "does not answer"])
def test_a_node_whose_engine_is_silent_proves_nothing(docker: str) -> None:
    fleet = a_singleton()
    home = fleet.homes()["chat-0"]
    fleet.world.commit({f"nodes/{home}.yaml": node(home, duty="draining")})
    fleet.agents[home].docker = docker

    fleet.rest(3)

    assert (fleet.homes() == {}) is bool(docker)


def test_a_silent_node_loses_it_when_it_is_sure_to_have_stopped_it() -> None:
    fleet = a_singleton()
    home = fleet.homes()["chat-0"]
    fleet.silent = {home}

    fleet.wait(4 * MINUTE - timedelta(seconds=15))
    assert fleet.homes()["chat-0"] == home

    fleet.wait(MINUTE)
    assert fleet.homes()["chat-0"] != home


def test_room_that_others_have_yet_to_leave_sends_it_nowhere_before_its_holder_is_out() -> None:
    """Where it is finally wanted its holder is; what is done meanwhile would put it elsewhere."""
    wish = "{prefer: [{key: miaas/node, operator: In, values: [alpha], weight: 100}]}"
    chat = {"disconnect": FENCED, "resources": "{memory: 20GiB}", "placement": wish}
    fleet = a_fleet_of("alpha", "beta", chat=deployment("chat", **chat))
    assert fleet.homes() == {"chat-0": "alpha"}
    fleet.agents["alpha"].stops = False
    fleet.world.commit({"deployments/chat.yaml": None})
    wide = {"placement": "{pin: [alpha]}"}
    fleet.change("wide", **wide, resources="{memory: 50GiB}")
    fleet.rest(3)
    assert fleet.homes("wide") == {"wide-0": "alpha"}

    fleet.world.commit({"fleet.yaml": f"{FLEET}spec: {{windows: [{CLOSED}]}}\n"})
    fleet.change("wide", **wide, resources="{memory: 1GiB}", parameters="{text: two}")
    fleet.change("chat", **chat)
    fleet.rest(3)

    assert fleet.because("wide") == {"window"}
    assert copies(fleet) == 1
    assert fleet.homes() == {}
    assert fleet.because() == {"fence"}


def test_who_runs_it_under_its_grant_goes_on_when_the_one_before_comes_back_with_it() -> None:
    fleet = a_singleton()
    home = fleet.homes()["chat-0"]
    fleet.silent, fleet.agents[home].stops = {home}, False
    fleet.wait(5 * MINUTE)
    other = fleet.homes()["chat-0"]
    before = fence(fleet)

    fleet.silent = set()
    fleet.say(home)
    for _ in range(3):
        fleet.rest(1)
        assert fleet.homes() == {"chat-0": other}

    assert other != home
    assert fence(fleet) == before


@pytest.mark.parametrize("document", [deployment("chat", disconnect=FENCED), "spec: ["])
def test_a_heartbeat_that_cannot_be_read_takes_no_grant_away(document: str) -> None:
    fleet = a_singleton()
    home = fleet.homes()["chat-0"]
    before = fence(fleet)
    fleet.world.commit({"deployments/chat.yaml": document})
    fleet.world.push_heartbeat(home, b"{")

    for _ in range(3):
        fleet.world.clock.pass_by(POLL)
        fleet.world.pass_once()
        assert fence(fleet) == before
    fleet.rest(3)

    assert fence(fleet) == before
    assert copies(fleet) == 1


def test_a_node_that_booted_gets_a_new_grant_at_once() -> None:
    fleet = a_singleton()
    home = fleet.homes()["chat-0"]
    agent = fleet.agents[home]
    agent.incarnation, agent.running = "boot-2", {}
    fleet.say(home)

    fleet.world.pass_once()

    assert fence(fleet) == Fence(incarnation="boot-2", epoch=2, stop_after_seconds=120)
    fleet.rest(2)
    assert copies(fleet) == 1


def test_a_node_that_speaks_in_a_new_incarnation_and_runs_it_keeps_it() -> None:
    fleet = a_singleton()
    home = fleet.homes()["chat-0"]
    fleet.agents[home].incarnation = "boot-2"
    fleet.say(home)
    fleet.world.commit({f"nodes/{home}.yaml": node(home, duty="draining")})

    fleet.world.pass_once()
    assert fleet.homes() == {}
    fleet.say(home)
    fleet.world.pass_once()
    assert fleet.homes() == {}

    fleet.rest(2)
    assert copies(fleet) == 1


def test_who_was_not_fenced_is_stopped_before_it_starts_elsewhere() -> None:
    fleet = a_fleet_of("alpha", "beta", chat=spread(1))
    home = fleet.homes()["chat-0"]
    other = "beta" if home == "alpha" else "alpha"
    fleet.agents[home].stops = False
    fleet.world.commit(
        {
            "deployments/chat.yaml": spread(1, disconnect=FENCED),
            f"nodes/{home}.yaml": node(home, duty="draining"),
        }
    )
    fleet.rest(4)
    assert fleet.homes() == {}

    fleet.agents[home].stops = True
    fleet.rest(3)
    assert fleet.homes() == {"chat-0": other}
    assert copies(fleet) == 1


def test_in_mass_loss_nothing_is_granted_anew() -> None:
    fleet = a_singleton()
    home = fleet.homes()["chat-0"]
    fleet.silent = {"alpha", "beta", "gamma"}

    fleet.wait(10 * MINUTE)

    assert fleet.homes() == {"chat-0": home}
    found = fence(fleet)
    assert found is not None
    assert found.epoch == 1


def test_a_node_without_a_record_that_says_nothing_readable_is_waited_for() -> None:
    fleet = a_singleton()
    home = fleet.homes()["chat-0"]
    fleet.world.push_heartbeat(home, b"{")
    fleet.world.commit({f"nodes/{home}.yaml": None})
    fleet.silent = {home}

    fleet.rest(4)
    assert fleet.homes() == {}
    assert fleet.decision().holds[0].text == f"waits for {home}, whose heartbeat cannot be read"

    fleet.silent = set()
    fleet.rest(4)
    assert home not in fleet.homes().values()
    assert copies(fleet) == 1


def test_a_node_without_a_record_gives_it_up_by_its_own_word() -> None:
    fleet = a_singleton()
    home = fleet.homes()["chat-0"]
    fleet.agents[home].stops = False
    fleet.world.commit({f"nodes/{home}.yaml": None})
    fleet.rest(3)
    assert fleet.homes() == {}

    fleet.agents[home].stops = True
    fleet.rest(3)
    assert home not in fleet.homes().values()
    assert copies(fleet) == 1


def test_after_a_restore_nobody_starts_it_until_its_holder_is_found_or_sure_to_be_out() -> None:
    fleet = a_singleton()
    backup, home, holder = moved_since(fleet)
    restore(fleet, backup)
    fleet.silent = {holder}
    fleet.say(home)

    fleet.wait(3 * MINUTE)
    published = fleet.world.decide().observed.assignments[NodeName(home)].replicas
    assert all(one.fence is None or one.fence.incarnation != "boot-1" for one in published)

    fleet.silent = set()
    fleet.say(holder)
    fleet.rest(8)
    assert copies(fleet) == 1


def test_after_a_restore_one_that_is_held_starts_nowhere_while_its_holder_may_run_it() -> None:
    """Broken documents keep what is published as it is, but that is older than what is true."""
    fleet = a_singleton()
    backup, home, holder = moved_since(fleet)
    fleet.world.commit({"deployments/chat.yaml": "spec: [", f"nodes/{home}.yaml": node(home)})
    restore(fleet, backup)
    fleet.agents[holder].stops = False
    fleet.say()

    for _ in range(4):
        fleet.rest(1)
        assert copies(fleet) == 1
    assert fleet.homes() == {"chat-0": home}
    found = fence(fleet)
    assert found is not None
    assert found.incarnation == UNKNOWN


def test_after_a_restore_a_broken_template_ends_no_pass_and_starts_no_second_copy() -> None:
    """One replica is where it was, so that its template is asked for, and one is not (seed 107)."""
    fleet = a_fleet_of("alpha", "beta", "gamma", chat=spread(2, disconnect=FENCED))
    home = fleet.homes()["chat-1"]
    backup = dict(fleet.world.server.refs)
    fleet.world.commit({f"nodes/{home}.yaml": node(home, duty="draining")})
    fleet.rest(4)
    holder = fleet.homes()["chat-1"]
    assert holder != home
    broken = {"templates/web/compose.yaml.j2": "{{ nobody_knows }}"}
    fleet.world.commit({**broken, f"nodes/{home}.yaml": node(home)})
    restore(fleet, backup)
    fleet.agents[holder].stops = False
    fleet.say()

    for _ in range(4):
        fleet.rest(1)
        assert sum("chat-1" in agent.running for agent in fleet.agents.values()) == 1
    assert "chat-0" in fleet.homes()


def test_an_old_heartbeat_that_comes_again_is_no_proof_for_who_remembers_nothing() -> None:
    """It tells of an incarnation before the one that runs the replica (seed 588)."""
    fleet = a_singleton()
    home = fleet.homes()["chat-0"]
    fleet.world.beat(home, incarnation="boot-0", host=a_host(machine=f"{home}-m1"))
    fleet.world.memory = Memory()
    fleet.silent = {home}
    fleet.world.commit({f"nodes/{home}.yaml": node(home, duty="draining")})

    fleet.wait(3 * MINUTE)

    assert fleet.homes().get("chat-0", home) == home


@pytest.mark.parametrize(
    ("runs", "starts"),
    [pytest.param(False, True, id="has it not"), pytest.param(True, False, id="has it")],
)
def test_after_a_restore_a_removed_node_is_waited_for_only_while_it_has_the_replica(
    *, runs: bool, starts: bool
) -> None:
    """What it was told is lost, and nobody tells it anything any more (seed 183)."""
    fleet = a_fleet_of("alpha", "beta", chat=spread(1, disconnect=FENCED))
    lost = a_replica_report("chat-0", epoch=1)

    def speak(minute: int) -> None:
        fleet.world.beat(
            "gamma",
            sequence=minute,
            accepted=CommitId("a" * 40),
            accepted_generation=7,
            replicas=(lost,) if runs else (),
        )

    restore(fleet, {})
    for agent in fleet.agents.values():
        agent.running, agent.told = {}, None
    for minute in range(1, 9):
        speak(minute)
        fleet.rest(4)

    assert bool(fleet.homes()) == starts


def test_what_was_not_fenced_before_a_restore_and_is_suspended_stops_no_decision() -> None:
    """Nobody knows who holds it, and it has to stay: its grant is to nobody (seed 365)."""
    fleet = a_fleet_of("alpha", "beta", "gamma", chat=spread(1))
    backup = dict(fleet.world.server.refs)
    fleet.world.commit({"deployments/chat.yaml": spread(1, disconnect=FENCED)})
    fleet.rest(3)
    fleet.world.commit({"deployments/chat.yaml": spread(1, disconnect=FENCED, suspend="true")})
    restore(fleet, backup)
    for agent in fleet.agents.values():
        agent.running.clear()
    fleet.say()

    fleet.world.pass_once()

    found = fence(fleet)
    assert found is not None
    assert (found.incarnation, found.epoch) == (UNKNOWN, 1)


def test_another_reconciler_knows_that_a_grant_may_be_lost_with_the_state() -> None:
    fleet = a_fleet_of("alpha", "beta", "gamma")
    backup = dict(fleet.world.server.refs)
    fleet.world.commit({"deployments/chat.yaml": spread(1, disconnect=FENCED)})
    fleet.rest(3)
    home = fleet.homes()["chat-0"]
    restore(fleet, backup)
    fleet.silent = {home}
    fleet.world.pass_once()
    fleet.world.memory = Memory()

    fleet.wait(3 * MINUTE)
    assert fleet.homes() == {}
    assert "before the state was restored" in fleet.decision().holds[0].text

    fleet.silent = set()
    fleet.say()
    fleet.rest(8)
    assert copies(fleet) == 1


def test_times_that_were_shortened_do_not_bind_a_holder_that_never_read_them() -> None:
    long = "{stopAfter: 8m, loseAfter: 10m}"
    fleet = a_fleet_of("alpha", "beta", "gamma", chat=spread(1, disconnect=long))
    home = fleet.homes()["chat-0"]
    fleet.silent = {home}
    fleet.wait(MINUTE)
    fleet.world.commit({"deployments/chat.yaml": spread(1, disconnect=FENCED)})

    fleet.wait(7 * MINUTE)
    assert fleet.homes().get("chat-0", home) == home

    fleet.wait(2 * MINUTE)
    assert fleet.homes().get("chat-0", home) != home


def test_a_holder_that_read_the_shorter_times_is_held_to_them() -> None:
    long = "{stopAfter: 8m, loseAfter: 10m}"
    fleet = a_fleet_of("alpha", "beta", "gamma", chat=spread(1, disconnect=long))
    home = fleet.homes()["chat-0"]
    fleet.world.commit({"deployments/chat.yaml": spread(1, disconnect=FENCED)})
    fleet.rest(3)
    fleet.silent = {home}

    fleet.wait(5 * MINUTE)

    assert fleet.homes()["chat-0"] != home


def test_who_was_cut_off_before_it_was_fenced_is_never_out_by_silence() -> None:
    fleet = a_fleet_of("alpha", "beta", "gamma", chat=spread(1))
    home = fleet.homes()["chat-0"]
    fleet.silent = {home}
    fleet.wait(MINUTE)
    fleet.world.commit({"deployments/chat.yaml": spread(1, disconnect=FENCED)})

    fleet.wait(30 * MINUTE)
    assert fleet.homes().get("chat-0", home) == home

    fleet.silent = set()
    fleet.rest(4)
    assert copies(fleet) == 1


def test_a_second_machine_under_a_name_is_no_proof_that_the_first_stopped() -> None:
    fleet = a_singleton()
    home = fleet.homes()["chat-0"]
    first, impostor = fleet.agents[home], Agent(home, incarnation="other", machine="m2")
    fleet.world.commit({f"nodes/{home}.yaml": node(home, duty="draining")})
    first.stops = False
    for _ in range(20):
        fleet.agents[home] = impostor
        impostor.told = first.told
        fleet.step()
        assert copies(fleet) == 0
        fleet.agents[home] = first
        fleet.step()
        assert copies(fleet) == 1

    first.stops = True
    fleet.rest(3)
    assert copies(fleet) == 1


def test_a_machine_that_was_set_up_anew_gets_it_when_the_old_one_is_sure_to_be_out() -> None:
    fleet = a_singleton()
    home = fleet.homes()["chat-0"]
    fleet.agents[home] = Agent(home, incarnation="new", machine="m2")
    fleet.say()

    fleet.wait(3 * MINUTE)
    assert fleet.homes() == {}
    assert "took its name" in fleet.decision().holds[0].text

    fleet.wait(2 * MINUTE)
    assert len(fleet.homes()) == 1


@pytest.mark.parametrize(
    ("disconnect", "says"),
    [
        pytest.param("{stopAfter: 1m}", "one bad moment would stop it", id="too eager"),
        pytest.param("{stopAfter: 280s}", "two copies could run", id="too slow"),
        pytest.param("{loseAfter: 60s}", "late only after 90s", id="before it is late"),
    ],
)
def test_settings_that_cannot_be_safe_are_refused_with_the_sum(disconnect: str, says: str) -> None:
    fleet = a_fleet_of("alpha", chat=spread(1))
    fleet.world.commit({"deployments/chat.yaml": spread(1, disconnect=disconnect)})

    problems = [str(one) for one in fleet.world.decide().problems]

    assert len(problems) == 1
    assert problems[0].startswith("deployments/chat.yaml:")
    assert says in problems[0]
