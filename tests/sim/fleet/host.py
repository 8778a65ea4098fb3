"""A host: its disk, its engine, its boot, its clock, and the real agent on it."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from agent.clock import Clock
from agent.files import ReplicaFiles
from agent.host.facts import Facts
from agent.loop import Agent
from agent.reasons import Reason
from agent.runtime.port import Container
from agent.shelf import Shelf, plain_fields
from agent.wiring import Ground, assemble
from schemas.layout import LABEL_STOP_AFTER
from schemas.names import NodeName, ReplicaName
from schemas.policy import check_replica
from tests.builders import a_gpu_report, a_host
from tests.sim.fleet.actor import Points
from tests.sim.fleet.documents import SERVICES
from tests.sim.fleet.engine import Engine
from tests.sim.fleet.machine import NEVER, Machine, Surroundings

# As the daemon does where Docker tells of no changes, and where it does.
LOOK_SECONDS, LOOK_ANYWAY_SECONDS = 5.0, 60.0


class Host(Machine):
    """One host. `agent` is None while no agent runs.

    hears: whether Docker's events are heard, and the moving of the node's own ref.
    gone: the machine is lost with all that was on it.
    """

    kind = "agent"

    def __init__(self, name: str, around: Surroundings) -> None:
        super().__init__(name, around)
        rng = around.rng
        self.node = NodeName(name)
        self.cards = tuple(rng.choice(("t4", "l40s")) for _ in range(rng.choice((0, 0, 1, 2, 4))))
        self.memory_mib = rng.choice((2048, 4096, 8192))
        self.hears = rng.random() < 0.5
        self.engine = Engine(self.point, around.now)
        self.engine.script.point = self.point
        self.engine.script.environment = {"ADMIN_PASSWORD": around.secret}
        self.engine.script.logs = dict.fromkeys(SERVICES, f"logging in with {around.secret}\nbye")
        self.disk = Disk(around.folder, self.point)
        self.agent: Agent | None = None
        self.gone = False
        self.reasons: set[Reason] = set()
        self.facts = Facts(
            host=a_host(memory_mib=self.memory_mib, cpu_milli=8000, ports=(22,)),
            gpus=tuple(a_gpu_report(n, card=c, owner=name) for n, c in enumerate(self.cards)),
        )
        self._booted_at = around.now() - rng.uniform(60.0, 1e6)

    def step(self) -> float:
        if self.gone:
            return NEVER
        reasons, self.reasons = frozenset(self.reasons), set()
        if self.agent is None:
            self.agent = self._start()
            reasons = frozenset({Reason.ASKED})
        outcome = self.agent.step(reasons)
        look = LOOK_ANYWAY_SECONDS if self.hears else LOOK_SECONDS
        due = min(outcome.wake, self.agent.next_look()) - self.boottime()
        return max(0.05, min(look, due))

    def died(self) -> float:
        self.agent = None
        self.reasons = set()
        return self.rng.uniform(0.5, 30.0)

    def reboot(self) -> None:
        super().reboot()
        self._booted_at = self.around.now()
        self.engine.reboot()
        self.agent = None

    def burn(self) -> None:
        """Lose the machine for ever: what ran on it, its disk, its images."""
        super().reboot()
        self.gone, self.agent = True, None
        self.engine.burn()
        self.disk.burn()

    def install(self) -> None:
        """Put a new machine of the same name in the place of a lost one."""
        self.gone = False
        self._booted_at = self.around.now()

    @property
    def boot(self) -> str:
        """Which boot of this host it is."""
        return f"boot-{self.boots}"

    def boottime(self) -> float:
        """Seconds since the boot."""
        return self.around.now() - self._booted_at

    def running(self) -> Mapping[str, tuple[Container, ...]]:
        """What runs here by replica, by the projects of this node."""
        found: dict[str, tuple[Container, ...]] = {}
        for one in self.engine.everything():
            if (
                one.state in {"running", "paused"}
                and one.project == f"miaas-{self.name}-{one.replica}"
            ):
                found[one.replica] = (*found.get(one.replica, ()), one)
        return found

    def fenced(self) -> tuple[Container, ...]:
        """What runs here and no other host may run meanwhile."""
        return tuple(
            one
            for one in self.engine.everything()
            if one.state == "running"
            and LABEL_STOP_AFTER in (self.engine.description(one.id).get("labels") or {})
        )

    def _start(self) -> Agent:
        self.point("starting")
        return assemble(
            Ground(
                node=self.node,
                version="miaas-agent/simulated",
                runtime=self.engine,
                repository=self.repository,
                facts=lambda _containers, _ports: self.facts,
                clock=Clock(wall=self.around.wall, boottime=self.boottime, boot=self.boot),
                rng=self.rng,
                files=self.disk.files,
                shelf=self.disk.shelf,
                policy=check_replica,
            )
        )


class Disk:
    """The state folder of an agent. full: nothing more can be written. hits: how often that bit.

    damages: how often the agent's memory became rubbish.
    """

    def __init__(self, folder: Path, point: Points) -> None:
        self.full = False
        self.hits = 0
        self.damages = 0
        self._point = point
        self.folder = folder
        self.shelf = _Shelf(folder, self.pass_point)
        self.files = _Files(folder / "replicas", self.pass_point)

    def pass_point(self, name: str) -> None:
        """Pass a point; before a write on a full disk, fail there."""
        self._point(name)
        if self.full and name.startswith("write "):
            self.hits += 1
            raise OSError(errno.ENOSPC, "No space left on device")

    def burn(self) -> None:
        """Lose everything."""
        self.damages += 1
        self.shelf.texts.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def damage(self) -> None:
        """Overwrite the agent's small files with rubbish."""
        self.damages += 1
        self.shelf.texts = dict.fromkeys(self.shelf.texts, "\x00{")


class _Shelf(Shelf):
    """A shelf in memory, with a point before and after everything that changes it.

    What the real one promises of a kill within a write is tested on real disks.
    """

    def __init__(self, folder: Path, point: Points) -> None:
        super().__init__(folder)
        self._point = point
        self.texts: dict[str, str] = {}

    def read(self, name: str) -> str | None:
        return self.texts.get(name)

    def write(self, name: str, text: str) -> None:
        self._point(f"write {name}")
        self.texts[name] = text
        self._point(f"wrote {name}")

    def write_in_need(self, name: str, value: object) -> None:
        try:
            self.write_json(name, value)
        except OSError:
            text = json.dumps(value, sort_keys=True, default=plain_fields) + "\n"
            if len(text) > len(self.texts.get(name, "")):
                raise
            self.texts[name] = text.ljust(len(self.texts[name]))

    def remove(self, name: str) -> None:
        self._point(f"remove {name}")
        self.texts.pop(name, None)
        self._point(f"removed {name}")


class _Files(ReplicaFiles):
    """Files of replicas, likewise."""

    def __init__(self, root: Path, point: Points) -> None:
        super().__init__(root)
        self._point = point

    def put(self, replica: ReplicaName, tree: str, files: Mapping[str, bytes]) -> None:
        self._point("write files")
        super().put(replica, tree, files)
        self._point("wrote files")

    def put_stored(
        self, replica: ReplicaName, stored: Mapping[str, str], files: Mapping[str, bytes]
    ) -> None:
        self._point("write store")
        super().put_stored(replica, stored, files)

    def put_overlay(self, replica: ReplicaName, tree: str, text: str) -> None:
        self._point("write overlay")
        super().put_overlay(replica, tree, text)
