"""Settings of an agent: a small TOML file, the environment over it, flags over both.

Light: a pass that finds no change pays for every import, so TOML's full grammar is only brought in
for a file that needs it.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # not from `typing`: importing it costs more than reading the file
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

CONFIG_FILE: Final = "/etc/miaas/agent.toml"
ENVIRONMENT_PREFIX: Final = "MIAAS_"
RUNTIMES: Final = ("docker", "simulated")

DEFAULTS: Final = {
    "node": "",
    "state_url": "",
    "state_dir": "/var/lib/miaas-agent",
    "runtime": "docker",
    "docker_host": "",
    "docker_config": "/etc/miaas/docker",
    "ssh_key": "",
    "known_hosts": "",
    "credentials": "",
    "ca_file": "",
    "pushes_per_hour": "140",
}
# One an hour would tell of a change an hour late; one a second is what a Git server cannot take.
PUSHES_PER_HOUR: Final = range(6, 3601)


class BadSettingsError(Exception):
    """The settings cannot be used. The message names the setting, where it is from, and the fix."""


class Settings:
    """What an agent was told, checked. All of it is text; each name is one of DEFAULTS."""

    __slots__ = tuple(DEFAULTS)

    node: str
    state_url: str
    state_dir: str
    runtime: str
    docker_host: str
    docker_config: str
    ssh_key: str
    known_hosts: str
    credentials: str
    ca_file: str
    pushes_per_hour: str

    def __init__(self, **values: str) -> None:
        for name, default in DEFAULTS.items():
            setattr(self, name, values.get(name, default))


def read_settings(
    path: str, flags: Mapping[str, str | None], environment: Mapping[str, str]
) -> Settings:
    """Put the settings together.

    Args:
        path: the file; empty means the usual one, which need not be there.
        flags: what the command line says; None means that it says nothing.
        environment: of the process; `MIAAS_NODE` stands for `node`.

    Raises:
        BadSettingsError: the file cannot be read, or something is missing or wrong.
    """
    path = path or environment.get(f"{ENVIRONMENT_PREFIX}CONFIG", "")
    values = _read(path or CONFIG_FILE, is_needed=bool(path))
    for name in DEFAULTS:
        said = environment.get(ENVIRONMENT_PREFIX + name.upper())
        if said is not None:
            values[name] = said
        flag = flags.get(name)
        if flag is not None:
            values[name] = flag
    return _checked(Settings(**values), path or CONFIG_FILE)


def _read(path: str, *, is_needed: bool) -> dict[str, str]:
    try:
        with open(path, encoding="utf-8") as stream:  # noqa: PTH123  # pathlib costs 5 ms
            text = stream.read()
    except FileNotFoundError as error:
        if not is_needed:
            return {}
        raise BadSettingsError(f"{path} does not exist. Fix: write it, or name another") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettingsError(f"{path} cannot be read: {error}") from error
    values = _plain(text)
    if values is None:
        values = _toml(text, path)
    for name in values:
        if name not in DEFAULTS:
            known = ", ".join(DEFAULTS)
            raise BadSettingsError(f"{path}: '{name}' is no setting. Fix: use one of {known}")
    return values


def _plain(text: str) -> dict[str, str] | None:
    """Read a file of nothing but `name = "text"` lines and comments. None: there is more to it."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        line = line.strip()  # noqa: PLW2901
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        name, value = name.strip(), value.strip()
        inner = value[1:-1]
        is_plain = len(value) > 1 and value[0] == value[-1] == '"'
        if not equals or not is_plain or '"' in inner or "\\" in inner or name in values:
            return None
        if not name.replace("_", "").isalnum():
            return None
        values[name] = inner
    return values


def _toml(text: str, path: str) -> dict[str, str]:
    import tomllib  # noqa: PLC0415  # 6 ms, and seldom needed

    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadSettingsError(f'{path}: {error}. Fix: write lines like node = "alpha"') from error
    for name, value in found.items():
        if not isinstance(value, str):
            raise BadSettingsError(f"{path}: '{name}' is not text. Fix: write it in quotes")
    return found


def _checked(settings: Settings, path: str) -> Settings:
    """Return settings with absolute paths.

    Raises:
        BadSettingsError: something is missing or cannot be right.
    """
    for name in ("node", "state_url"):
        if not getattr(settings, name):
            flag = f"--{name.replace('_', '-')}"
            variable = ENVIRONMENT_PREFIX + name.upper()
            raise BadSettingsError(f"'{name}' is not set. Fix: {flag}, {variable} or {path}")
    if not _is_name(settings.node):
        raise BadSettingsError(
            f"node {settings.node!r} is not a name. Fix: use 1 to 40 of a-z, 0-9 and '-', "
            "with a letter or digit at both ends"
        )
    if settings.runtime not in RUNTIMES:
        raise BadSettingsError(
            f"runtime {settings.runtime!r} is unknown. Fix: use one of {', '.join(RUNTIMES)}"
        )
    pushes = settings.pushes_per_hour
    if not (pushes.isascii() and pushes.isdigit() and int(pushes) in PUSHES_PER_HOUR):
        raise BadSettingsError(
            f"pushes_per_hour {pushes!r} is no number from {PUSHES_PER_HOUR.start} to "
            f"{PUSHES_PER_HOUR.stop - 1}. Fix: use one, such as {DEFAULTS['pushes_per_hour']}"
        )
    for name in ("state_dir", "docker_config", "ssh_key", "known_hosts", "credentials", "ca_file"):
        value = getattr(settings, name)
        if value:
            setattr(settings, name, os.path.abspath(value))  # noqa: PTH100
    return settings


def _is_name(text: str) -> bool:
    """Do as `schemas.names.is_name` does, without its imports. A test holds them together."""
    inner = text.replace("-", "")
    allowed = inner.isascii() and (inner.isdigit() or inner.isalnum()) and inner == inner.lower()
    return allowed and 1 <= len(text) <= 40 and not (text[0] == "-" or text[-1] == "-")  # noqa: PLR2004
