"""Why a rollback is not pushed: what the reconciler would only hold after it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from reconciler.cli.earlier import KEEP, Rollback
from reconciler.cli.writing import DIGITS
from reconciler.observing.observe import observe
from reconciler.observing.snapshot import Snapshot
from schemas.layout import TEMPLATES
from schemas.names import DeploymentName
from schemas.problem import Problem

_TO: Final = "name another commit with --to"


def objection(snapshot: Snapshot, back: Rollback) -> str | None:
    """What speaks against a rollback, line by line, with the fix; None: nothing.

    Who is held already, and stays so, is not the fault of it. The deployment itself has to be
    usable, or there is nothing to go back for.
    """
    changed = {**snapshot.desired, **back.changes}
    files = {path: content for path, content in changed.items() if content is not None}
    seen = observe(_with(snapshot, files))
    if seen.frozen:
        return _lines(seen.frozen)
    before = observe(_with(snapshot, snapshot.desired)).held
    name = DeploymentName(back.name)
    if own := seen.held.get(name):
        return _unusable(back, own, before.get(name, ()))
    others = {name: why for name, why in seen.held.items() if name not in before}
    return _harmful(back, others) if others else None


def _unusable(back: Rollback, own: tuple[Problem, ...], today: tuple[Problem, ...]) -> str:
    if set(own) <= set(today):
        return f"{back.name} is held today, and would still be:\n{_lines(own)}"
    # Its places are those of the text of then, which is not what the person has open.
    return f"{_then(back)}:\n{_lines(own)}\nNothing was pushed. Fix: {_TO}"


def _harmful(back: Rollback, others: Mapping[DeploymentName, tuple[Problem, ...]]) -> str:
    told = f"with {_then(back)}, {', '.join(others)} would be held:"
    problems = {one for why in others.values() for one in why}
    return f"{told}\n{_lines(problems)}\nNothing was pushed. Fix: {_keep(back)}{_TO}"


def _then(back: Rollback) -> str:
    return f"{back.name} as it was in {back.to.id[:DIGITS]}"


def _with(snapshot: Snapshot, files: Mapping[str, bytes]) -> Snapshot:
    # Nothing that runs is looked at: whether the documents hold together does not depend on it.
    return Snapshot(
        source=snapshot.source,
        left=snapshot.left,
        desired=files,
        builtin=snapshot.builtin,
        too_large={path: size for path, size in snapshot.too_large.items() if path not in files},
        ignored=snapshot.ignored,
        unread=snapshot.unread,
    )


def _lines(problems: Iterable[Problem]) -> str:
    return "\n".join(str(one) for one in sorted(problems))


def _keep(back: Rollback) -> str:
    """What else would help where a template goes back; empty: none does."""
    is_one = any(path.startswith(f"{TEMPLATES}/") for path in back.changes)
    return f"say --template {KEEP} to leave the template as it is, or " if is_one else ""
