"""Random changes, harm and kills in a row: in the end everything is exactly as last assigned."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.agent.dying import Hook
from tests.e2e.agent.host import IMAGE, NEXT_IMAGE, Host, two_services

pytestmark = pytest.mark.e2e

STEPS = 20
REPLICAS = ("chat-0", "code-0", "draw-0")
KILLED_AT = (
    "write accepted.json",
    "write journal.json of up",
    "compose up of up",
    "write memory.json of up",
    "write journal.json of down",
    "compose down of down",
    "push",
)
HARM = ("stop", "kill", "rm --force", "pause", "restart --time 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What a replica should be."""

    image: str
    text: str


@dataclass
class Life:
    """A host to which things happen. assigned: what was published last."""

    host: Host
    hook: Hook
    rng: random.Random
    assigned: dict[str, Version] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def step(self) -> None:
        """Let one thing happen, and perhaps a pass."""
        happening = self.rng.choice(
            (self.change, self.change, self.remove, self.hurt, self.hurt, self.edit, self.die)
        )
        self.told.append(f"{happening.__name__}: {happening()}")
        if self.rng.random() < 0.6:
            self.told.append(f"a pass ended with {self.host.once().code}")

    def change(self) -> str:
        """Add a replica, or give it another version."""
        name = self.rng.choice(REPLICAS)
        image = self.rng.choice((IMAGE, NEXT_IMAGE))
        self.assigned[name] = Version(image=image, text=f"{self.rng.randrange(1000)}")
        self._publish()
        return f"{name} becomes {self.assigned[name]}"

    def remove(self) -> str:
        """Drop a replica."""
        name = self.rng.choice(REPLICAS)
        self.assigned.pop(name, None)
        self._publish()
        return name

    def hurt(self) -> str:
        """Do something to a container behind the agent's back."""
        containers = self.host.listed()
        if not containers:
            return "nobody there"
        name, identity, state = self.rng.choice(containers)
        harm = self.rng.choice(HARM)
        if state == "running":
            self.host.docker(*harm.split(), identity)
        return f"{name}, {state}: {harm}"

    def edit(self) -> str:
        """Edit a file that the agent wrote."""
        found = sorted(self.host.state.glob("replicas/*/*/compose.yaml"))
        found += sorted(self.host.state.glob("replicas/*/store/*/text"))
        if not found:
            return "nothing there"
        path = self.rng.choice(found)
        path.write_text("edited")
        return str(path.relative_to(self.host.state))

    def die(self) -> str:
        """Have an agent killed, if it comes to that step."""
        name = self.rng.choice(KILLED_AT)
        return f"at {name}: {self.host.once('--now', **self.hook.environment(name)).code}"

    def is_as_assigned(self) -> bool:
        wanted = [f"{name}/{service}" for name in self.assigned for service in ("side", "web")]
        listed = self.host.listed()
        return (
            sorted(name for name, _, _ in listed) == sorted(wanted)
            and all(state == "running" for _, _, state in listed)
            and all(self._is_inside(name, version) for name, version in self.assigned.items())
        )

    def is_told(self) -> bool:
        beat = self.host.heartbeat()
        states = {str(one.name): str(one.state) for one in beat.replicas}
        return states == dict.fromkeys(self.assigned, "running") and beat.problems == ()

    def _is_inside(self, name: str, version: Version) -> bool:
        said = self.host.inside(f"{name}/web", "cat /etc/image; echo; cat /etc/text")
        return said.split() == [version.image, version.text]

    def _publish(self) -> None:
        self.host.publish(
            {
                name: two_services(
                    {"text": version.text}, image=version.image, volumes=["./text:/etc/text:ro"]
                )
                for name, version in self.assigned.items()
            }
        )


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 40))]
)
def test_in_the_end_everything_is_as_assigned(
    a_host: Callable[[], Host], tmp_path: Path, seed: int
) -> None:
    host = a_host()
    hook = Hook(host, tmp_path)
    hook.install()
    life = Life(host, hook, random.Random(seed))
    life.change()
    for _ in range(STEPS):
        life.step()
    print("\n".join(life.told))  # noqa: T201 - shown when it fails

    host.passes_until(lambda: life.is_as_assigned() and life.is_told(), "--now")
    calm, containers = host.once("--now"), host.containers()

    assert calm.done == ()
    assert life.is_as_assigned()
    assert host.containers() == containers
    folders = {path.name for path in (host.state / "replicas").iterdir()}
    assert folders == set(life.assigned)
    networks = host.docker(
        "network", "ls", "--filter", f"name=miaas-{host.node}-", "--format", "{{.Name}}"
    )
    assert set(networks.split()) == {f"{host.project(name)}_default" for name in life.assigned}
