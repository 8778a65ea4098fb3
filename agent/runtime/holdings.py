"""What Docker says that MIaaS holds on this host, so that all the rest counts as foreign."""

from __future__ import annotations

from agent.host.hardware import Ours
from agent.runtime.docker_socket import DockerSocket
from agent.runtime.port import Container


def holdings(
    engine: DockerSocket, node: str, containers: tuple[Container, ...], given: frozenset[int]
) -> Ours:
    """Ask an engine what our containers hold.

    Args:
        engine: the engine that runs them.
        node: whose containers they are.
        containers: ours, as last seen.
        given: host ports that were given to us, whether a container publishes them yet or not.

    Raises:
        RuntimeDownError: no answer.
    """
    ours, foreign = engine.published_ports(node)
    return Ours(
        containers=tuple(one.id for one in containers),
        ports=ours | given,
        # A port that was given to us and that somebody else took is foreign all the same.
        published=foreign - ours,
        folders=engine.volume_folders(frozenset(one.project for one in containers)),
        image_mib=engine.image_mib(frozenset(one.image for one in containers)),
    )
