"""Which earlier documents of a deployment are meant, and what brings them back. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from fleet.port import Commit
from reconciler.cli.codes import UsageError
from reconciler.cli.suggest import hint
from reconciler.cli.writing import DIGITS
from reconciler.observing.documents import read_deployment
from schemas.deployment import Deployment
from schemas.layout import DEPLOYMENTS, template_folder
from schemas.names import BlobId, TemplateName, is_name

# The blob of every file of a commit, by path.
Documents: TypeAlias = Mapping[str, BlobId]

_ENDINGS: Final = (".yaml", ".yml")
RESTORE, KEEP = "restore", "keep"


class History(Protocol):
    """The commits that the branch people commit to stood at, newest first."""

    commits: Sequence[Commit]

    def documents(self, commit: Commit) -> Documents:
        """The files of a commit."""

    def contents(self, commit: Commit, paths: Sequence[str]) -> Mapping[str, bytes]:
        """What stands in some files of a commit, all of which it has."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """What brings a deployment back. changes: by path; None removes. to: whose documents."""

    name: str
    to: Commit
    changes: Mapping[str, bytes | None]
    message: str


def rollback_of(
    history: History, name: str, asked: Commit | None, template: str | None
) -> Rollback:
    """Find the change that brings a deployment back to a commit.

    asked: None means the last commit before the newest change to its documents. template: RESTORE
    or KEEP its template where the fleet repository has it; None restores it if nobody else uses it.

    Raises:
        UsageError: there is no such deployment, it was not there then, or nothing differs.
    """
    if not history.commits:
        raise UsageError("the branch has no commits")
    head = history.commits[0]
    to = asked or _before(history, name)
    then = _file(history.documents(to), name)
    if then is None:
        raise UsageError(_absent(name, to, asked))
    found = _changes(history, head, to, then, name, template)
    if not found:
        raise UsageError(f"{name} is today as it was in {to.id[:DIGITS]}: nothing to take back")
    return Rollback(name, to, found, _message(name, to, found))


def _before(history: History, name: str) -> Commit:
    """The last commit whose documents of a deployment are not today's."""
    today = _inputs(history, history.commits[0], name)
    for commit in history.commits[1:]:
        if _inputs(history, commit, name) != today:
            return commit
    if not today:
        known = {_stem(path) for path in history.documents(history.commits[0])}
        raise UsageError(f"there is no deployment {name!r}.{hint(name, known - {''})}")
    oldest = history.commits[-1]
    since = f"{oldest.id[:DIGITS]}, the oldest looked at" if oldest.parents else "the first commit"
    raise UsageError(f"{name} never changed since {since}: there is nothing to go back to")


def _inputs(history: History, commit: Commit, name: str) -> Documents:
    """The blobs of the files that make a deployment: its own, and its template's if it is ours."""
    documents = history.documents(commit)
    path = _file(documents, name)
    if path is None:
        return {}
    own: Documents = {path: documents[path]}
    deployment = _read(history, commit, path)
    return {**own, **_below(documents, deployment.template)} if deployment else own


def _changes(  # noqa: PLR0913, PLR0917 - two commits, and what of them
    history: History, head: Commit, to: Commit, was_at: str, name: str, template: str | None
) -> dict[str, bytes | None]:
    today, then = history.documents(head), history.documents(to)
    now_at = _file(today, name)
    changes: dict[str, bytes | None] = {}
    if now_at is not None and now_at != was_at:
        changes[now_at] = None
    wanted = [] if today.get(was_at) == then[was_at] else [was_at]
    deployment = _read(history, to, was_at)
    if deployment is not None and template != KEEP:
        old, new = _below(then, deployment.template), _below(today, deployment.template)
        if old != new:
            if template is None:
                _refuse_if_shared(history, head, deployment, name)
            changes |= {path: None for path in new if path not in old}
            wanted += [path for path, blob in old.items() if new.get(path) != blob]
    return {**changes, **history.contents(to, wanted)}


def _refuse_if_shared(history: History, head: Commit, deployment: Deployment, name: str) -> None:
    template, others = deployment.template, tuple(_others(history, head, name))
    users = sorted({one for one, used in others if used == template})
    unread = sorted({one for one, used in others if used is None})
    told = [f"{', '.join(users)} would go back with it"] if users else []
    # What cannot be read today is mended one day, and then uses what it names.
    told += [f"{', '.join(unread)} may use it, and cannot be read today"] if unread else []
    if told:
        raise UsageError(
            f"the template {template} changed since then, too, and {', and '.join(told)}. "
            f"Fix: say --template {RESTORE} to take it back for all, or --template {KEEP} to "
            "leave it as it is"
        )


def _others(
    history: History, commit: Commit, name: str
) -> Iterator[tuple[str, TemplateName | None]]:
    """Each deployment but one, and its template; None: its file cannot be understood."""
    for path in history.documents(commit):
        stem = _stem(path)
        if is_name(stem) and stem != name:
            deployment = _read(history, commit, path)
            yield stem, deployment.template if deployment else None


def _read(history: History, commit: Commit, path: str) -> Deployment | None:
    found = read_deployment(history.contents(commit, [path])[path], path)
    return None if isinstance(found, tuple) else found


def _below(documents: Documents, template: TemplateName) -> Documents:
    folder = template_folder(template) + "/"
    return {path: blob for path, blob in documents.items() if path.startswith(folder)}


def _file(documents: Documents, name: str) -> str | None:
    return next((path for path in sorted(documents) if _stem(path) == name), None)


def _stem(path: str) -> str:
    """The deployment that a path is the file of; empty: it is none."""
    stem, dot, ending = path.rpartition("/")[2].rpartition(".")
    return stem if path.startswith(f"{DEPLOYMENTS}/") and dot + ending in _ENDINGS else ""


def _absent(name: str, to: Commit, asked: Commit | None) -> str:
    at = to.id[:DIGITS]
    if asked is not None:
        return f"there was no deployment {name!r} in {at}"
    return f"{name} was not there before, in {at}. To stop it, remove its file"


def _message(name: str, to: Commit, changes: Mapping[str, bytes | None]) -> str:
    subject = to.message.partition("\n")[0]
    paths = "\n".join(f"- {path}" for path in sorted(changes))
    return f'Roll back {name} to {to.id[:DIGITS]}\n\nAs it was in {to.id}, "{subject}":\n{paths}\n'
