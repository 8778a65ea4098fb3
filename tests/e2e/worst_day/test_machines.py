"""Hosts die, start again, lose Docker or their memory: what runs goes on, or goes on elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.e2e.worst_day.documents import FENCED
from tests.e2e.worst_day.fleet import Fleet
from tests.e2e.worst_day.node import spoil

pytestmark = pytest.mark.e2e


def test_what_a_dead_host_ran_is_started_elsewhere_and_does_not_come_back_with_it(
    fleet: Fleet,
) -> None:
    fleet.deploy("web", on="alpha", disconnect="{loseAfter: 12s}")
    fleet.commit("web")
    home = fleet.home("web-0")

    fleet.nodes[home].power_off()
    died = time.monotonic()
    fleet.wait(lambda: fleet.node_of("web-0") not in {None, home})
    decided = time.monotonic()
    other = fleet.home("web-0")
    fleet.tell(f"dead host: decided {decided - died:.1f} s after, of which 12 s lease")

    assert other != home
    fleet.tell(f"dead host: runs again {fleet.eye.of('web-0')[-1].first - died:.1f} s after")
    fleet.nodes[home].power_on()
    fleet.nodes[home].start_agent()
    fleet.wait(lambda: fleet.obeys(home) and not fleet.reported(home, "web-0"))
    fleet.wait(lambda: fleet.eye.running("web-0") == [other])


def test_after_a_reboot_a_singleton_stays_down_until_it_is_granted_anew(fleet: Fleet) -> None:
    fleet.deploy("solo", on="alpha", disconnect=FENCED)
    fleet.commit("solo")
    home = fleet.home("solo-0")
    host, epoch = fleet.nodes[home], fleet.epoch("solo-0")
    incarnation = fleet.heartbeat(home)["incarnation"]

    host.power_off()
    host.cut_off()
    before = len(host.log)
    host.power_on()
    host.start_agent()
    fleet.wait(lambda: "assignment not followed" in host.log[before:])

    fleet.wait(lambda: "new incarnation" in host.log[before:])  # later in the same pass
    assert fleet.eye.running("solo-0") == []
    assert (fleet.node_of("solo-0"), fleet.epoch("solo-0")) == (home, epoch)
    host.reconnect()
    fleet.wait(lambda: fleet.runs("solo-0", home))
    assert fleet.epoch("solo-0") == epoch + 1
    assert fleet.assigned(home, "solo-0")["fence"]["epoch"] == epoch + 1
    assert fleet.heartbeat(home)["incarnation"] != incarnation
    assert fleet.eye.doubles() == []


def test_while_docker_is_away_it_is_told_and_a_singleton_is_not_moved(fleet: Fleet) -> None:
    fleet.deploy("solo", on="alpha", disconnect=FENCED)
    fleet.commit("solo")
    home = fleet.home("solo-0")
    host = fleet.nodes[home]
    tenure = fleet.epoch("solo-0")

    host.stop_engine()
    fleet.wait(lambda: fleet.heartbeat(home)["runtime"].get("error"))
    fleet.hear(home, beats=3)

    assert (fleet.node_of("solo-0"), fleet.epoch("solo-0")) == (home, tenure)
    assert fleet.eye.running("solo-0") == []
    host.start_engine()
    fleet.wait(lambda: fleet.runs("solo-0", home))
    assert fleet.eye.doubles() == []


def test_what_keeps_falling_on_one_host_is_tried_on_another_and_stays_there(fleet: Fleet) -> None:
    fleet.deploy("web", on="alpha")
    fleet.commit("web")
    home = fleet.home("web-0")
    fleet.wait(lambda: fleet.is_settled("web"))

    began = time.monotonic()
    keep_falling(fleet, "web-0", lambda: fleet.node_of("web-0") != home)
    fleet.tell(f"crash loop: decided elsewhere {time.monotonic() - began:.1f} s after")
    other = fleet.home("web-0")
    keep_falling(fleet, "web-0", lambda: fleet.reported(other, "web-0").get("state") == "failed")
    fleet.hear(other, beats=3)

    assert other != home
    assert fleet.node_of("web-0") == other


def keep_falling(fleet: Fleet, replica: str, enough: Callable[[], bool]) -> None:
    """Let the processes of a replica die again and again."""

    def fallen() -> bool:
        fleet.eye.fell(replica)
        return enough()

    fleet.wait(fallen)


def test_damaged_clones_are_made_anew_and_touch_nothing_that_runs(fleet: Fleet) -> None:
    fleet.deploy("other", on="alpha")
    fleet.deploy("web", on="alpha", parameters="text: first")
    fleet.commit("first")
    fleet.home("other-0")
    home = fleet.home("web-0")

    fleet.nodes[home].damage_clone()
    for mirror in (fleet.folder / "one" / "mirrors").iterdir():
        if (mirror / "HEAD").exists():
            spoil(mirror)
    fleet.deploy("web", on="alpha", parameters="text: second")
    fleet.commit("second")

    fleet.wait(lambda: fleet.says("web", "second of web-0") and fleet.runs("web-0", home))
    assert len(fleet.eye.of("other-0")) == 1
