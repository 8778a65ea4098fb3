"""What NVIDIA's library says of its cards, as values that travel from the child that asked."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process that holds memory of a card. mib: None where the driver does not say how much."""

    pid: int
    mib: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One card or MIG instance, as it was found.

    total_mib, used_mib: None where the card has no memory of its own and shares the host's.
    reserved_mib: kept by the driver for itself; part of neither used nor free.
    sickness: why it must not be used; empty when it is well. withheld: why it is not given out,
    however well it is. throttles: what slows it down just now, sorted.
    parent: UUID of the card of a MIG instance; empty for a whole card.
    """

    uuid: str
    index: int
    model: str
    total_mib: int | None
    used_mib: int | None
    reserved_mib: int = 0
    holders: tuple[Holder, ...] = ()
    compute_capability: tuple[int, ...] = ()
    sickness: str = ""
    parent: str = ""
    utilisation_percent: int | None = None
    temperature_c: int | None = None
    power_w: int | None = None
    throttles: tuple[str, ...] = ()
    vendor: str = "nvidia"
    withheld: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One look at all cards. problems: what could not be read, in words, with a way out.

    asleep: the library is there and no driver is loaded; a problem only where a card is.
    """

    cards: tuple[Card, ...] = ()
    driver: tuple[int, ...] = ()
    cuda: tuple[int, ...] = ()
    problems: tuple[str, ...] = ()
    asleep: str = ""


def dump_reading(reading: Reading) -> str:
    """Write a reading as one line of JSON."""
    return json.dumps(asdict(reading))


def parse_reading(text: str) -> Reading:
    """Read what `dump_reading` wrote.

    Raises:
        ValueError: it is something else.
    """
    try:
        whole: dict[str, Any] = json.loads(text)
        return Reading(
            cards=tuple(_card(card) for card in whole["cards"]),
            driver=tuple(whole["driver"]),
            cuda=tuple(whole["cuda"]),
            problems=tuple(whole["problems"]),
            asleep=whole["asleep"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no reading of cards: {error}") from error


def _card(card: dict[str, Any]) -> Card:
    return Card(
        **{
            **card,
            "holders": tuple(Holder(**holder) for holder in card["holders"]),
            "compute_capability": tuple(card["compute_capability"]),
            "throttles": tuple(card["throttles"]),
        }
    )
