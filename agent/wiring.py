"""Puts an agent together from its settings and the real tools."""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from agent.asking import answer_well, ask_all
from agent.audit import Auditor
from agent.clock import Clock
from agent.desk import Tools
from agent.files import ReplicaFiles
from agent.glance import access, mirror_folder
from agent.host.disk import read_disk
from agent.host.facts import Facts, read_facts
from agent.host.gpus import GpuReader
from agent.host.hardware import Ours
from agent.host.plausible import plausible
from agent.host.steady import steadied
from agent.janitor import Janitor, ReadDisk, unknown_disk
from agent.lock import check_owner, claim
from agent.look import Look
from agent.loop import Agent
from agent.notebook import Notebook
from agent.pacing import Budget
from agent.perform import Performer
from agent.prepare import Policy, Preparer
from agent.pressure import Disk
from agent.probes import Prober, ProbesAtOnce
from agent.runtime.docker_socket import DEFAULT_HOST, DockerSocket, socket_path
from agent.runtime.holdings import holdings
from agent.runtime.port import Container, Runtime, RuntimeDownError
from agent.settings import Settings
from agent.shelf import Shelf
from agent.speaker import ReadFacts, Speaker
from agent.vigil import Vigil
from fleet.git_repo import open_repository
from fleet.local import local_folder
from fleet.port import Repository
from fleet.rehearsal import Answer, Guard, ask_guarded, rehearse_push
from schemas.layout import assigned_ref, heartbeat_ref
from schemas.names import NodeName
from schemas.policy import check_replica

if TYPE_CHECKING:
    from agent.hands import LentCompose
    from agent.runtime.compose import DockerSettings


def open_runtime(settings: Settings) -> Runtime:
    """Make the runtime that the settings name.

    Raises:
        BadDockerHostError: the engine is not this host's.
    """
    if settings.runtime == "simulated":
        from agent.runtime.simulated import SimulatedRuntime  # noqa: PLC0415  # seldom needed

        return SimulatedRuntime()
    from agent.runtime.compose import ComposeRuntime  # noqa: PLC0415  # as above

    return ComposeRuntime(_docker(settings))


def open_lent_runtime(settings: Settings) -> LentCompose | None:
    """Make a runtime for a service, whose memory counts all day. None: nothing real is run.

    Raises:
        BadDockerHostError: as above.
    """
    if settings.runtime == "simulated":
        return None
    from agent.hands import LentCompose  # noqa: PLC0415  # for services alone

    return LentCompose(_docker(settings))


def _docker(settings: Settings) -> DockerSettings:
    from agent.runtime.compose import DockerSettings  # noqa: PLC0415  # as above

    return DockerSettings(
        host=settings.docker_host or DEFAULT_HOST,
        config=Path(settings.docker_config),
        home=Path(settings.state_dir),
    )


def open_state(settings: Settings) -> Repository:
    """Open the state repository through the agent's own mirror.

    Raises:
        RepositoryError: the URL is none that may be used.
    """
    return open_repository(
        settings.state_url, Path(mirror_folder(settings)), access=access(settings)
    )


def rehearse(settings: Settings) -> None:
    """Ask the state repository whether our heartbeat may be pushed, without pushing it.

    Raises:
        RepositoryError: it may not, or there is no answer.
    """
    ref = heartbeat_ref(NodeName(settings.node))
    rehearse_push(settings.state_url, mirror_folder(settings), ref, access=access(settings))


def ask_rules(settings: Settings) -> Answer:
    """Ask the state repository whether a rule keeps this host from what hosts are told to run.

    Raises:
        RepositoryError: the URL is none that may be used.
    """
    url, ref = settings.state_url, assigned_ref(NodeName(settings.node))
    if local_folder(url) is not None:
        return Answer(Guard.UNKNOWN, "a folder of this host: whoever writes it writes every ref")
    return ask_guarded(url, mirror_folder(settings), ref, access=access(settings))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What an agent stands on: a host, or what a simulator takes for one.

    version: of the program, as heartbeats tell it. prober: None: what only pretends to run is taken
    for ready. policy: of this host. budget: of pushes.
    """

    node: NodeName
    version: str
    runtime: Runtime
    repository: Repository
    facts: ReadFacts
    clock: Clock
    rng: random.Random
    files: ReplicaFiles
    shelf: Shelf
    policy: Policy = check_replica
    prober: Prober | None = None
    budget: Budget = field(default_factory=Budget)
    disk: ReadDisk = unknown_disk


def open_prober(settings: Settings, clock: Clock) -> Prober:
    """Make what asks probes within a pass."""
    ask = answer_well if settings.runtime == "simulated" else ask_all
    return ProbesAtOnce(ask=ask, clock=clock.boottime)


def claim_state(settings: Settings) -> None:
    """Make sure that the locked state folder is ours, before anything in it is believed.

    Raises:
        ForeignError: it is that of another node or engine.
        OSError: it cannot be written.
    """
    claim(settings.state_dir, settings.node, _engine(settings))


def check_state(settings: Settings) -> None:
    """Make sure that the state folder is ours or nobody's, and leave it as it is.

    Raises:
        ForeignError, OSError: as for `claim_state`.
    """
    check_owner(settings.state_dir, settings.node, _engine(settings))


def _engine(settings: Settings) -> str:
    """Name the engine that runs our containers."""
    is_docker = settings.runtime == "docker"
    return (settings.docker_host or DEFAULT_HOST) if is_docker else settings.runtime


def build(
    settings: Settings, runtime: Runtime, facts: ReadFacts, prober: Prober, clock: Clock
) -> Agent:
    """Put an agent together on this host.

    Raises:
        RepositoryError: the URL of the state repository is none that may be used.
    """
    state = Path(settings.state_dir)
    return assemble(
        Ground(
            node=NodeName(settings.node),
            version=f"miaas-agent/{version('miaas')}",
            runtime=runtime,
            repository=open_state(settings),
            facts=facts,
            clock=clock,
            rng=random.Random(),  # noqa: S311  # spreads waits, hides nothing
            files=ReplicaFiles(state / "replicas"),
            shelf=Shelf(state),
            budget=Budget(int(settings.pushes_per_hour)),
            prober=prober,
            disk=open_disk(settings),
        )
    )


def assemble(ground: Ground) -> Agent:
    """Put an agent together."""
    node, runtime, files = ground.node, ground.runtime, ground.files
    clock, rng, repository = ground.clock, ground.rng, ground.repository
    preparer = Preparer(node=node, policy=ground.policy, runtime=runtime, files=files)
    prober = ground.prober or ProbesAtOnce(ask=answer_well, clock=clock.boottime)
    janitor = Janitor(runtime, ground.disk, clock)
    tools = Tools(
        runtime=runtime,
        files=files,
        look=Look(node=node, repository=repository, files=files, clock=clock, rng=rng),
        preparer=preparer,
        performer=Performer(
            runtime=runtime, preparer=preparer, janitor=janitor, clock=clock, rng=rng
        ),
        janitor=janitor,
        speaker=Speaker(
            node=node,
            version=ground.version,
            repository=repository,
            runtime=runtime,
            facts=ground.facts,
            clock=clock,
            rng=rng,
            budget=ground.budget,
        ),
        vigil=Vigil(runtime=runtime, files=files, prober=prober, clock=clock),
        auditor=Auditor(node=node, runtime=runtime, clock=clock),
    )
    return Agent(node, _notebook(ground), tools, clock)


def _notebook(ground: Ground) -> Notebook:
    """What is known from before. What another node was to run is none of it: it would run twice."""
    notebook = Notebook(ground.shelf, ground.clock.boot)
    accepted = notebook.accepted
    if accepted is not None and accepted.assignment.node != ground.node:
        notebook.accepted = None
    return notebook


def open_disk(settings: Settings) -> ReadDisk:
    """Make what tells how full Docker's disk is."""
    if settings.runtime == "simulated":
        return unknown_disk
    roots: list[Path] = []

    def disk() -> Disk | None:
        if not roots and (found := _data_root(settings)) is not None:
            roots.append(found)
        return read_disk(roots[0]) if roots else None

    return disk


def open_facts(settings: Settings) -> ReadFacts:
    """Make what reads the facts of this host."""
    gpus = GpuReader()
    roots: list[Path] = []

    def facts(containers: tuple[Container, ...], ports: frozenset[int]) -> Facts:
        # Asked once it can be answered: an engine may be down when the agent starts.
        if not roots and (found := _data_root(settings)) is not None:
            roots.append(found)
        if not roots:  # an engine that does not say this says nothing else, and that takes long
            root, ours = Path("/var/lib/docker"), _known(containers, ports)
        else:
            root, ours = roots[0], _ours(settings, containers, ports)
        return plausible(steadied(read_facts(root, ours, gpus)))

    return facts


def _ours(settings: Settings, containers: tuple[Container, ...], ports: frozenset[int]) -> Ours:
    """What our containers hold; without an engine to ask, only what is known anyway."""
    if settings.runtime != "simulated":
        engine = DockerSocket(socket_path(settings.docker_host))
        with contextlib.suppress(RuntimeDownError):  # told by every other call in this pass
            return holdings(engine, settings.node, containers, ports)
    return _known(containers, ports)


def _known(containers: tuple[Container, ...], ports: frozenset[int]) -> Ours:
    return Ours(containers=tuple(one.id for one in containers), ports=ports)


def _data_root(settings: Settings) -> Path | None:
    """The folder that holds Docker's data; None: Docker does not answer."""
    if settings.runtime == "simulated":
        return Path(settings.state_dir)
    try:
        return DockerSocket(socket_path(settings.docker_host)).data_root()
    except RuntimeDownError:
        return None
