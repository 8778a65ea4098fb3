"""Values of a service that Compose refuses although each has the right form. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Final, TypeAlias

from schemas.check import Finding
from schemas.marks import Keys
from schemas.words import dotted, shown

_Rule: TypeAlias = Callable[[Keys, Mapping[str, Any]], Iterator[Finding]]

_PORT_MAX: Final = 65535
_PORT: Final = re.compile(
    r"(?:(?P<ip>[0-9.]+|\[[^\]]*\]):)?(?P<host>[0-9]+):(?P<container>[0-9]+)(?:/[a-z]+)?\Z"
)
# Lists in which nothing may stand twice; in others Compose drops what does.
_ONCE: Final = ("depends_on", "networks", "security_opt", "group_add", "extra_hosts")
_HOST: Final = re.compile(r"[^=:]+[=:]")
_HEALTH_FORMS: Final = ("CMD", "CMD-SHELL", "NONE")
_MEMORY: Final = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>[bkmg]?)b?\Z")
_BYTES: Final = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def contradictions(keys: Keys, service: Mapping[str, Any]) -> Iterator[Finding]:
    """Go through what is wrong with the values of one service. keys: where it stands."""
    for rule in _RULES:
        yield from rule(keys, service)


def _ports(keys: Keys, service: Mapping[str, Any]) -> Iterator[Finding]:
    for index, entry in enumerate(_list(service.get("ports"))):
        where = (*keys, "ports", index)
        if isinstance(entry, dict):
            yield from _address((*where, "host_ip"), entry.get("host_ip"))
        elif found := _PORT.match(entry) if isinstance(entry, str) else None:
            yield from _address(where, found["ip"] and found["ip"].strip("[]"))
            for part in ("host", "container"):
                if not 1 <= int(found[part][:6]) <= _PORT_MAX:
                    what = f"{dotted(where)}: {found[part]} is no port"
                    yield Finding(where, what, f"use a number from 1 to {_PORT_MAX}")


def _address(where: Keys, written: object) -> Iterator[Finding]:
    if not isinstance(written, str):
        return
    try:
        ip_address(written)
    except ValueError:
        what = f"{dotted(where)}: {shown(written)} is no IP address"
        yield Finding(where, what, "write one like 127.0.0.1, or leave it out")


def _network_mode(keys: Keys, service: Mapping[str, Any]) -> Iterator[Finding]:
    if service.get("network_mode") and service.get("networks"):
        where = (*keys, "network_mode")
        yield Finding(where, f"{dotted(keys)} has network_mode and networks", "keep one of the two")


def _waits(keys: Keys, service: Mapping[str, Any]) -> Iterator[Finding]:
    asked = service.get("depends_on")
    for name, entry in asked.items() if isinstance(asked, dict) else ():
        if isinstance(entry, dict) and "condition" not in entry:
            where = (*keys, "depends_on", name)
            what = f"{dotted(where)} does not say what is waited for"
            yield Finding(where, what, "add a line like `condition: service_started`")


def _twice(keys: Keys, service: Mapping[str, Any]) -> Iterator[Finding]:
    for key in _ONCE:
        entries = _list(service.get(key))
        for index, entry in enumerate(entries):
            if entry in entries[:index]:
                what = f"{dotted((*keys, key))} has {shown(entry)} twice"
                yield Finding((*keys, key, index), what, "keep one of the two")


def _health(keys: Keys, service: Mapping[str, Any]) -> Iterator[Finding]:
    check = service.get("healthcheck")
    test = _list(check.get("test")) if isinstance(check, dict) else []
    if test and test[0] not in _HEALTH_FORMS:
        where = (*keys, "healthcheck", "test")
        what = f"{dotted(where)} begins with {shown(test[0])}"
        yield Finding(where, what, "begin it with CMD or CMD-SHELL")


def _hosts(keys: Keys, service: Mapping[str, Any]) -> Iterator[Finding]:
    for index, entry in enumerate(_list(service.get("extra_hosts"))):
        if isinstance(entry, str) and not _HOST.match(entry):
            where = (*keys, "extra_hosts", index)
            what = f"{dotted(where)} is no name with an address"
            yield Finding(where, what, "write name=address")


def _ulimits(keys: Keys, service: Mapping[str, Any]) -> Iterator[Finding]:
    limits = service.get("ulimits")
    for name, entry in limits.items() if isinstance(limits, dict) else ():
        if isinstance(entry, dict) and not {"soft", "hard"} <= entry.keys():
            where = (*keys, "ulimits", name)
            yield Finding(
                where, f"{dotted(where)} needs soft and hard", "write both, or one number"
            )


def _limits(keys: Keys, service: Mapping[str, Any]) -> Iterator[Finding]:
    """A limit may stand in two places. Where deploy has any, one that it leaves out is none."""
    for key, (home, name, read) in _SAME.items():
        here, limits = service.get(key), _deep(service, home)
        there = limits.get(name, 0) if isinstance(limits, dict) else here
        if here is not None and read(here) not in (0, read(there)):
            what = f"{dotted((*keys, key))} differs from {dotted((*home, name))}"
            yield Finding((*keys, key), what, f"say it in {dotted(home)} only")
    for home in (_MOST, _LEAST):
        if isinstance(_deep(service, (*home, "memory")), int):
            where = (*keys, *home, "memory")
            what = f"{dotted(where)} is a number, and Compose takes only text here"
            yield Finding(where, what, 'put it in quotes with a unit, like "512m"')


def _deep(service: Mapping[str, Any], keys: Keys) -> Any:
    value: Any = service
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _bytes(written: object) -> float | None:
    found = _MEMORY.match(str(written).lower())
    return float(found["number"]) * _BYTES[found["unit"]] if found else None


def _number(written: object) -> float | None:
    try:
        return float(str(written))
    except ValueError:
        return None


_MOST: Final[Keys] = ("deploy", "resources", "limits")
_LEAST: Final[Keys] = ("deploy", "resources", "reservations")
_SAME: Final[Mapping[str, tuple[Keys, str, Callable[[object], float | None]]]] = {
    "mem_limit": (_MOST, "memory", _bytes),
    "mem_reservation": (_LEAST, "memory", _bytes),
    "cpus": (_MOST, "cpus", _number),
    "pids_limit": (_MOST, "pids", _number),
}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


_RULES: Final[tuple[_Rule, ...]] = (
    _ports,
    _network_mode,
    _waits,
    _twice,
    _health,
    _hosts,
    _ulimits,
    _limits,
)
