"""Puts an agent together from its settings and the real tools."""

from __future__ import annotations

import random
from importlib.metadata import version
from pathlib import Path

from agent.clock import Clock
from agent.files import ReplicaFiles
from agent.glance import access, mirror_folder
from agent.look import Look
from agent.loop import Agent, Tools
from agent.notebook import Notebook
from agent.perform import Performer
from agent.prepare import Preparer
from agent.runtime.port import Runtime
from agent.settings import Settings
from agent.shelf import Shelf
from agent.speaker import Facts, Speaker
from fleet.git_repo import open_repository
from fleet.port import Repository
from schemas.names import NodeName


def open_runtime(settings: Settings) -> Runtime:
    """Make the runtime that the settings name.

    Raises:
        BadDockerHostError: the engine is not this host's.
    """
    if settings.runtime == "simulated":
        from agent.runtime.simulated import SimulatedRuntime  # noqa: PLC0415  # seldom needed

        return SimulatedRuntime()
    from agent.runtime.compose import ComposeRuntime, DockerSettings  # noqa: PLC0415  # as above
    from agent.runtime.docker_socket import DEFAULT_HOST  # noqa: PLC0415

    return ComposeRuntime(
        DockerSettings(
            host=settings.docker_host or DEFAULT_HOST,
            config=Path(settings.docker_config),
            home=Path(settings.state_dir),
        )
    )


def open_state(settings: Settings) -> Repository:
    """Open the state repository through the agent's own mirror.

    Raises:
        RepositoryError: the URL is none that may be used.
    """
    return open_repository(
        settings.state_url, Path(mirror_folder(settings)), access=access(settings)
    )


def build(
    settings: Settings, runtime: Runtime, repository: Repository, facts: Facts, clock: Clock
) -> Agent:
    """Put an agent together."""
    node, state = NodeName(settings.node), Path(settings.state_dir)
    rng = random.Random()  # noqa: S311  # spreads waits, hides nothing
    files = ReplicaFiles(state / "replicas")
    preparer = Preparer(node=node, runtime=runtime, files=files)
    look = Look(node=node, repository=repository, files=files, clock=clock, rng=rng)
    tools = Tools(
        runtime=runtime,
        files=files,
        look=look,
        preparer=preparer,
        performer=Performer(runtime=runtime, preparer=preparer, clock=clock, rng=rng),
        speaker=Speaker(
            node=node,
            version=f"miaas-agent/{version('miaas')}",
            repository=repository,
            runtime=runtime,
            facts=facts,
            clock=clock,
            rng=rng,
        ),
    )
    return Agent(node, Notebook(Shelf(state), clock.boot), tools, clock)


def open_facts(settings: Settings) -> Facts:
    """Make what reads the facts of this host."""
    raise NotImplementedError(settings)
