from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

from reconciler.web.latest import Latest
from reconciler.web.metrics import metrics
from reconciler.web.overview import fleet_view
from tests.unit.reconciler.web.fleets import NOW, a_busy_fleet
from tests.unit.reconciler.web.pages import a_page

LINE = re.compile(r'^[a-z_]+(\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\})? -?[0-9.]+$')


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
