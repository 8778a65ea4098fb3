"""A small fleet repository in memory, and passes over it: what most tests here begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fleet.memory import MemoryRepository, MemoryServer
from reconciler.decide import Pass, decide
from reconciler.loop import Outcome, pass_once
from reconciler.observing.read import Reader, read_snapshot
from reconciler.observing.snapshot import Snapshot
from reconciler.rendering.port import Outcome as Rendering
from reconciler.rendering.port import Rendered, Renderer, RenderJob, Unrendered
from reconciler.rendering.sandbox import RenderError, Sandbox
from reconciler.rolling.marks import Memory
from schemas.heartbeat import Heartbeat, dump_heartbeat
from schemas.layout import ASSIGNMENTS_REF, HEARTBEAT_FILE, assigned_ref, heartbeat_ref
from schemas.names import CommitId, NodeName
from tests.builders import A_MOMENT, a_heartbeat

FLEET = "apiVersion: miaas/v1\nkind: Fleet\nmetadata: {name: test}\n"

WEB = """\
apiVersion: miaas/v1
kind: Template
metadata: {name: web}
spec:
  description: A web server for tests.
  parameters:
    type: object
    properties:
      text: {type: string, default: hello}
      image: {type: string, default: "example.org/web:1.0"}
    additionalProperties: false
  resources: {cpu: 100m, memory: 64MiB}
  ports:
    - {name: http, container: 8080}
"""

WEB_COMPOSE = """\
services:
  web:
    image: {{ params.image }}
    environment:
      TEXT: {{ params.text }}
    ports:
      - {{ ports.http ~ ":8080" }}
"""


def deployment(name: str, *, template: str = "web", **spec: Any) -> str:
    """The text of a deployment; further keys of its spec as keywords."""
    lines = [f"  {key}: {value}" for key, value in spec.items()]
    head = "apiVersion: miaas/v1\nkind: Deployment\nmetadata: {name: " + name + "}\nspec:\n"
    return head + "\n".join([f"  template: {template}", *lines]) + "\n"


def node(name: str, **spec: Any) -> str:
    """The text of a node's document."""
    head = "apiVersion: miaas/v1\nkind: Node\nmetadata: {name: " + name + "}\n"
    return head + ("spec:\n" if spec else "") + "".join(f"  {k}: {v}\n" for k, v in spec.items())


def a_small_fleet(**more: str) -> dict[str, str]:
    """A fleet of two nodes, one template and one deployment; further files as `path=text`."""
    return {
        "fleet.yaml": FLEET,
        "nodes/alpha.yaml": node("alpha"),
        "nodes/beta.yaml": node("beta"),
        "templates/web/template.yaml": WEB,
        "templates/web/compose.yaml.j2": WEB_COMPOSE,
        "deployments/chat.yaml": deployment("chat"),
        **more,
    }


class InlineRenderer:
    """Renders in this process, without the child's bounds: quick, for templates we trust."""

    def __init__(self) -> None:
        self.rendered = 0
        self._sandboxes: dict[tuple[object, ...], Sandbox] = {}

    def render(self, jobs: tuple[RenderJob, ...]) -> tuple[Rendering, ...]:
        return tuple(self._one(job) for job in jobs)

    def _one(self, job: RenderJob) -> Rendering:
        self.rendered += 1
        folder = job.bundle.template.place.path.rpartition("/")[0]
        sources = {p: t.decode() for p, t in job.bundle.files.items() if p.endswith(".j2")}
        key = tuple(sources.items())
        sandbox = self._sandboxes.get(key) or Sandbox(folder, sources)
        self._sandboxes[key] = sandbox
        try:
            files = {
                path.removesuffix(".j2"): sandbox.render(path, job.context).encode()
                for path in sorted(sources)
            }
        except RenderError as error:
            return Unrendered(problems=error.problems)
        return Rendered(files=files)


@dataclass(slots=True)
class StillClock:
    """A clock that a test moves."""

    now: datetime = A_MOMENT

    def steady(self) -> datetime:
        return self.now

    def wall(self) -> datetime:
        return self.now

    def pass_by(self, span: timedelta) -> None:
        self.now += span


@dataclass(slots=True)
class World:
    """One server, the people who commit to it, the agents that push to it, and a reconciler."""

    server: MemoryServer = field(default_factory=MemoryServer)
    files: dict[str, str | bytes] = field(default_factory=dict)
    clock: StillClock = field(default_factory=StillClock)
    renderer: Renderer = field(default_factory=InlineRenderer)
    memory: Memory = field(default_factory=Memory)
    client: MemoryRepository = field(init=False)
    reader: Reader = field(init=False)
    _people: MemoryRepository = field(init=False)

    def __post_init__(self) -> None:
        self.client = MemoryRepository(self.server)
        self.reader = Reader(self.client, self.client, "main")
        self._people = MemoryRepository(self.server)

    def commit(
        self, changes: Mapping[str, str | bytes | None], *, message: str = "a change"
    ) -> CommitId:
        """Commit changes of the fleet repository: text, bytes, or None to remove."""
        for path, content in changes.items():
            if content is None:
                del self.files[path]
            else:
                self.files[path] = content
        whole = {p: c.encode() if isinstance(c, str) else c for p, c in self.files.items()}
        parent = self._people.fetch("refs/heads/main").get("refs/heads/main")
        made = self._people.commit(
            self._people.write(None, whole), parent=parent, message=message, at=self.clock.now
        )
        self._people.push_own("refs/heads/main", made)
        return made

    def beat(self, name: str, **fields: Any) -> Heartbeat:
        """Push a heartbeat of a node."""
        heartbeat = a_heartbeat(name, **fields)
        self.push_heartbeat(name, dump_heartbeat(heartbeat).encode())
        return heartbeat

    def push_heartbeat(self, name: str, content: bytes) -> None:
        """Push any bytes as a node's heartbeat."""
        agent = MemoryRepository(self.server)
        tree = agent.write(None, {HEARTBEAT_FILE: content})
        made = agent.commit(tree, parent=None, message="heartbeat", at=A_MOMENT)
        agent.push_own(heartbeat_ref(NodeName(name)), made)

    def snapshot(self) -> Snapshot:
        """Read with a fresh client."""
        client = MemoryRepository(self.server)
        return read_snapshot(client, client, "main")

    def decide(self) -> Pass:
        """Decide without publishing."""
        return decide(self.snapshot(), self.clock.now, self.memory, self.renderer)

    def pass_once(self) -> Outcome:
        """One pass of the reconciler."""
        outcome = pass_once(self.reader, self.renderer, self.memory, self.clock)
        self.memory = outcome.result.memory
        return outcome

    def tree(self) -> dict[str, bytes]:
        """Every file of the assignments branch; nothing before the first decision."""
        return self._files_at(ASSIGNMENTS_REF)

    def own_tree(self, name: str) -> dict[str, bytes]:
        """Every file at a node's own ref."""
        return self._files_at(assigned_ref(NodeName(name)))

    def history(self) -> list[str]:
        """The messages of the assignments branch, newest first."""
        client = MemoryRepository(self.server)
        tip = client.fetch_history(ASSIGNMENTS_REF)
        return [commit.message for commit in client.log(tip, 1000)] if tip else []

    def _files_at(self, ref: str) -> dict[str, bytes]:
        client = MemoryRepository(self.server)
        tip = client.fetch(ref).get(ref)
        if tip is None:
            return {}
        files = client.tree(tip).files
        blobs = client.read([file.blob for file in files.values()])
        return {path: blobs[file.blob] for path, file in sorted(files.items())}


def a_world(*nodes: str, files: Mapping[str, str | bytes] | None = None) -> World:
    """A world with the small fleet in it, in which these nodes have spoken; both by default."""
    world = World()
    world.commit(a_small_fleet() if files is None else files)
    for name in nodes or ("alpha", "beta"):
        world.beat(name)
    return world
