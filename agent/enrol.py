"""`miaas-agent enrol`: from a bare host to one that the fleet can admit. May be run again.

Every step leaves alone what an earlier run did, and says what it found. What a person has to do
elsewhere, a deploy key and a record in the fleet repository, is printed ready to paste.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.settings import DEFAULTS, Settings
from fleet.git_names import redacted
from schemas.names import NodeName
from schemas.node import NodeRecord, dump_node
from schemas.problem import Place

KEY: Final = "etc/miaas/id_ed25519"
KNOWN_HOSTS: Final = "etc/miaas/known_hosts"
CONFIG: Final = "etc/miaas/agent.toml"
STATE: Final = "var/lib/miaas-agent"
ANSWER_SECONDS: Final = 30
# What ssh says when nobody answered.
NO_LINE: Final = ("refused", "timed out", "resolve hostname", "no route", "unreachable network")
# Where docs/operating.md puts it on the server, and the paths that it opens.
DOORKEEPER: Final = "/usr/local/bin/miaas-doorkeeper"
PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9._/+][A-Za-z0-9._/+-]*\Z")
FORGE_WARNING: Final = """\
On a forge instead, a deploy key that may push:
WARNING: unless the forge keeps it from every other ref, it is as good as root on every host of
the fleet: whoever has it can write what other hosts run. See "Who may push what" in
docs/operating.md. Give a shared repository no such key."""
HEADER: Final = "# Written by `miaas-agent enrol`. See docs/operating.md for every setting.\n"


class EnrolError(Exception):
    """A step cannot be made. The message says why, and the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What was done or found. changed: whether something is other than before."""

    what: str
    changed: bool = False


def with_defaults(told: Settings, root: Path) -> Settings:
    """Fill in where things stand on this host: below `root`, and a key if the remote needs one."""
    values = {name: getattr(told, name) for name in DEFAULTS}
    if root != Path("/") and values["state_dir"] == DEFAULTS["state_dir"]:
        values["state_dir"] = str(root / STATE)
    if is_ssh(told.state_url) and not values["ssh_key"]:
        values["ssh_key"] = str(root / KEY)
    known = root / KNOWN_HOSTS
    if is_ssh(told.state_url) and not values["known_hosts"] and known.is_file():
        values["known_hosts"] = str(known)
    return Settings(**values)


def is_ssh(url: str) -> bool:
    """Whether git reaches a remote by SSH: `ssh://...` or `user@host:path`."""
    head = url.partition("/")[0]
    return url.startswith("ssh://") or ("://" not in url and ":" in head)


def make_key(settings: Settings) -> Step:
    """Have a key of this host's own.

    Raises:
        EnrolError: it cannot be made.
    """
    if not settings.ssh_key:
        return Step(what="no key is needed: the state repository is not reached by SSH")
    path = Path(settings.ssh_key)
    if path.is_file():
        return Step(what=f"{path} is there already")
    if shutil.which("ssh-keygen") is None:
        raise EnrolError("ssh-keygen is not installed. Fix: install the OpenSSH client")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    comment = f"miaas-agent {settings.node}"
    _keygen("-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))
    return Step(what=f"made {path}", changed=True)


def public_key(settings: Settings) -> str:
    """The line that a Git server is given; empty: no key is used.

    Raises:
        EnrolError: the key cannot be read.
    """
    if not settings.ssh_key:
        return ""
    line = _keygen("-y", "-f", settings.ssh_key).strip()
    return " ".join((*line.split()[:2], f"miaas-agent-{settings.node}"))


def write_config(settings: Settings, path: Path) -> Step:
    """Write the settings down, for this user alone.

    Raises:
        EnrolError: this host is another node already.
    """
    text = HEADER + _toml(settings)
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    if before == text:
        return Step(what=f"{path} is as it should be")
    known = _node_in(before)
    if known and known != settings.node:
        raise EnrolError(
            f"this host is {known!r} already, by {path}. Its containers belong to that name. "
            f"Fix: enrol as {known!r}; or drain it, and remove {path}"
        )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.part")
    part.touch(mode=0o600)
    part.write_text(text, encoding="utf-8")
    part.replace(path)
    return Step(what=f"wrote {path}", changed=True)


def record(settings: Settings) -> str:
    """The document that admits this host to the fleet."""
    name = NodeName(settings.node)
    return dump_node(NodeRecord(name=name, place=Place(f"nodes/{name}.yaml")))


def access_fix(settings: Settings, why: str) -> str:
    """What to do when the state repository does not let us in, by what git and ssh say of it."""
    said, again = why.lower(), "and enrol again"
    if not is_ssh(settings.state_url):
        return f"see that {redacted(settings.state_url)} is there and open to this user, {again}"
    if "host key" in said:
        host = _host(settings.state_url)
        known = Path(settings.ssh_key).parent / "known_hosts"
        return (
            f"ssh-keyscan {host} > {known}, compare `ssh-keygen -lf {known}` with what the "
            f"server's operator publishes, {again}"
        )
    if any(sign in said for sign in NO_LINE):
        return f"see that the name and port in state_url are right, and the network, {again}"
    return (
        "give the Git server the line for authorized_keys above, or a forge the deploy key, "
        f"allowed to push, {again}"
    )


def paper(settings: Settings, key: str) -> str:
    """What a person has to paste elsewhere."""
    name, parts = settings.node, []
    if key:
        parts += [
            f"Key for {redacted(settings.state_url)}. On a server of your own, with",
            f"{DOORKEEPER} in place, one line of authorized_keys:",
            "",
            door_line(settings, key),
            "",
            FORGE_WARNING,
            "",
            key,
            "",
        ]
    parts += [f"nodes/{name}.yaml for the pull request to the fleet repository:", ""]
    return "\n".join((*parts, record(settings)))


def door_line(settings: Settings, key: str) -> str:
    """The line of authorized_keys with which this key moves the heartbeat of this node alone."""
    path = _path(settings.state_url)
    shown = path if PLAIN_PATH.match(path) else "/PATH/AS/IN/THE/URL.git"
    return f'restrict,command="{DOORKEEPER} node {settings.node} {shown}" {key}'


def _path(url: str) -> str:
    """The repository of an SSH URL, as git names it to the server."""
    if url.startswith("ssh://"):
        return "/" + url.removeprefix("ssh://").partition("/")[2]
    return url.partition(":")[2]


def _host(url: str) -> str:
    """The words for ssh-keyscan that name the host of an SSH URL."""
    if url.startswith("ssh://"):
        name = url.removeprefix("ssh://").partition("/")[0].rpartition("@")[2]
        host, colon, port = name.rpartition(":")
        return f"-p {port} {host}" if colon and port.isdigit() else name
    return url.partition(":")[0].rpartition("@")[2]


def _toml(settings: Settings) -> str:
    """Settings that are not the usual ones. A TOML string is written as JSON writes it."""
    lines = (
        f"{name} = {json.dumps(getattr(settings, name))}\n"
        for name, usual in DEFAULTS.items()
        if getattr(settings, name) != usual
    )
    return "".join(lines)


def _node_in(text: str) -> str:
    """The node that a settings file names; empty: none."""
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.strip() == "node":
            return value.strip().strip('"')
    return ""


def _keygen(*arguments: str) -> str:
    """Run ssh-keygen, which must ask nobody anything.

    Raises:
        EnrolError: it failed, and said why.
    """
    command = ["ssh-keygen", *arguments]
    try:
        done = subprocess.run(  # noqa: S603  # a fixed program, and paths that settings name
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
            check=False,
            env={"PATH": os.defpath, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnrolError(f"ssh-keygen does not work: {error}. Fix: install OpenSSH") from error
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())[:300]
        raise EnrolError(f"ssh-keygen: {said}. Fix: look at the file, or remove it")
    return done.stdout
