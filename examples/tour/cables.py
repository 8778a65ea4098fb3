"""Networks of their own for engines: a namespace, and a cable between it and the host."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path
from typing import Final

from examples.tour.machine import EngineError, find, must, run

NAMESPACES: Final = Path("/run/netns")
CABLES: Final = 250  # 10.99.0.0/16 has room for that many


@functools.cache
def namespaces_allowed() -> bool:
    """Whether this process may give an engine its own network: it tries, and undoes the trial."""
    if os.geteuid() != 0 or find("ip") is None or find("nsenter") is None:
        return False
    trial = f"miaas-trial-{os.getpid()}"
    made = run("ip", "netns", "add", trial).returncode == 0
    link = f"mt{os.getpid()}"
    cabled = made and _add_cable(link, trial)
    entered = cabled and inside(trial, "true").returncode == 0
    if cabled:
        run("ip", "link", "del", link)  # with the namespace it would go a moment later
    if made:
        run("ip", "netns", "del", trial)
    return entered


def plug_in(namespace: str, index: int) -> int:
    """Make a namespace with a cable to the host. Gives the i of its 10.99.i.0/24.

    index: the first to try. Creating a link fails when its name is taken, so two runs never get the
    same number.

    Raises:
        EngineError: all numbers are in use.
    """
    must("ip", "netns", "add", namespace)
    for step in range(CABLES):
        number = (index - 1 + step) % CABLES + 1
        if _add_cable(name_of_cable(number), namespace):
            return number
    raise EngineError(f"all {CABLES} cables are in use. Fix: `ip link`, and stop what is not used")


def give_addresses(number: int, namespace: str) -> str:
    """Give both ends of a cable their addresses. Gives the one of the namespace."""
    there = f"10.99.{number}.2"
    must("ip", "addr", "add", f"10.99.{number}.1/24", "dev", name_of_cable(number))
    must("ip", "link", "set", name_of_cable(number), "up")
    for arguments in (
        ("link", "set", "lo", "up"),
        ("addr", "add", f"{there}/24", "dev", "node0"),
        ("link", "set", "node0", "up"),
        # No default route, on purpose: a pull then fails at once instead of hanging in DNS.
    ):
        answer = inside(namespace, "ip", *arguments)
        if answer.returncode != 0:
            raise EngineError(f"ip {' '.join(arguments)}: {answer.stderr.decode().strip()}")
    return there


def name_of_cable(number: int) -> str:
    """Name the host's end of a cable."""
    return f"miaas{number}"


def _add_cable(link: str, namespace: str) -> bool:
    peer = ("peer", "name", "node0", "netns", namespace)
    return run("ip", "link", "add", link, "type", "veth", *peer).returncode == 0


def remove_network(namespace: str, *links: str) -> None:
    """Remove a namespace and links, those that are there."""
    for link in links:
        if link and link_exists(link):
            run("ip", "link", "del", link)
    if (NAMESPACES / namespace).exists():
        run("ip", "netns", "del", namespace)


def link_exists(name: str) -> bool:
    """Whether this host has a network link of that name."""
    return Path("/sys/class/net", name).exists()


def inside(namespace: str, *command: str) -> subprocess.CompletedProcess[bytes]:
    """Run in a network namespace. `ip netns exec` would hide the cgroups by mounting /sys anew."""
    return run("nsenter", f"--net={NAMESPACES / namespace}", *command)
