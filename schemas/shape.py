"""How resources and the rules of placement look in YAML: reading and writing side by side.

What is read here was checked against the schema before. What is written leaves out every value
that equals its default, so that a document says only what its author meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from schemas.expressions import read_expression, write_expression
from schemas.layout import API_VERSION
from schemas.names import DeploymentName, NodeName
from schemas.page import Page
from schemas.quantity import cpu_milli, format_cpu, format_memory, memory_mib
from schemas.resources import (
    Expression,
    GpuNeed,
    Neighbourhood,
    Operator,
    PlacementRules,
    Preemption,
    Preference,
    Resources,
    Sharing,
    Spread,
    Strategy,
    Toleration,
)
from schemas.yaml_text import write_yaml

Plain: TypeAlias = Mapping[str, Any]

_OVER_NODE: Final = Neighbourhood(deployments=()).over


def write_document(kind: str, metadata: Plain, spec: Plain) -> str:
    """Write a whole document of a person."""
    head = {"apiVersion": API_VERSION, "kind": kind, "metadata": present(metadata)}
    return write_yaml({**head, **present({"spec": present(spec)})})


def present(entries: Plain) -> dict[str, Any]:
    """Leave out what says nothing: None, and empty texts, lists and maps."""
    return {key: entry for key, entry in entries.items() if entry not in (None, "", [], {}, ())}


def unless(value: object, default: object) -> Any:
    """The value; None where it equals the default and need not be written."""
    return None if value == default else value


def read_amounts(plain: Plain) -> dict[str, int]:
    """Read cpu, memory and disk, as far as they are given, by the names of the dataclass."""
    amounts = {}
    if "cpu" in plain:
        amounts["cpu_milli"] = cpu_milli(plain["cpu"])
    if "memory" in plain:
        amounts["memory_mib"] = memory_mib(plain["memory"])
    if "disk" in plain:
        amounts["disk_mib"] = memory_mib(plain["disk"])
    return amounts


def write_amounts(
    cpu_milli: int | None, memory_mib: int | None, disk_mib: int | None
) -> dict[str, Any]:
    """Write cpu, memory and disk. None: leave it out."""
    return {
        **({} if cpu_milli is None else {"cpu": format_cpu(cpu_milli)}),
        **({} if memory_mib is None else {"memory": format_memory(memory_mib)}),
        **({} if disk_mib is None else {"disk": format_memory(disk_mib)}),
    }


def read_resources(plain: Plain) -> Resources:
    """Read amounts where what is not given is nothing."""
    return Resources(**read_amounts(plain))


def write_resources(resources: Resources) -> dict[str, Any]:
    """Write amounts, leaving out zeros."""
    return write_amounts(
        resources.cpu_milli or None, resources.memory_mib or None, resources.disk_mib or None
    )


def read_gpus(plain: Plain) -> GpuNeed:
    """Read a need of GPUs."""
    major_minor = read_version(plain.get("computeCapability"))
    return GpuNeed(
        count=plain.get("count", 1),
        memory_mib=memory_mib(plain["memory"]) if "memory" in plain else None,
        sharing=Sharing(plain.get("sharing", Sharing.EXCLUSIVE)),
        vendor=plain.get("vendor"),
        model=plain.get("model"),
        compute_capability=(major_minor[0], major_minor[1]) if major_minor else None,
        driver=read_version(plain.get("driver")),
        cuda=read_version(plain.get("cuda")),
    )


def write_gpus(need: GpuNeed) -> dict[str, Any]:
    """Write a need of GPUs. The count is always said, so that the map is never empty."""
    return present(
        {
            "count": need.count,
            "memory": None if need.memory_mib is None else format_memory(need.memory_mib),
            "sharing": unless(need.sharing.value, Sharing.EXCLUSIVE.value),
            "vendor": need.vendor,
            "model": need.model,
            "computeCapability": write_version(need.compute_capability),
            "driver": write_version(need.driver),
            "cuda": write_version(need.cuda),
        }
    )


def check_gpus(page: Page) -> None:
    """Note what is wrong between the values of a need of GPUs."""
    keys = ("spec", "resources", "gpus")
    gpus = page.get(*keys) if page.sound(*keys) else None
    if gpus and gpus.get("sharing") == "shared" and "memory" not in gpus:
        what = "spec.resources.gpus.sharing is 'shared', and no memory is given"
        fix = "add a line like `memory: 8GiB`: its part of each GPU"
        page.refuse((*keys, "sharing"), (what, fix))


def read_version(text: str | None) -> tuple[int, ...] | None:
    """Read `550.54.14` as numbers, so that 10 comes after 9."""
    return None if text is None else tuple(int(part) for part in text.split("."))


def write_version(version: tuple[int, ...] | None) -> str | None:
    """Write a version with dots."""
    return None if version is None else ".".join(str(part) for part in version)


def read_rules(plain: Plain) -> PlacementRules:
    """Read where replicas may and should go."""
    strategy = plain.get("strategy")
    return PlacementRules(
        require=tuple(read_conditions(plain.get("require", []))),
        prefer=tuple(
            Preference(expression=read_expression(entry), weight=entry.get("weight", 1))
            for entry in plain.get("prefer", [])
        ),
        near=tuple(_neighbourhood(entry) for entry in plain.get("near", [])),
        apart=tuple(_neighbourhood(entry) for entry in plain.get("apart", [])),
        spread=tuple(
            Spread(over=entry["over"], max_skew=entry.get("maxSkew", 1))
            for entry in plain.get("spread", [])
        ),
        pin=tuple(NodeName(name) for name in plain.get("pin", [])),
        tolerations=tuple(
            Toleration(key=entry["key"], value=entry.get("value"))
            for entry in plain.get("tolerations", [])
        ),
        strategy=None if strategy is None else Strategy(strategy),
        gang=plain.get("gang"),
        preemption=Preemption(plain.get("preemption", Preemption.NEVER)),
    )


def write_rules(rules: PlacementRules) -> dict[str, Any]:
    """Write where replicas may and should go."""
    return present(
        {
            "require": [write_expression(entry) for entry in rules.require],
            "prefer": [
                {**write_expression(entry.expression), "weight": entry.weight}
                for entry in rules.prefer
            ],
            "near": [_write_neighbourhood(entry) for entry in rules.near],
            "apart": [_write_neighbourhood(entry) for entry in rules.apart],
            "spread": [{"over": entry.over, "maxSkew": entry.max_skew} for entry in rules.spread],
            "pin": list(rules.pin),
            "tolerations": [
                {"key": entry.key} | ({} if entry.value is None else {"value": entry.value})
                for entry in rules.tolerations
            ],
            "strategy": rules.strategy and rules.strategy.value,
            "gang": rules.gang,
            "preemption": unless(rules.preemption.value, Preemption.NEVER.value),
        }
    )


def read_conditions(plain: Iterable[Plain] | Plain) -> Iterable[Expression]:
    """Read conditions in either form. `{zone: a, rack: [b, c]}` means: In each of these."""
    if not isinstance(plain, Mapping):
        return (read_expression(entry) for entry in plain)
    return (
        Expression(
            key=key,
            operator=Operator.IN,
            values=(values,) if isinstance(values, str) else tuple(values),
        )
        for key, values in plain.items()
    )


def _neighbourhood(plain: Plain) -> Neighbourhood:
    return Neighbourhood(
        deployments=tuple(DeploymentName(name) for name in plain["deployments"]),
        over=plain.get("over", _OVER_NODE),
    )


def _write_neighbourhood(neighbourhood: Neighbourhood) -> dict[str, Any]:
    return present(
        {
            "deployments": list(neighbourhood.deployments),
            "over": unless(neighbourhood.over, _OVER_NODE),
        }
    )
