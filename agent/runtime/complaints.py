"""What Docker and Compose say when they fail, condensed to one line with a way out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_LINE: Final = 300  # of a line that we do not know; it goes into a heartbeat


@dataclass(frozen=True, slots=True)
class Complaint:
    """A kind of failure: how it is told by, what it is called, and the way out."""

    pattern: re.Pattern[str]
    what: str
    fix: str


def _kind(pattern: str, what: str, fix: str) -> Complaint:
    return Complaint(re.compile(pattern, re.IGNORECASE), what, fix)


DOWN: Final = re.compile(
    r"failed to connect to the docker api|cannot connect to the docker daemon"
    r"|is the docker daemon running|error during connect",
    re.IGNORECASE,
)

# The first that matches wins: the more special one stands first.
KINDS: Final = (
    _kind(
        r"is not a docker command|unknown (?:docker )?command|unknown (?:shorthand )?flag",
        "Docker has no Compose plugin",
        "install docker-compose-plugin, or link docker-compose into cli-plugins of DOCKER_CONFIG",
    ),
    _kind(
        r"no space left on device|disk quota exceeded",
        "no space left",
        "free space where Docker keeps its data, for example with `docker image prune`",
    ),
    _kind(
        r"could not select device driver",
        "the engine has no GPU support",
        "install the NVIDIA Container Toolkit and run `nvidia-ctk runtime configure`",
    ),
    _kind(
        r"nvidia-container-cli|unknown device|failed to discover gpu|unresolvable cdi devices",
        "the GPU cannot be given to a container",
        "run `nvidia-smi` on the host; the driver and the container toolkit must agree",
    ),
    _kind(
        r"port is already allocated|address already in use",
        "port already allocated",
        "use `auto` for this port, or stop what listens on it",
    ),
    _kind(
        r"toomanyrequests|rate limit",
        "the registry refuses more pulls for now",
        "log in to the registry on the host, or use a mirror",
    ),
    _kind(
        r"no such image|manifest unknown|manifest for .* not found|name unknown"
        r"|repository does not exist|failed to resolve reference .*: not found",
        "image not found",
        "check name and tag of the image; with `pull_policy: never` load it on the host first",
    ),
    _kind(
        r"unauthorized|authentication required|no basic auth credentials|access denied|denied:",
        "the registry refuses this host",
        "run `docker login` for the agent's Docker configuration, or check the image's name",
    ),
    _kind(
        r"https?://.*(?:dial tcp|i/o timeout|tls|x509|certificate|EOF|Client\.Timeout|"
        r"context deadline exceeded|request canceled)|lookup .*(?:no such host|server misbehaving)",
        "registry unreachable",
        "check the host's network, DNS and proxy towards the registry",
    ),
    _kind(
        r"exec format error|does not match the (?:detected host|specified) platform"
        r"|no matching manifest for",
        "the image is made for another processor",
        "use an image for this architecture, or require a node by its label `miaas/arch`",
    ),
    _kind(
        r"oci runtime create failed|unable to start container process",
        "the container's command cannot be started",
        "check command and entrypoint against the image",
    ),
    _kind(
        r"dependency failed to start|didn't complete successfully|is unhealthy",
        "a service that others wait for did not come up",
        "look at its log with `docker logs`",
    ),
    _kind(
        r"bind source path does not exist|invalid mount config|not a directory: unknown",
        "a bind mount does not fit",
        "create the folder on the host, or use a named volume",
    ),
    _kind(
        r"pool overlaps|non-overlapping ipv4 address pool",
        "no address range is left for a network",
        "remove unused networks, or widen `default-address-pools` of the engine",
    ),
    _kind(
        r"declared as external, but could not be found|external volume .* not found",
        "something declared external is not there",
        "create it on the host, or let Compose make it",
    ),
    _kind(
        r"validating .*:|failed to parse |invalid compose project|yaml:",
        "Compose does not accept the file",
        "run `docker compose config` on the rendered file",
    ),
)


def condensed(stderr: str) -> str:
    """One line for people: what failed, what was said, and a way out where one is known."""
    lines = _useful(stderr)
    for line in reversed(lines):
        for kind in KINDS:
            if kind.pattern.search(line):
                return f"{kind.what}: {_shortened(line)}. Fix: {kind.fix}"
    return _shortened(lines[-1]) if lines else "it failed and said nothing"


def unfinished(stderr: str, seconds: float) -> str:
    """One line about a call that was ended because it took too long, and where it stood."""
    lines = _useful(stderr)
    # When it is ended, Compose goes on to say what it would have done next.
    waits = [line for line in lines if line.endswith(" Waiting")]
    stood = f"; it stood at: {_shortened((waits or lines)[-1])}" if lines else ""
    return f"not finished within {round(seconds, 1):g} s{stood}. What was begun is taken up again"


def says_engine_is_down(stderr: str) -> bool:
    """Whether the client could not reach the engine at all."""
    return DOWN.search(stderr) is not None


def _useful(stderr: str) -> list[str]:
    """The lines that can be the reason: no progress, no warning, nothing that says nothing."""
    lines = [" ".join(line.split()) for line in stderr.splitlines()]
    return [line for line in lines if _shortened(line) and "level=warning" not in line]


def _shortened(line: str) -> str:
    plain = re.sub(r"\A(?:.* )?Error response from daemon: ", "", line)
    plain = re.sub(r" \([0-9a-f]{64}\)", "", plain)  # ids that nobody can use
    plain = plain.rstrip(". ")
    return plain if len(plain) <= MAX_LINE else f"{plain[: MAX_LINE - 1]}…"
