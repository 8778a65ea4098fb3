"""A node that all kinds of things happen to: an engine, an agent beside it, a cable, a boot."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agent.glance import MIRROR
from examples.tour.cables import NAMESPACES
from examples.tour.engines import Engine, cut_power, plug, unplug
from examples.tour.services import Service, known, start
from examples.tour.world import python_program
from schemas.fencing import FENCE_PERIOD
from tests.e2e.agent.daemon import Launch, started
from tests.e2e.agent.host import eventually

BOOT_ID = "/proc/sys/kernel/random/boot_id"


@dataclass
class Node:
    """One host of the fleet. settings: of its agent, beside those that follow from the rest.

    boot: the file that its agent takes for the kernel's boot id.
    """

    name: str
    engine: Engine
    folder: Path
    settings: dict[str, str]
    _launch: Launch = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.config.write_text(
            "".join(
                f"{key} = {json.dumps(value)}\n"
                for key, value in {
                    **self.settings,
                    "node": self.name,
                    "state_dir": str(self.state),
                    "docker_host": self.engine.docker_host,
                    "docker_config": str(self.engine.docker_config),
                }.items()
            )
        )
        self.boot.write_text(f"{uuid.uuid4()}\n")
        self._launch = Launch.of(self.engine)

    @property
    def config(self) -> Path:
        return self.folder / "agent.toml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def boot(self) -> Path:
        return self.folder / "boot_id"

    @property
    def log(self) -> str:
        """All that its agents said so far."""
        file = self.folder / "agent.log"
        return file.read_text(errors="replace") if file.exists() else ""

    # the agent

    def words(self, command: str) -> tuple[str, ...]:
        """A command of the agent as if it ran on a host of its own: its network, its boot id."""
        mount = f'mount --bind "$0" {BOOT_ID} && exec "$@"'
        return (
            *("unshare", "--mount", "--propagation", "private", "sh", "-c", mount, str(self.boot)),
            *("nsenter", f"--net={NAMESPACES / self.engine.namespace}"),
            *(python_program("miaas-agent"), command, "--config", str(self.config)),
        )

    def environment(self) -> dict[str, str]:
        return {"PATH": self.engine.environment()["PATH"], "HOME": str(self.folder)}

    def start_agent(self) -> None:
        start("agent", self.words("run"), self.folder, self.environment())

    def agent(self) -> Service | None:
        """The agent that runs; None: none does."""
        return next((one for one in known(self.folder) if one.name == "agent"), None)

    def signal_agent(self, number: signal.Signals) -> None:
        """Send the agent a signal; a fatal one is waited for."""
        agent = self.agent()
        assert agent is not None, f"no agent runs on {self.name}"
        os.kill(agent.pid, number)
        if number is signal.SIGKILL:
            eventually(lambda: self.agent() is None)

    @contextlib.contextmanager
    def fence_timer(self) -> Iterator[None]:
        """Run the host's fence for the length of a block, as often as its timer would."""
        ended = threading.Event()
        turning = threading.Thread(target=self._fence_on, args=(ended,), daemon=True)
        turning.start()
        try:
            yield
        finally:
            ended.set()
            turning.join()

    def _fence_on(self, ended: threading.Event) -> None:
        with (self.folder / "fence.log").open("ab") as log:
            while not ended.wait(FENCE_PERIOD.total_seconds()):
                subprocess.run(
                    self.words("fence"),
                    env=self.environment(),
                    stdin=subprocess.DEVNULL,
                    stderr=log,
                    timeout=90,
                    check=False,
                )

    # its cable, its engine, its boot, its memory

    def cut_off(self) -> None:
        unplug(self.engine)

    def reconnect(self) -> None:
        plug(self.engine)

    def stop_engine(self) -> None:
        """Stop Docker as `systemctl stop` does: its containers end with it."""
        os.kill(self.engine.pid, signal.SIGTERM)
        eventually(lambda: not Path(f"/proc/{self.engine.pid}").exists())

    def signal_engine(self, number: signal.Signals) -> None:
        """Let Docker's daemon stand still, or go on; its containers do not notice."""
        os.kill(self.engine.pid, number)

    def start_engine(self) -> None:
        for leftover in (self.engine.folder / "docker.pid", self.engine.socket):
            leftover.unlink(missing_ok=True)
        for pid in (self.engine.socket.parent / "exec").rglob("*.pid"):
            pid.unlink(missing_ok=True)
        self.engine = started(self.engine, self._launch)

    def engine_lives(self) -> bool:
        return Path(f"/proc/{self.engine.pid}/task").exists()

    def power_off(self) -> None:
        """End all that runs on the host, at once."""
        if self.agent() is not None:
            self.signal_agent(signal.SIGKILL)
        cut_power(self.engine)

    def power_on(self) -> None:
        """Start the host again: another boot, the same disk. The agent is started apart."""
        self.boot.write_text(f"{uuid.uuid4()}\n")
        self.start_engine()

    def damage_clone(self) -> None:
        """Spoil the mirror that the agent reads the assignment from."""
        spoil(self.state / MIRROR)


def spoil(mirror: Path) -> None:
    """Cut off the HEAD, empty the objects, and leave a lock behind."""
    assert (mirror / "HEAD").exists()
    (mirror / "HEAD").write_text("ref: refs/he")
    (mirror / "objects").rename(mirror / "gone")  # at once: somebody may be at work there
    (mirror / "objects").mkdir(exist_ok=True)
    (mirror / "shallow.lock").touch()
