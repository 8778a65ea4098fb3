"""What every step of a pass has at hand."""

from __future__ import annotations

from dataclasses import dataclass

from agent.audit import Auditor
from agent.clock import Clock
from agent.files import ReplicaFiles
from agent.janitor import Janitor
from agent.look import Look
from agent.notebook import Notebook
from agent.orders import Orders
from agent.perform import Performer
from agent.prepare import Preparer
from agent.runtime.port import Runtime
from agent.speaker import Speaker
from agent.vigil import Vigil
from schemas.names import NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The parts of the agent that touch the world."""

    runtime: Runtime
    files: ReplicaFiles
    look: Look
    preparer: Preparer
    performer: Performer
    speaker: Speaker
    vigil: Vigil
    auditor: Auditor
    janitor: Janitor


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The agent of one node: what it knows, its tools and its clock."""

    node: NodeName
    notebook: Notebook
    tools: Tools
    clock: Clock

    def orders(self) -> Orders:
        """What is known at this moment, as a value to decide from."""
        return Orders(
            node=self.node,
            accepted=self.notebook.accepted,
            memory=self.notebook.memory,
            interrupted=self.notebook.interrupted,
            now=self.clock.boottime(),
            lease=self.notebook.lease,
        )
