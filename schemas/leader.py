"""leader.json: which of several reconcilers decides. It stands alone in the commit of its ref."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.codec import dump_json, parse_json

# Of a term and of a sequence: larger integers are not exact in every reader of JSON.
COUNT_MAX: Final = 2**53 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """The lease of the reconciler that leads. Whoever moves its ref with it may publish.

    term: grows by one when another takes over. sequence: grows with every renewal of a term.
    lease_seconds: how long the ref may stay unmoved before a standby takes over.
    since: when this term began, by the holder's own clock: for people only.
    released: its holder gave it back, or the election was ended: anybody may take over at once.
    """

    holder: str
    term: int
    sequence: int
    lease_seconds: int
    since: datetime
    released: bool = False


def parse_leader(text: str, *, path: str) -> Leader:
    """Read leader.json.

    Raises:
        BadDocumentError: it is not valid; carries every problem.
    """
    return parse_json(Leader, text, path=path)


def dump_leader(leader: Leader) -> str:
    """Write leader.json: the same bytes for equal leases."""
    return dump_json(leader)
