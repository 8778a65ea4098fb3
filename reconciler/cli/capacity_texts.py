"""What a fleet has left, in words and for programs. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

from reconciler.cli.terminal import Paint, Terminal, safe, table
from reconciler.placing.capacity import MORE_MAX, Capacity, LargestFit
from reconciler.web.words import cores, count, enumerate_names, memory
from schemas.names import ReplicaName


def capacity_text(found: Capacity, terminal: Terminal) -> str:
    """Write for a terminal."""
    parts = (
        _titled("The largest that still fits on one node", _largest(found), terminal),
        _titled("Replicas more that would fit, of each deployment alone", _room(found), terminal),
        _loss(found, terminal),
    )
    return "\n".join(parts)


def _titled(title: str, rows: list[tuple[str, ...]], terminal: Terminal) -> str:
    return f"{terminal.paint(title, Paint.BOLD)}\n{table(rows, {}, terminal)}"


def _largest(found: Capacity) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("  WHAT", "MOST", "WHERE")]
    for each in found.largest:
        model = f"  {safe(each.model)}"
        rows += [
            (f"{model}, memory of one", memory(each.shared_mib), each.shared_node or "nowhere"),
            (f"{model}, whole ones", str(each.gpus), each.gpus_node or "nowhere"),
        ]
    nowhere = "nothing", "nowhere"
    rows += [
        ("  CPU", *((cores(f[1].cpu_milli), f[0]) if (f := found.roomiest_cpu) else nowhere)),
        ("  memory", *((memory(f[1].memory_mib), f[0]) if (f := found.roomiest) else nowhere)),
        ("  disk", *((memory(f[1].disk_mib), f[0]) if (f := found.roomiest_disk) else nowhere)),
    ]
    return rows


def _room(found: Capacity) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("  DEPLOYMENT", "MORE")]
    rows += [(f"  {name}", _more(number)) for name, number in found.room.items()]
    return rows if found.room else [("  there is no deployment", "")]


def _more(number: int) -> str:
    return f"{number} or more" if number >= MORE_MAX else str(number)


def _loss(found: Capacity, terminal: Terminal) -> str:
    if not found.critical:
        good = terminal.paint("Any one node could be lost", Paint.GOOD)
        return f"{good}: what it runs would find another place.\n"
    head = terminal.paint("Nodes that the fleet could not lose:", Paint.BAD)
    lines = "".join(
        f"  {node}: {'; '.join(_homeless(replicas, found))}\n" for node, replicas in found.critical
    )
    return f"{head}\n{lines}"


def _homeless(replicas: tuple[ReplicaName, ...], found: Capacity) -> Iterator[str]:
    tied = tuple(one for one in replicas if one in found.tied)
    others = tuple(one for one in replicas if one not in found.tied)
    if others:
        number = count(len(others), "replica")
        yield f"{number} would have no other place ({enumerate_names(others)})"
    if tied:
        number = count(len(tied), "replica")
        verb = "has" if len(tied) == 1 else "have"
        yield f"{number} {verb} volumes only there ({enumerate_names(tied)})"


def capacity_json(found: Capacity) -> str:
    """Write for a program."""
    roomiest = {
        "cpuMilli": found.roomiest_cpu and (found.roomiest_cpu[1].cpu_milli, found.roomiest_cpu[0]),
        "memoryMib": found.roomiest and (found.roomiest[1].memory_mib, found.roomiest[0]),
        "diskMib": found.roomiest_disk
        and (found.roomiest_disk[1].disk_mib, found.roomiest_disk[0]),
    }
    value = {
        "largest": {
            "gpus": [_model(each) for each in found.largest],
            **{
                key: {"most": pair[0] if pair else 0, "node": pair[1] if pair else None}
                for key, pair in roomiest.items()
            },
        },
        "more": [
            {"deployment": name, "replicas": number, "orMore": number >= MORE_MAX}
            for name, number in found.room.items()
        ],
        "cannotLose": [
            {
                "node": node,
                "noOtherPlace": [one for one in replicas if one not in found.tied],
                "volumesOnlyThere": [one for one in replicas if one in found.tied],
            }
            for node, replicas in found.critical
        ],
    }
    return json.dumps(value, indent=2) + "\n"


def _model(each: LargestFit) -> dict[str, object]:
    return {
        "model": each.model,
        "memoryOfOneMib": each.shared_mib,
        "memoryOfOneNode": each.shared_node,
        "whole": each.gpus,
        "wholeNode": each.gpus_node,
    }
