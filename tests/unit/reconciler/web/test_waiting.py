"""What is waited for while nodes are silent, in words of now and not of when it was decided."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.web.views import FleetView
from reconciler.web.waiting import Silences, in_words_of_now
from schemas.assignment import Tenure
from schemas.names import NodeName, ReplicaName
from schemas.rollout import Disconnect
from tests.builders import a_deployment, a_fleet
from tests.unit.reconciler.cli.test_blockers import shown, told
from tests.unit.reconciler.web.fleets import a_decision, a_hold
from tests.unit.rolling.fleet import Fleet, a_fleet_of, spread

FENCED = "{stopAfter: 2m, loseAfter: 10m}"
GOES = "it goes elsewhere once {node} was silent for 10 minutes (disconnect.loseAfter)"
MINUTE = timedelta(minutes=1)


def a_lost_home(disconnect: str, silent: timedelta) -> tuple[Fleet, str]:
    """A fleet of which the only node with a replica has been silent for a while; and that node."""
    fleet = a_fleet_of(chat=spread(1, disconnect=disconnect))
    fleet.rest(4)
    (home,) = fleet.homes().values()
    fleet.silent = {home}
    fleet.wait(silent)
    return fleet, home


@pytest.mark.parametrize(
    "disconnect",
    [pytest.param(FENCED, id="fenced"), pytest.param("{loseAfter: 10m}", id="not fenced")],
)
def test_what_a_lost_node_runs_says_until_when_it_is_waited_for(disconnect: str) -> None:
    fleet, home = a_lost_home(disconnect, 6 * MINUTE)

    waits = f"{home} is lost; {GOES.format(node=home)}; its last word was: running"
    assert fleet.decision().holds == ()
    assert f"chat-0 on {home} is not ready: {waits}" in told(fleet)
    assert shown(fleet).deployments_by_name["chat"].health.why == f"chat-0: {waits}"


@pytest.mark.parametrize(
    ("disconnect", "silent"),
    [
        pytest.param("{loseAfter: 10m, replace: false}", 6 * MINUTE, id="not to be replaced"),
        pytest.param("{}", 4 * MINUTE, id="no time of its own"),
        pytest.param("{loseAfter: 10m}", MINUTE, id="not even late"),
        pytest.param("{loseAfter: 10m}", 12 * MINUTE, id="it went"),
    ],
)
def test_nothing_is_promised_that_does_not_come(disconnect: str, silent: timedelta) -> None:
    fleet, _ = a_lost_home(disconnect, silent)

    assert "goes elsewhere" not in told(fleet)


def test_nothing_goes_elsewhere_while_most_are_silent() -> None:
    fleet, _ = a_lost_home("{loseAfter: 10m}", 6 * MINUTE)
    fleet.silent = set(fleet.agents)
    fleet.wait(3 * MINUTE)

    assert "goes elsewhere" not in told(fleet)


@pytest.mark.parametrize(
    ("text", "is_heard", "stop_seconds", "more"),
    [
        pytest.param(
            "waits for beta to stop it",
            False,
            120,
            ", or until it was silent for 10 minutes",
            id="lost",
        ),
        pytest.param(
            "waits for beta to say that it stopped it",
            False,
            900,
            ", or until it was silent for 959 seconds",
            id="longer grant",
        ),
        pytest.param(
            "waits for Docker on beta to answer",
            False,
            120,
            ", or until it was silent for 10 minutes",
            id="docker",
        ),
        pytest.param("waits for beta to stop it", True, 120, "", id="it speaks"),
        pytest.param("waits for beta to stop it", False, 0, "", id="never by itself"),
        pytest.param("waits for beta, whose heartbeat cannot be read", False, 120, "", id="unread"),
    ],
)
def test_a_wait_for_a_silent_holder_says_how_it_ends_else(
    text: str, is_heard: bool, stop_seconds: int, more: str
) -> None:
    beta, chat = NodeName("beta"), ReplicaName("chat-0")
    tenure = Tenure(
        replica=chat, node=beta, incarnation="b", epoch=1, stop_after_seconds=stop_seconds
    )
    silences = Silences(
        fleet=a_fleet(),
        nodes={},
        mute=frozenset() if is_heard else frozenset({beta}),
        tenures={chat: tenure},
    )
    disconnect = Disconnect(stop_after=2 * MINUTE, lose_after=10 * MINUTE)
    decided = a_decision(holds=(a_hold("fence", text, "chat-0"),))

    now = in_words_of_now(decided, a_deployment(disconnect=disconnect), silences)

    assert now.holds == (a_hold("fence", f"{text}{more}", "chat-0"),)


def test_a_wait_for_a_silent_holder_without_a_record_says_so_too() -> None:
    fleet, home = a_lost_home(FENCED, 4 * MINUTE)
    fleet.world.commit({f"nodes/{home}.yaml": None})
    fleet.world.pass_once()
    fleet.wait(MINUTE)

    assert f"chat-0 waits for {home} to stop it, or until it was silent for 10 minutes" in told(
        fleet
    )


def numbers(view: FleetView) -> set[str]:
    """All that is said anywhere of how many are silent."""
    chat = view.deployments_by_name["chat"]
    held = (one.message for one in chat.conditions if one.type == "Held")
    texts = (*(hold.text for hold in chat.holds), *(one.text for one in view.banners), *held)
    return {text[text.index(" of ") - 1 :][:6] for text in texts}


def test_a_mass_loss_is_told_with_the_number_of_now() -> None:
    fleet = a_fleet_of(chat=spread(4))
    fleet.silent = {"alpha", "beta", "gamma"}
    fleet.wait(6 * MINUTE)
    assert numbers(shown(fleet)) == {"3 of 4"}

    fleet.silent = set(fleet.agents)
    fleet.world.clock.pass_by(2 * MINUTE)

    assert "3 of 4" in fleet.decision().holds[0].text
    assert numbers(shown(fleet)) == {"4 of 4"}
    assert "take their records out of nodes/." in shown(fleet).banners[0].text
