"""Host ports of one replica on one node: fixed ones as asked, `auto` ones the lowest free."""

from __future__ import annotations

from collections.abc import Container, Mapping

from schemas.fleet import PortRange


def choose_ports(
    wanted: Mapping[str, int | None],
    *,
    within: PortRange,
    taken: Container[int],
    avoid: Container[int],
    before: Mapping[str, int],
) -> dict[str, int] | None:
    """Give every named port a number, or return None where the node has none left for it.

    Fixed numbers first. An `auto` port keeps the number it had if it can; otherwise it gets the
    lowest free one. `avoid`: numbers that some deployment asks for, given only as a last resort.
    """
    chosen = {name: number for name, number in wanted.items() if number is not None}
    used = set(chosen.values())
    if len(used) < len(chosen) or any(number in taken for number in used):
        return None
    for name in sorted(name for name, number in wanted.items() if number is None):
        number = _auto(before.get(name), within, taken, avoid, used)
        if number is None:
            return None
        chosen[name] = number
        used.add(number)
    return chosen


def _auto(
    before: int | None,
    within: PortRange,
    taken: Container[int],
    avoid: Container[int],
    used: set[int],
) -> int | None:
    """Pick one number: the old one, else the lowest that nobody wants, else the lowest free."""

    def free(number: int) -> bool:
        return number not in taken and number not in used

    if before is not None and within.first <= before <= within.last and free(before):
        return before
    numbers = range(within.first, within.last + 1)
    unwanted = next((number for number in numbers if free(number) and number not in avoid), None)
    return unwanted if unwanted is not None else next(filter(free, numbers), None)
