"""Probes of templates: what is read, what is refused, and what a deployment makes of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schemas.parameters import fill
from schemas.probes import Probe, ProbeKind
from schemas.problem import BadDocumentError
from schemas.template import Template, parse_template
from schemas.template_probes import TemplateProbe, settled
from tests.builders import a_deployment

HEAD = """\
apiVersion: miaas/v1
kind: Template
metadata: {name: web}
spec:
  description: A server.
  parameters: {type: object, properties: {patience: {type: string, default: 20m}}}
  ports: [{name: http, container: 80}]
  probes:
"""


def a_template(*probes: str) -> Template:
    return parse_template(HEAD + "".join(f"    - {probe}\n" for probe in probes), path="t.yaml")


def test_a_probe_is_named_after_its_port_and_asks_http() -> None:
    assert a_template("{port: http}").probes == (TemplateProbe(name="http", port="http"),)


def test_all_of_a_probe_is_read_and_settled() -> None:
    (probe,) = a_template(
        "{name: up, port: http, kind: tcp, startPeriod: 2m, interval: 30s, timeout: 3s,"
        " failureThreshold: 5, successThreshold: 2}"
    ).probes

    assert settled(probe, {}) == Probe(
        name="up",
        port="http",
        kind=ProbeKind.TCP,
        start_period_seconds=120,
        interval_seconds=30,
        timeout_seconds=3,
        failure_threshold=5,
        success_threshold=2,
    )


@pytest.mark.parametrize(
    ("parameters", "seconds"),
    [({"patience": "20m"}, 1200), ({"patience": ""}, 60), ({}, 60)],
)
def test_a_parameter_says_how_long_a_start_may_take(
    parameters: dict[str, object], seconds: int
) -> None:
    probe = TemplateProbe(
        name="http",
        port="http",
        start_period=timedelta(minutes=1),
        start_period_from="patience",
    )

    assert settled(probe, parameters).start_period_seconds == seconds


def test_a_parameter_that_is_no_duration_is_a_problem_of_the_deployment() -> None:
    template = a_template("{port: http, startPeriodFrom: patience}")
    deployment = a_deployment(template="web", parameters={"patience": "soon"})

    assert fill(template, a_deployment(template="web")) == {"patience": "20m"}
    with pytest.raises(BadDocumentError, match="'soon' is no duration"):
        fill(template, deployment)


@pytest.mark.parametrize(
    ("probes", "said"),
    [
        (["{port: grpc}"], "t.yaml:9:14: there is no port named 'grpc'"),
        (["{port: http}", "{port: http}"], "a probe named 'http' stands here a second time"),
        (["{port: http, kind: tcp, path: /x}"], "a probe of kind tcp asks for no path"),
        (["{port: http, startPeriodFrom: x}"], "there is no parameter named 'x'"),
        (["{port: http, interval: 0s}"], "interval is 0s"),
        (["{port: http, interval: 2h}"], "interval is 2h"),
        (["{port: http, timeout: 61s}"], "timeout is 61s"),
        (["{port: http, failureThreshold: 0}"], "less than 1"),
        (["{port: http, path: health}"], "path"),
        (["{path: /}"], "port is missing"),
        (["{port: http, kind: grpc}"], "which it cannot be"),
    ],
)
def test_what_cannot_be_asked_is_refused(probes: list[str], said: str) -> None:
    with pytest.raises(BadDocumentError) as caught:
        a_template(*probes)

    assert said in str(caught.value)
