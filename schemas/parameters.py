"""The parameters that a template gets: what the deployment says, filled up with defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from schemas.check import Finding
from schemas.deployment import Deployment
from schemas.marks import Marks
from schemas.parameter_schema import (
    ENDLESS,
    HERE,
    EndlessSchemaError,
    judge,
    vet,
    with_defaults,
)
from schemas.problem import BadDocumentError, Place, Problem
from schemas.template import Template
from schemas.template_probes import span_fault


def fill(template: Template, deployment: Deployment) -> Mapping[str, object]:
    """The deployment's parameters with the template's defaults, checked by the template's schema.

    Raises:
        BadDocumentError: a parameter is wrong, missing or unknown (in the deployment's file), or
            the template's own schema cannot be used (in template.yaml).
    """
    schema = template.parameters
    _refuse(vet(schema), template.marks, template.place)
    filled = _filled(template, deployment)
    marks = deployment.marks
    _refuse(judge(schema, filled, marks.written), marks, deployment.place)
    _refuse(_start_periods(template, filled), marks, deployment.place)
    return filled


def _start_periods(template: Template, filled: Mapping[str, object]) -> Iterable[Finding]:
    """What is wrong with the parameters that say how long a start may take."""
    for probe in template.probes:
        fault = span_fault(probe, filled)
        if fault is not None:
            keys = (*HERE, probe.start_period_from or "")
            yield Finding(keys, fault.what, fault.fix)


def _filled(template: Template, deployment: Deployment) -> Mapping[str, object]:
    try:
        found: Mapping[str, object] = with_defaults(template.parameters, deployment.parameters)
    except (EndlessSchemaError, RecursionError):
        _refuse((Finding(HERE, *ENDLESS),), template.marks, template.place)
        raise
    return found


def _refuse(findings: Iterable[Finding], marks: Marks, place: Place) -> None:
    problems = tuple(
        Problem(_place(finding, marks, place), finding.what, finding.fix) for finding in findings
    )
    if problems:
        raise BadDocumentError(problems)


def _place(finding: Finding, marks: Marks, place: Place) -> Place:
    if not marks.path:
        return place
    return marks.at_key(*finding.keys) if finding.at_key else marks.at(*finding.keys)
