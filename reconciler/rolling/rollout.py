"""Which version of a deployment is wanted, and how far it has come. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from reconciler.rolling.inputs import Inputs, Versions, revision
from reconciler.rolling.marks import Mark
from reconciler.rolling.standing import Standing
from schemas.assignment import DeploymentDecision, Phase
from schemas.names import ReplicaName
from schemas.quantity import format_duration
from schemas.rollout import Update


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is wanted of one deployment, and what became of it so far.

    versions: to be kept from now on. wanted: one of them. phase: ROLLED_BACK is final until main
    changes, and STALLED until that, or until all that the version reached are ready; SETTLED is
    told from ROLLING after the plan. message: why it stalled or was rolled back. proven: for how
    long its canaries are ready.
    """

    versions: Versions
    wanted: Inputs
    revision: str
    phase: Phase = Phase.ROLLING
    message: str = ""
    proven: timedelta = field(default=timedelta(0))

    @property
    def goes_back(self) -> bool:
        """Whether the last good version is wanted, and what another one reached has to leave it."""
        is_taken_back = self.versions.next is not None and self.wanted == self.versions.good
        return self.phase is Phase.ROLLED_BACK or is_taken_back


def course(  # noqa: PLR0913 - all that a rollout is judged by
    kept: Versions,
    asked: Inputs,
    update: Update,
    *,
    standing: Mapping[ReplicaName, Standing],
    before: DeploymentDecision | None,
    mark: Mark | None,
    now: datetime,
) -> Course:
    """Choose the version that is wanted, and end a rollout that failed.

    Args:
        kept: versions that the assignments keep.
        asked: what people ask for now.
        update: how it is to come in.
        standing: of every published replica.
        before: what was decided last.
        mark: how far a version had come at the last pass; None: unknown, and then nothing is late.
        now: by the clock of the marks.
    """
    good, rejected = kept.good, kept.rejected
    if good is not None and asked == rejected:
        message = before.message if before else ""
        return _back(Versions(good=good, rejected=rejected), good, message)
    name = revision(asked)
    known = mark if mark is not None and mark.revision == name else None
    proven = now - known.proven_since if known and known.proven_since else timedelta(0)
    if asked == good:
        # People took back what came in, or was rejected: it is kept until all have left it.
        versions = Versions(good=good, next=kept.next or kept.rejected)
        return Course(versions=versions, wanted=good, revision=name, proven=proven)
    failure = None if known is None else _failure(known, update, standing, now)
    if failure is not None and good is not None and update.rollback:
        return _back(Versions(good=good, rejected=asked), good, failure)
    going = Course(
        versions=Versions(good=good, next=asked), wanted=asked, revision=name, proven=proven
    )
    stalled = before if before and before.phase is Phase.STALLED and asked == kept.next else None
    if stalled is not None and (failure is not None or not _mended(known)):
        failure = stalled.message
    return going if failure is None else replace(going, phase=Phase.STALLED, message=failure)


def completed(going: Course) -> Course:
    """All replicas are ready in the wanted version: it is the good one from now on."""
    if going.phase is Phase.ROLLED_BACK:
        return going
    return replace(going, versions=Versions(good=going.wanted), phase=Phase.SETTLED, message="")


def left(going: Course) -> Course:
    """No replica is any longer in a version that people took back."""
    return replace(going, versions=Versions(good=going.versions.good))


def _mended(mark: Mark | None) -> bool:
    """Whether all that a stalled version reached are ready in it by now, wherever they are.

    That nothing is heard of the one that failed, or that it is just started again, is no news.
    """
    return mark is not None and not mark.unready


def _back(versions: Versions, good: Inputs, message: str) -> Course:
    return Course(
        versions=versions,
        wanted=good,
        revision=revision(good),
        phase=Phase.ROLLED_BACK,
        message=message,
    )


def _failure(
    mark: Mark, update: Update, standing: Mapping[ReplicaName, Standing], now: datetime
) -> str | None:
    """Say why a version has failed; None: it has not.

    What it did not touch has no say, nor what is on a node whose Docker does not answer.
    """
    names = sorted(mark.reached - mark.untouched)
    known = {name: standing[name] for name in names if name in standing}
    reached = {name: one for name, one in known.items() if not one.stuck}
    failed = [name for name, one in reached.items() if one.failed and one.fresh]
    if len(failed) >= update.max_failures:
        return _told(f"{', '.join(failed)} failed", reached[failed[0]].message)
    late = [name for name, one in reached.items() if one.fresh and not one.ready]
    if late and now - mark.since >= update.progress_deadline:
        span = format_duration(update.progress_deadline)
        return _told(f"{', '.join(late)} did not get ready in {span}", reached[late[0]].message)
    return None


def _told(what: str, message: str) -> str:
    return f"{what}: {message}" if message else what
