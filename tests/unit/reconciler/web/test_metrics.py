from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.cli.status_texts import fleet_text
from reconciler.web.facts import Facts
from reconciler.web.latest import Latest
from reconciler.web.metrics import metrics
from reconciler.web.overview import fleet_view
from schemas.leader import Leader
from schemas.problem import Place, Problem
from tests.unit.reconciler.cli.screens import a_terminal
from tests.unit.reconciler.web.fleets import NOW, a_busy_fleet
from tests.unit.reconciler.web.pages import a_page

LINE = re.compile(r'^[a-z_]+(\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\})? -?[0-9.]+$')

LEADER = Leader(holder='o"ne', term=3, sequence=9, lease_seconds=60, since=NOW)
MINUTE = timedelta(seconds=60)
UNREADABLE = Problem(Place("fleet.yaml"), "it is broken", "mend it")


def led_by(leader: Leader, lease: timedelta | None, *frozen: Problem) -> Facts:
    facts = a_busy_fleet()
    fleet = replace(facts.observed.fleet, lease=lease)
    observed = replace(facts.observed, leader=leader, fleet=fleet, frozen=frozen)
    return replace(facts, observed=observed)


def test_every_line_is_a_sample_or_a_comment() -> None:
    answer = a_page(a_busy_fleet()).get("/metrics")

    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    assert len(lines) > 50
    for line in lines:
        assert line.startswith(("# HELP ", "# TYPE ")) or LINE.match(line), line


def test_each_node_and_deployment_is_in_exactly_one_state() -> None:
    text = metrics(Latest(view=fleet_view(a_busy_fleet()), looked_at=NOW), NOW)

    assert text.count('node="beta",state="Lost"} 1') == 1
    for metric, names in (
        ("miaas_node_state", 5),
        ("miaas_deployment_health", 10),
        ("miaas_deployment_sync", 10),
    ):
        ones = [x for x in text.splitlines() if x.startswith(f"{metric}{{") and x.endswith(" 1")]
        assert len(ones) == names


def test_counts_and_bytes() -> None:
    text = metrics(Latest(view=fleet_view(a_busy_fleet()), looked_at=NOW), NOW)

    assert 'miaas_deployment_replicas_wanted{deployment="chat"} 2' in text
    assert 'miaas_deployment_replicas_healthy{deployment="chat"} 1' in text
    assert f'"}} {46068 * 1024 * 1024}' in text
    assert "miaas_problems 2" in text


def test_a_stale_view_is_not_up() -> None:
    latest = Latest(view=fleet_view(a_busy_fleet()), looked_at=NOW)

    assert "miaas_up 1" in metrics(latest, NOW)
    assert "miaas_up 0" in metrics(latest, NOW + timedelta(minutes=1))
    assert metrics(replace(latest, view=None, looked_at=None), NOW).splitlines()[-1] == "miaas_up 0"


def test_who_leads_is_told_where_a_leader_is_elected() -> None:
    fleet = a_busy_fleet()
    led = led_by(LEADER, lease=MINUTE)

    text = metrics(Latest(view=fleet_view(led), looked_at=NOW), NOW)
    page = a_page(led)

    assert f'miaas_leader_since_timestamp_seconds{{leader="o\\"ne"}} {NOW.timestamp():.15g}' in text
    assert "miaas_leader_term 3\n" in text
    assert "miaas_leader" not in a_page(fleet).get("/metrics").text
    assert "o&#34;ne leads since 2026-01-05 12:00:30 UTC" in page.get("/").text
    look = page.get("/api/v1/nodes").json["look"]
    assert (look["leader"], look["leadingSince"]) == ('o"ne', "2026-01-05T12:00:30Z")
    assert 'o"ne leads since' in fleet_text(fleet_view(led), NOW, a_terminal())
    assert "leads since" not in fleet_text(fleet_view(fleet), NOW, a_terminal())


@pytest.mark.parametrize(
    ("facts", "leader"),
    [
        pytest.param(led_by(LEADER, MINUTE), 'o"ne', id="elected"),
        pytest.param(led_by(replace(LEADER, released=True), MINUTE), "", id="handed back"),
        pytest.param(led_by(LEADER, None), "", id="no election any more"),
        pytest.param(led_by(LEADER, None, UNREADABLE), 'o"ne', id="settings that cannot be read"),
        pytest.param(
            led_by(replace(LEADER, released=True), None, UNREADABLE), "", id="handed back, and so"
        ),
    ],
)
def test_nobody_is_told_to_lead_who_does_not(facts: Facts, leader: str) -> None:
    view = fleet_view(facts)

    assert view.leader == leader
    assert (view.leading_since is not None, view.term) == (bool(leader), 3 if leader else 0)
    assert ("leads since" in fleet_text(view, NOW, a_terminal())) == bool(leader)
