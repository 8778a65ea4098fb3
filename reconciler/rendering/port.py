"""What the pass asks of rendering, and what it gets back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from reconciler.observing.snapshot import TemplateBundle
from schemas.given import Given
from schemas.names import ReplicaName
from schemas.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderJob:
    """One replica to render. The context is made of JSON values only.

    given: what its files may take of the node; nothing, unless it is said.
    """

    replica: ReplicaName
    bundle: TemplateBundle
    context: Mapping[str, object]
    given: Given = field(default_factory=Given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """The files of one replica, by path inside its folder. There is always a compose.yaml."""

    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrendered:
    """Why a replica has no files: at least one problem, each with its place in the template."""

    problems: tuple[Problem, ...]


Outcome: TypeAlias = Rendered | Unrendered


class Renderer(Protocol):
    """Turns templates into files. The same jobs always have the same outcomes."""

    def render(self, jobs: tuple[RenderJob, ...]) -> tuple[Outcome, ...]:
        """Render every job, and answer in the order of the jobs.

        A template that fails, loops or grows without bound is an outcome, never an exception.
        """
