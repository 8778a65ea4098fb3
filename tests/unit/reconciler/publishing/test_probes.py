"""What an assignment says of probes and rollback."""

from __future__ import annotations

from dataclasses import replace

from reconciler.observing.snapshot import TemplateBundle
from reconciler.placing.plan import Plan
from reconciler.publishing.assignments import told
from schemas.names import NodeName, TemplateName
from schemas.probes import Probe
from schemas.rollout import Update
from schemas.template_probes import TemplateProbe
from tests.builders import a_deployment, a_placement, a_record, a_template
from tests.unit.reconciler.web.fleets import an_observed


def test_probes_and_rollback_travel_with_the_replica() -> None:
    schema = {"type": "object", "properties": {"patience": {"type": "string", "default": "5m"}}}
    probe = TemplateProbe(name="http", port="http", path="/ok", start_period_from="patience")
    template = replace(a_template(parameters=schema), probes=(probe,))
    observed = an_observed(
        deployments=(a_deployment(update=Update(rollback=True)),),
        records=(a_record("alpha"),),
        templates={TemplateName("web"): TemplateBundle(template=template, files={})},
    )

    assignments = told(observed, Plan(placements=(a_placement(),)), ())

    (replica,) = assignments[NodeName("alpha")].replicas
    assert replica.rollback
    assert replica.probes == (
        Probe(name="http", port="http", path="/ok", start_period_seconds=300),
    )
