"""Which commits of main brought the versions of a deployment. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reconciler.rolling.inputs import Versions
from reconciler.rolling.rollout import Course
from schemas.assignment import DeploymentDecision
from schemas.names import CommitId


@dataclass(frozen=True, slots=True)
class Sources:
    """The commit that brought what people ask for, and the one of the last good version.

    good: None: there is none, it is the same, or nobody knows. Both are named where they are the
    same because people took back what came in, and it has yet to leave.
    """

    source: CommitId | None
    good: CommitId | None = None


UNKNOWN: Final = Sources(None)


def sources(
    last: DeploymentDecision | None, kept: Versions, going: Course, head: CommitId | None
) -> Sources:
    """Say it of one deployment.

    Args:
        last: what was decided of it last.
        kept: the versions that the assignments keep.
        going: what becomes of it now.
        head: the commit that this is decided from. What was not asked for before came with it.
    """
    if last is None:
        return Sources(head)
    # The phase does not tell: one that asks for no replicas is settled and never the good one, and
    # one that has yet to come to a lost node is good and not settled.
    is_good = kept.next is None and kept.rejected is None
    good = last.source if is_good else last.good_source
    source = _asked(last, kept, going, good, head)
    if going.versions.next is not None and going.wanted == going.versions.good:
        return Sources(source, source)
    is_same = going.versions.good is not None and going.versions.good == kept.good
    return Sources(source, good if is_same and good != source else None)


def _asked(
    last: DeploymentDecision,
    kept: Versions,
    going: Course,
    good: CommitId | None,
    head: CommitId | None,
) -> CommitId | None:
    """The commit that brought what people ask for: of what was known before, the first one."""
    asked = going.versions.rejected or going.wanted
    if asked == kept.good:
        return good or last.source
    was_taken_back = last.source is not None and last.source == last.good_source
    return last.source if asked in (kept.next, kept.rejected) and not was_taken_back else head
