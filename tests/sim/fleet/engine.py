"""The container engine of a simulated host: honest, and ill when told to be."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.runtime.port import Container, Project, RuntimeDownError, RuntimeFailedError
from agent.runtime.simulated import SimulatedRuntime
from tests.sim.fleet.actor import Points

# How long the client waits for an engine that hangs, seconds.
HANGS_SECONDS = 30.0
RISES_AGAIN = frozenset({"always", "unless-stopped"})


@dataclass(frozen=True, slots=True)
class Start:
    """A container that was started or made. tree: id of the files that it was made from."""

    container: Container
    tree: str
    made_from: Mapping[str, Any]


class Engine(SimulatedRuntime):
    """One engine. What an agent starts is noted, whatever becomes of the agent meanwhile.

    hangs: no call returns before the client gives up. stuck: nothing can be removed.
    starts, risen: what an agent started, and replicas that rose by themselves, since somebody last
    took them. right: the files that each container was last made from or found right by, by its
    id: a service that did not change stays when the other ones are made anew. hits: how often an
    illness bit. acts: when each project was acted upon.
    """

    def __init__(self, wait: Points, now: Callable[[], float]) -> None:
        super().__init__()
        self.hangs = False
        self.stuck = False
        self.starts: list[Start] = []
        self.risen: set[str] = set()
        self.right: dict[str, str] = {}
        self.hits: dict[str, int] = {}
        self.acts: dict[str, deque[float]] = {}
        self._wait, self._now = wait, now
        self.script.wait = self._wait_for_a_start

    def up(self, project: Project, within: float | None = None) -> None:
        self._note_act(project.name)
        before = {one.id: one.state for one in self.everything()}
        try:
            super().up(project, within)
            ours = [one.id for one in self.everything() if one.project == project.name]
            self.right |= dict.fromkeys(ours, project.folder.name)
        except RuntimeFailedError as error:
            if str(error) in self.script.failing.values():
                self._hit("start fails")
            raise
        finally:
            self.starts += [
                Start(one, project.folder.name, self.description(one.id))
                for one in self.everything()
                if one.project == project.name
                and before.get(one.id) != one.state
                and one.state != "exited"  # the host was booted meanwhile
                and self.description(one.id)  # nor did anybody put it there meanwhile
            ]

    def pull(self, project: Project) -> None:
        self._note_act(project.name)
        try:
            super().pull(project)
        except RuntimeFailedError:
            self._hit("pull fails")
            raise

    def down(self, project: str) -> None:
        self._note_act(project)
        if self.stuck:
            self._hit("removal fails")
            raise RuntimeFailedError("could not kill container: tried and gave up")
        super().down(project)

    @property
    def has_news(self) -> bool:
        """Whether something started, or rose by itself, that nobody has taken yet."""
        return bool(self.starts or self.risen)

    def vanish(self, container_id: str) -> None:
        """Remove a container by hand, whatever ails the client of the agent."""
        del self._made[container_id]

    def burn(self) -> None:
        """Lose everything, as when the host burns."""
        self._made.clear()
        self.networks.clear()
        self.present_images.clear()
        self.volumes.clear()

    def reboot(self) -> None:
        """Do what an engine does when its host starts again."""
        for one in self.everything():
            rises = self.description(one.id).get("restart", "no") in RISES_AGAIN
            if one.state in {"running", "restarting", "paused"}:
                self.change(one.id, "running" if rises else "exited", None if rises else 255)
                self.risen |= {one.replica} if rises else set()

    def description(self, container_id: str) -> Mapping[str, Any]:
        """What a container was made from; nothing for one that was put there by hand."""
        text = self._made[container_id].description
        found: dict[str, Any] = {} if text == "by hand" else json.loads(text)
        return found

    def _enter(self, call: str) -> None:
        if self.hangs:
            self._hit("docker hangs")
            self._wait("hangs", HANGS_SECONDS)
            raise RuntimeDownError(f"no answer within {HANGS_SECONDS:.0f} s")
        if self.script.down:
            self._hit("docker is down")
        super()._enter(call)

    def _wait_for_a_start(self, seconds: float) -> None:
        self._hit("slow start")
        self._wait("a slow start", seconds)

    def _note_act(self, project: str) -> None:
        self.acts.setdefault(project, deque()).append(self._now())

    def _hit(self, name: str) -> None:
        self.hits[name] = self.hits.get(name, 0) + 1
