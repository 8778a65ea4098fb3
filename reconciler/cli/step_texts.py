"""What is done to a replica meanwhile, and what it waits for, as clauses. Pure."""

from __future__ import annotations

from reconciler.coming import Coming, keepers, room_text, takers
from reconciler.preview import Fate, ReplicaChange
from reconciler.web.words import enumerate_names


def passing_text(change: ReplicaChange, seen: Coming) -> str:
    """Say what is done to a replica now that is not what it comes to."""
    end = seen.ends.get(change.replica)
    if change.fate is Fate.REMOVE:
        why = f"to start on {end.goes_to}" if end and end.fate is Fate.MOVE else "for a while"
        return f"is stopped on {change.was_on} at once, {why}"
    if end is not None and end.goes_to is not None:
        return f"at once, but on {change.goes_to}"
    moves = change.fate is Fate.MOVE
    return f"moves to {change.goes_to} at once" if moves else "at once, for a while"


def wait_text(change: ReplicaChange, seen: Coming) -> str:
    """Say what a change waits for that is not held: its room, or who is to have the room it has."""
    node, home = change.goes_to, change.was_on
    having = keepers(change.replica, node, seen) if node else ()
    others = takers(home, seen) if home and home != node else ()
    if node and (having or not others):
        return room_text(node, having)
    if change.replica in seen.extra:
        return "waits to go until the others are ready"
    verb = "needs" if len(others) == 1 else "need"
    until = f" until {enumerate_names(others)} {verb} its room on {home}" if others else ""
    return f"waits to go{until}"
