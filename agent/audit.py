"""The thorough look: what no listing tells, and no pass could afford to ask each time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from agent.clock import Clock
from agent.converge import Wanted, own_containers
from agent.drift import Findings, Stranger, in_vain, limits_changed
from agent.notebook import Notebook
from agent.runtime.port import Container, Limits, Runtime, RuntimeDownError, RuntimeFailedError
from schemas.layout import project_name
from schemas.names import NodeName

# Each look costs the engine a millisecond a container: 200 of them take a thousandth of a core.
# Docker tells a service of `docker update` at once; a timer, and strangers, wait for this.
AUDIT_SECONDS = 300.0
# An engine that does not answer says so at the next listing. Ask again when that may be over.
AGAIN_SECONDS = 30.0
# More than a person puts into one host's projects by hand. The rest goes with the next look.
MOST_STRANGERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditor:
    """Asks an engine for limits and for strangers, and remembers what is amiss."""

    node: NodeName
    runtime: Runtime
    clock: Clock

    def is_due(self, notebook: Notebook) -> bool:
        """Whether the last look was long enough ago."""
        return self.clock.boottime() >= notebook.memory.audit_due

    def look(
        self, notebook: Notebook, wanted: tuple[Wanted, ...], containers: tuple[Container, ...]
    ) -> None:
        """Look now. Where the engine does not answer, what was found last still counts."""
        now = self.clock.boottime()
        try:
            found = self._findings(notebook.memory.findings, wanted, containers)
        except (RuntimeDownError, RuntimeFailedError):
            notebook.memory = replace(notebook.memory, audit_due=now + AGAIN_SECONDS)
            return
        due = now + AUDIT_SECONDS
        notebook.memory = replace(notebook.memory, findings=found, audit_due=due)

    def _findings(
        self, before: Findings, wanted: tuple[Wanted, ...], containers: tuple[Container, ...]
    ) -> Findings:
        projects = frozenset(project_name(self.node, want.replica) for want in wanted)
        strangers = self.runtime.strangers(projects) if projects else ()
        ids = tuple(one.id for one in containers)
        limits = self.runtime.limits(ids) if ids else {}
        found = deviating(self.node, wanted, with_limits(containers, limits))
        vain = in_vain(before, containers, found)
        contents = {
            one.id: one.content_hash
            for one in containers
            if one.id in found and vain.get(one.content_hash) != found[one.id]
        }
        return Findings(
            limits={name: found[name] for name in contents},
            contents=contents,
            vain=vain,
            strangers=tuple(
                Stranger(id=one.id, project=one.project, image=one.image)
                for one in strangers[:MOST_STRANGERS]
            ),
        )


def with_limits(
    containers: tuple[Container, ...], limits: Mapping[str, Limits]
) -> tuple[Container, ...]:
    """The same containers with what is known of their limits."""
    if not limits:
        return containers
    return tuple(
        replace(one, limits=limits[one.id]) if one.id in limits else one for one in containers
    )


def deviating(
    node: NodeName, wanted: tuple[Wanted, ...], containers: tuple[Container, ...]
) -> Mapping[str, Limits]:
    """The limits that are not as wanted, by container. The others need not be remembered."""
    own = own_containers(node, containers)
    services = {
        (want.replica, service.name): service for want in wanted for service in want.services or ()
    }
    return {
        one.id: one.limits
        for replica, found in own.items()
        for one in found
        if one.limits is not None
        and (service := services.get((replica, one.service))) is not None
        and any(limits_changed(service, one))
    }
