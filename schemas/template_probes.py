"""Probes as a template says them: reading, writing, checking, and settling their start period."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from schemas.page import Page
from schemas.probes import Probe, ProbeKind
from schemas.quantity import BadQuantityError, duration, format_duration
from schemas.shape import present, unless


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateProbe:
    """A probe as a template says it.

    start_period_from: the parameter that says the start period; None: `start_period` does. That
        one also counts where the parameter has no value.
    """

    name: str
    port: str
    kind: ProbeKind = ProbeKind.HTTP
    path: str = "/"
    start_period: timedelta = timedelta(seconds=30)
    start_period_from: str | None = None
    interval: timedelta = timedelta(seconds=10)
    timeout: timedelta = timedelta(seconds=5)
    failure_threshold: int = 3
    success_threshold: int = 1


_PLAIN: Final = TemplateProbe(name="", port="")
# A probe that is asked more often than this would be load, and seldom ones tell nothing in time.
_LIMITS: Final = {
    "interval": (timedelta(seconds=1), timedelta(hours=1)),
    "timeout": (timedelta(seconds=1), timedelta(minutes=1)),
}


def settled(probe: TemplateProbe, parameters: Mapping[str, object]) -> Probe:
    """The probe of a deployment with these parameters.

    Raises:
        BadQuantityError: the parameter that says its start period holds no duration.
    """
    start = probe.start_period
    if probe.start_period_from and parameters.get(probe.start_period_from) not in (None, ""):
        start = duration(parameters[probe.start_period_from])
    return Probe(
        name=probe.name,
        port=probe.port,
        kind=probe.kind,
        path=probe.path,
        start_period_seconds=_seconds(start),
        interval_seconds=_seconds(probe.interval),
        timeout_seconds=_seconds(probe.timeout),
        failure_threshold=probe.failure_threshold,
        success_threshold=probe.success_threshold,
    )


def read_probe(plain: Mapping[str, Any]) -> TemplateProbe:
    """Read a probe. Without a name it has that of its port."""
    probe = TemplateProbe(
        name=plain.get("name", plain["port"]),
        port=plain["port"],
        kind=ProbeKind(plain.get("kind", ProbeKind.HTTP)),
        path=plain.get("path", _PLAIN.path),
        start_period_from=plain.get("startPeriodFrom"),
        failure_threshold=plain.get("failureThreshold", _PLAIN.failure_threshold),
        success_threshold=plain.get("successThreshold", _PLAIN.success_threshold),
    )
    return replace(
        probe,
        start_period=_span(plain, "startPeriod", _PLAIN.start_period),
        interval=_span(plain, "interval", _PLAIN.interval),
        timeout=_span(plain, "timeout", _PLAIN.timeout),
    )


def write_probe(probe: TemplateProbe) -> dict[str, Any]:
    """Write a probe, without what equals the defaults."""
    return present(
        {
            "name": unless(probe.name, probe.port),
            "port": probe.port,
            "kind": unless(probe.kind.value, ProbeKind.HTTP.value),
            "path": unless(probe.path, _PLAIN.path),
            "startPeriod": _written(probe.start_period, _PLAIN.start_period),
            "startPeriodFrom": probe.start_period_from,
            "interval": _written(probe.interval, _PLAIN.interval),
            "timeout": _written(probe.timeout, _PLAIN.timeout),
            "failureThreshold": unless(probe.failure_threshold, _PLAIN.failure_threshold),
            "successThreshold": unless(probe.success_threshold, _PLAIN.success_threshold),
        }
    )


def check_probes(page: Page) -> None:
    """Note what is wrong between probes, ports and parameters of a template."""
    ports = {port["name"] for _, port in page.entries("spec", "ports")}
    parameters = page.get("spec", "parameters", "properties")
    known = set(parameters) if isinstance(parameters, dict) else set()
    seen: set[str] = set()
    for index, probe in page.entries("spec", "probes"):
        name, at = probe.get("name", probe["port"]), ("spec", "probes", index)
        if name in seen:
            what = f"a probe named {name!r} stands here a second time"
            page.refuse(at, (what, "give each its own `name`"))
        seen.add(name)
        if probe["port"] not in ports:
            what = f"there is no port named {probe['port']!r}"
            page.refuse((*at, "port"), (what, "use the name of an entry of spec.ports"))
        if "path" in probe and probe.get("kind") == ProbeKind.TCP.value:
            what = "a probe of kind tcp asks for no path"
            page.refuse((*at, "path"), (what, "remove it, or use kind http"))
        origin = probe.get("startPeriodFrom")
        if origin is not None and origin not in known:
            what = f"there is no parameter named {origin!r}"
            page.refuse((*at, "startPeriodFrom"), (what, "name a key of spec.parameters"))
        for key, (least, most) in _LIMITS.items():
            if key in probe and not least <= duration(probe[key]) <= most:
                what = f"{key} is {probe[key]}"
                fix = f"write {format_duration(least)} to {format_duration(most)}"
                page.refuse((*at, key), (what, fix))


def span_fault(probe: TemplateProbe, parameters: Mapping[str, object]) -> BadQuantityError | None:
    """What is wrong with the parameter that says its start period; None: nothing."""
    try:
        settled(probe, parameters)
    except BadQuantityError as error:
        return error
    return None


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())


def _written(span: timedelta, default: timedelta) -> str | None:
    return None if span == default else format_duration(span)


def _span(plain: Mapping[str, Any], key: str, default: timedelta) -> timedelta:
    return duration(plain[key]) if key in plain else default
