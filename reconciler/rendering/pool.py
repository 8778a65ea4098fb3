"""The renderer: every job in the bounded child, each different job once. Shell."""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from typing import Any, Final, TypeAlias, TypeVar

from reconciler.observing.snapshot import TemplateBundle
from reconciler.rendering.bundle import SUFFIX, Parts, parts_of
from reconciler.rendering.child import Child, KilledError
from reconciler.rendering.port import Outcome, Rendered, RenderJob, Unrendered
from schemas.compose_references import unresolved
from schemas.layout import COMPOSE_FILE
from schemas.policy import check_replica
from schemas.problem import Place, Problem

# Outcomes that are remembered: four times the replicas of the largest fleet that we measure.
REMEMBERED_MAX: Final = 20_000
# How often one template may take the child down in one go. A loop in a template that a hundred
# deployments use would otherwise cost minutes.
KILLS_MAX: Final = 3
# All the files of one replica together: every agent keeps them, and Git for ever.
FILES_MAX: Final = 64
BYTES_MAX: Final = 1024 * 1024

T = TypeVar("T")

_Key: TypeAlias = tuple[object, ...]
_NO_SENSE: Final = "the rendering process gave an answer that makes no sense"
_HEAVY_FIX: Final = "look for a loop that does not end, or for something that grows without bound"


class BoundedRenderer:
    """Renders in a child with bounds, and remembers, so that a pass costs only what changed."""

    def __init__(self, child: Child | None = None) -> None:
        self._child = child or Child()
        self._remembered: OrderedDict[_Key, Outcome] = OrderedDict()

    def render(self, jobs: tuple[RenderJob, ...]) -> tuple[Outcome, ...]:
        """Render every job; what was rendered before is looked up."""
        kills: Counter[_Key] = Counter()
        return tuple(self._outcome(job, kills) for job in jobs)

    def warm(self) -> None:
        """Start the child now, so that the first change need not wait for it."""
        self._child.start()

    def close(self) -> None:
        """End the child."""
        self._child.close()

    def _outcome(self, job: RenderJob, kills: Counter[_Key]) -> Outcome:
        folder = _folder_key(job.bundle)
        key = (folder, json.dumps(job.context), job.given)
        if key in self._remembered:
            self._remembered.move_to_end(key)
            return self._remembered[key]
        if kills[folder] >= KILLS_MAX:
            return _refused(
                job, f"the template was stopped {KILLS_MAX} times already, and not tried again"
            )
        outcome = self._fresh(job, folder, kills)
        self._remembered[key] = outcome
        if len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        return outcome

    def _fresh(self, job: RenderJob, folder: _Key, kills: Counter[_Key]) -> Outcome:
        parts = parts_of(job.bundle)
        if parts.problems:
            return Unrendered(problems=parts.problems)
        request = {"folder": parts.folder, "sources": parts.sources, "context": job.context}
        try:
            return _judged(job, parts, _sensible(self._child.ask(request), parts))
        except KilledError as error:
            kills[folder] += 1
            return _refused(job, str(error))


def _folder_key(bundle: TemplateBundle) -> _Key:
    # Bytes remember their hash, so that this is cheap for files that are the same objects.
    return (bundle.template.place.path, *sorted(bundle.files.items()))


def _sensible(answer: Any, parts: Parts) -> Any:
    """The answer, if it has the form of one, and files only where there are templates.

    Whoever breaks out of the sandbox writes the answer, and must not choose where a file goes.
    """
    files, problems = _field(answer, "files", dict), _field(answer, "problems", list)
    named = files.keys() <= parts.sources.keys()
    written = all(isinstance(text, str) for text in files.values())
    if named and written and all(map(_is_problem, problems)):
        return answer
    raise KilledError(_NO_SENSE)


def _field(answer: Any, key: str, kind: type[T]) -> T:
    value = answer.get(key) if isinstance(answer, dict) else None
    if isinstance(value, kind):
        return value
    raise KilledError(_NO_SENSE)


def _is_problem(told: object) -> bool:
    kinds = [type(part) for part in told] if isinstance(told, list) else []
    return kinds == [str, int, int, str, str]


def _judged(job: RenderJob, parts: Parts, answer: Any) -> Outcome:
    """Make an outcome of the child's answer, and ask whether its compose file may run and can."""
    problems = tuple(
        Problem(Place(path, line, column), what, fix)
        for path, line, column, what, fix in answer["problems"]
    )
    if problems:
        return Unrendered(problems=problems)
    files = dict(parts.copied)
    files |= {path.removesuffix(SUFFIX): text.encode() for path, text in answer["files"].items()}
    refusal = _too_much(job, files) or _not_allowed(job, parts, files)
    return Unrendered(problems=refusal) if refusal else Rendered(files=dict(sorted(files.items())))


def _too_much(job: RenderJob, files: dict[str, bytes]) -> tuple[Problem, ...]:
    size = sum(map(len, files.values()))
    if len(files) <= FILES_MAX and size <= BYTES_MAX:
        return ()
    what = f"it gives {len(files)} files of {size} bytes; {FILES_MAX} and {BYTES_MAX} are allowed"
    return (Problem(job.bundle.template.place, what, "move what is large into an image"),)


def _not_allowed(job: RenderJob, parts: Parts, files: dict[str, bytes]) -> tuple[Problem, ...]:
    path = f"{parts.folder}/{COMPOSE_FILE}"
    try:
        text = files[COMPOSE_FILE].decode()
    except UnicodeDecodeError:
        return (Problem(Place(path), "it is not UTF-8 text", "save it as UTF-8"),)
    rendered = f"{path} as rendered for {job.replica}"
    found = check_replica(text, path=rendered, files=files, given=job.given)
    return found or unresolved(text, path=rendered, files=files.keys())


def _refused(job: RenderJob, what: str) -> Unrendered:
    place = job.bundle.template.place
    folder = place.path.rpartition("/")[0]
    return Unrendered(problems=(Problem(Place(folder), what, _HEAVY_FIX),))
