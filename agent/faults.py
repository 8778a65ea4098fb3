"""Says in what the containers of a replica are not what they should be. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from agent.content import ServiceWant
from agent.drift import STUCK, spoiled
from agent.runtime.port import Container


def faults(services: tuple[ServiceWant, ...], containers: tuple[Container, ...]) -> Iterator[str]:
    """Say everything in which the containers of a replica are not what they should be."""
    by_service: dict[str, list[Container]] = {}
    for container in containers:
        by_service.setdefault(container.service, []).append(container)
    for service in services:
        yield from _service_faults(service, by_service.pop(service.name, []))
    for name in sorted(by_service):
        yield f"service {name} is no longer part of it"


def _service_faults(service: ServiceWant, containers: list[Container]) -> Iterator[str]:
    """Say in what one service is not as it should be."""
    if any(container.content_hash != service.hash for container in containers):
        yield f"content of service {service.name} changed"
    elif not containers and service.copies:
        yield f"service {service.name} is missing"
    elif len(containers) != service.copies:
        yield f"service {service.name} has {len(containers)} containers, {service.copies} wanted"
    for container in containers:
        if container.content_hash == service.hash:
            if container.state not in STUCK and not is_well(service, container):
                yield f"service {service.name} is {state_text(container)}"
            yield from (f"service {service.name} {told}" for told in spoiled(service, container))


def is_well(service: ServiceWant, container: Container) -> bool:
    """Whether a container is in a state in which it may be left alone.

    `restarting` is Docker's own healing at work; a second healer would only fight it.
    """
    if container.state in {"running", "restarting"}:
        return True
    return service.finishes and container.state == "exited" and container.exit_code == 0


def state_text(container: Container) -> str:
    """A container's state in words, with its exit code where it has one."""
    if container.exit_code is None or container.state == "running":
        return container.state
    return f"{container.state} with code {container.exit_code}"
