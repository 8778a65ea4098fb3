"""What people write in the simulated fleet, and what every version of it must come to.

Each template writes its mark and the deployment's text into the environment of its services, so
that what runs can be told apart by looking at it, without rendering anything again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

FLEET: Final = "apiVersion: miaas/v1\nkind: Fleet\nmetadata: {name: sim}\n"
# The shortest that the arithmetic of `schemas.fencing` allows at the default timings.
FENCED: Final = "{stopAfter: 105s, loseAfter: 150s}"
LEASE_SECONDS: Final = 30
UPDATES: Final = (
    "",
    "",
    "{strategy: startFirst}",
    "{maxUnavailable: 50%}",
    "{canary: 1, soak: 30s}",
    "{progressDeadline: 2m}",
    "{progressDeadline: 2m, rollback: false}",
)
# Never open in the half hour of a life; open for ten minutes of each twenty; closed for as long.
WINDOWS: Final = (
    '{kind: allow, cron: "30 7 * * *", duration: 30m}',
    '{kind: allow, cron: "*/20 * * * *", duration: 10m}',
    '{kind: deny, cron: "*/20 * * * *", duration: 10m}',
)
WAVES: Final = "[{key: shelf, operator: In, values: [low]}]"
TEMPLATES: Final = ("web", "model", "store")
TEXTS: Final = ("red", "green", "blue", "no", "22:22", "a: b")
TAGS: Final = ("1", "2", "3")
MARKS: Final = ("m1", "m2", "m3", "m4")
SERVICES: Final = ("web", "worker", "server", "database")
IMAGES: Final = tuple(f"example.org/{name}:{tag}" for name in TEMPLATES for tag in TAGS)


class Version(NamedTuple):
    """What a container shows of the documents that it came from."""

    mark: str
    text: str
    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A deployment as people want it.

    gpu_mib: of a shared card; 0: whole cards. fenced: no two copies of a replica may run.
    update: as written. after: what has to be ready before it; empty: nothing.
    spreads: over the nodes. preempts: pushes out what is less important. stays: on a lost node.
    """

    template: str
    text: str = "red"
    tag: str = "1"
    replicas: int = 1
    memory_mib: int = 256
    gpus: int = 0
    gpu_mib: int = 0
    shelf: str = ""
    priority: int = 0
    fenced: bool = False
    update: str = ""
    after: str = ""
    suspend: bool = False
    spreads: bool = False
    preempts: bool = False
    stays: bool = False

    @property
    def image(self) -> str:
        """The image that its services run."""
        return f"example.org/{self.template}:{self.tag}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeWish:
    """What people say of a node. shelf: empty: nothing."""

    duty: str = "active"
    shelf: str = "low"


@dataclass(slots=True)
class Wishes:
    """The whole fleet repository.

    odd: files of any bytes that stand over what people meant. suspend: the fleet is suspended.
    leads: one reconciler leads, and the others stand by. window: when planned changes are made;
    empty: always. waves: whether the low shelf gets new versions first. asks: whether the template
    `web` needs to know the shelf of its node.
    """

    deployments: dict[str, Wish] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=lambda: dict.fromkeys(TEMPLATES, MARKS[0]))
    nodes: dict[str, NodeWish] = field(default_factory=dict)
    odd: dict[str, bytes] = field(default_factory=dict)
    suspend: bool = False
    leads: bool = False
    window: str = ""
    waves: bool = False
    asks: bool = False

    def copy(self) -> Wishes:
        """The same wishes, to be changed for themselves."""
        return replace(
            self,
            deployments=dict(self.deployments),
            marks=dict(self.marks),
            nodes=dict(self.nodes),
            odd=dict(self.odd),
        )

    def files(self) -> dict[str, bytes]:
        """Every file of the repository."""
        says = ["suspend: true"] if self.suspend else []
        says += [f"leader: {{lease: {LEASE_SECONDS}s}}"] if self.leads else []
        says += [f"windows: [{self.window}]"] if self.window else []
        says += [f"waves: {WAVES}"] if self.waves else []
        texts = {"fleet.yaml": FLEET + (f"spec: {{{', '.join(says)}}}\n" if says else "")}
        for name in TEMPLATES:
            texts |= _template(name, self.marks[name])
        if self.asks:
            texts["templates/web/compose.yaml.j2"] += _SHELF
        texts |= {node_path(name): _node(name, one) for name, one in self.nodes.items()}
        texts |= {deployment_path(name): _text(name, w) for name, w in self.deployments.items()}
        return {**{path: text.encode() for path, text in texts.items()}, **self.odd}

    def sound(self) -> dict[str, Wish]:
        """The deployments of which no document is broken."""
        if "fleet.yaml" in self.odd:
            return {}
        return {
            name: wish
            for name, wish in self.deployments.items()
            if deployment_path(name) not in self.odd
            and not any(path.startswith(f"templates/{wish.template}/") for path in self.odd)
        }

    def versions(self) -> dict[str, Version]:
        """What each sound deployment must look like where it runs."""
        return {
            name: Version(self.marks[wish.template], wish.text, wish.image)
            for name, wish in self.sound().items()
        }


def most_unavailable(wish: Wish) -> int:
    """How many replicas may be away at once by plan."""
    return max(1, wish.replicas // 2) if "50%" in wish.update else 1


def deployment_path(name: str) -> str:
    """Where a deployment stands."""
    return f"deployments/{name}.yaml"


def node_path(name: str) -> str:
    """Where a node stands."""
    return f"nodes/{name}.yaml"


def _node(name: str, wish: NodeWish) -> str:
    labels = f"{{shelf: {wish.shelf}}}" if wish.shelf else "{}"
    head = "apiVersion: miaas/v1\nkind: Node\n"
    return f"{head}metadata: {{name: {name}, labels: {labels}}}\nspec: {{duty: {wish.duty}}}\n"


def _text(name: str, wish: Wish) -> str:
    lines = [
        "apiVersion: miaas/v1",
        "kind: Deployment",
        f"metadata: {{name: {name}}}",
        "spec:",
        f"  template: {wish.template}",
        f"  replicas: {wish.replicas}",
        f"  priority: {wish.priority}",
        f'  parameters: {{text: "{wish.text}", image: "{wish.image}"}}',
        "  resources:",
        "    cpu: 100m",
        f"    memory: {wish.memory_mib}MiB",
    ]
    if wish.template == "model":
        shared = f", memory: {wish.gpu_mib}MiB, sharing: shared" if wish.gpu_mib else ""
        lines.append(f"    gpus: {{count: {wish.gpus}{shared}}}")
    lines += [f"  update: {wish.update}"] if wish.update else []
    lines += [f"  disconnect: {FENCED}"] if wish.fenced else []
    lines += ["  disconnect: {replace: false}"] if wish.stays and not wish.fenced else []
    lines += [f"  dependsOn: [{wish.after}]"] if wish.after else []
    lines += ["  suspend: true"] if wish.suspend else []
    placement = ["    strategy: spread"] if wish.spreads else []
    placement += ["    preemption: lowerPriority"] if wish.preempts else []
    if wish.shelf:
        placement += [f"    require: [{{key: shelf, operator: In, values: [{wish.shelf}]}}]"]
    lines += ["  placement:", *placement] if placement else []
    return "\n".join(lines) + "\n"


def _template(name: str, mark: str) -> dict[str, str]:
    more = {"web": _WEB_PORTS, "model": _MODEL_NEEDS, "store": _STORE_VOLUMES}[name]
    compose = {"web": _WEB, "model": _MODEL, "store": _STORE}[name].replace("MARKED", mark)
    folder = f"templates/{name}"
    files = {
        f"{folder}/template.yaml": _HEAD.replace("NAME", name) + more,
        f"{folder}/compose.yaml.j2": compose,
    }
    if name == "web":
        files[f"{folder}/site.conf.j2"] = "text {{ params.text }} of " + mark + "\n"
        files[f"{folder}/README"] = "what a site needs\n"
    return files


_HEAD: Final = """\
apiVersion: miaas/v1
kind: Template
metadata: {name: NAME}
spec:
  description: A template of the simulator.
  parameters:
    type: object
    additionalProperties: false
    properties:
      text: {type: string, default: red}
      image: {type: string, default: "example.org/NAME:1"}
"""
_WEB_PORTS: Final = "  ports: [{name: http, container: 8080}]\n"
_MODEL_NEEDS: Final = "  resources: {gpus: {count: 1}}\n  ports: [{name: http, container: 8000}]\n"
_STORE_VOLUMES: Final = "  volumes: [data]\n"

_SERVICE: Final = """\
    image: {{ params.image }}
    environment:
      MARK: MARKED
      TEXT: {{ params.text }}
"""
_WEB: Final = f"""\
services:
  web:
{_SERVICE}    restart: unless-stopped
    ports:
      - {{{{ ports.http ~ ":8080" }}}}
    volumes:
      - ./site.conf:/etc/site.conf:ro
    healthcheck:
      test: [CMD, "true"]
  worker:
{_SERVICE}    restart: always
"""
# The last lines of the service that is last in `web`.
_SHELF: Final = "    labels:\n      shelf: {{ node.labels.shelf }}\n"
_MODEL: Final = f"""\
services:
  server:
{_SERVICE}    restart: unless-stopped
    ports:
      - {{{{ ports.http ~ ":8000" }}}}
    deploy:
      resources:
        reservations:
          devices:
            - driver: nvidia
              device_ids: {{{{ gpus | map(attribute="uuid") | list }}}}
              capabilities: [gpu]
"""
# Services that say nothing of a restart: to end well is their normal end.
FINISHING: Final = frozenset({"database"})
_STORE: Final = f"""\
services:
  database:
{_SERVICE}    volumes:
      - data:/var/lib/data
volumes:
  data: {{}}
"""
