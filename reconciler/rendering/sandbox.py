"""Jinja2, as narrow as it goes. Runs in the child process only, for it does not bound its work."""

from __future__ import annotations

import difflib
import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

from jinja2 import (
    BaseLoader,
    Environment,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateRuntimeError,
    TemplateSyntaxError,
    UndefinedError,
    pass_context,
)
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from reconciler.rendering.lint import lint
from reconciler.rendering.shape import BentError, check_shape, token
from reconciler.rendering.values import UnwritableError, as_json, as_text, for_compose
from schemas.layout import COMPOSE_TEMPLATE
from schemas.problem import Place, Problem

SUFFIX: Final = ".j2"
STRUCTURED: Final = (".yaml.j2", ".yml.j2", ".json.j2")
# A rendered file of more than 256 KiB is no configuration that anybody reads.
OUTPUT_MAX: Final = 256 * 1024
_NAMES: Final = ("params", "deployment", "replica", "node", "ports", "gpus", "resources")


class RenderError(Exception):
    """A template gives no file. Carries the problems, each with its place in the template."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


def is_fragment(path: str) -> bool:
    """Whether a file is only there to be included: its name begins with `_`."""
    return path.rpartition("/")[2].startswith("_")


@dataclass(slots=True)
class Sandbox:
    """The templates of one folder, compiled once. `folder` stands before paths in messages."""

    folder: str
    sources: Mapping[str, str]
    structured: Environment = field(init=False)
    raw: Environment = field(init=False)
    pen: _Pen = field(init=False)

    def __post_init__(self) -> None:
        self.pen = _Pen()
        self.structured = _environment(_Loader(self, lints=True), self.pen.write)
        self.raw = _environment(_Loader(self, lints=False), _write_text)

    def render(self, path: str, context: Mapping[str, object]) -> str:
        """Render one template of the folder.

        Raises:
            RenderError: it is no template, it fails, it grows too large, or a value breaks out.
        """
        try:
            if not path.endswith(STRUCTURED):
                return _bounded(self.raw, path, context)
            return self._structured(path, context)
        except RenderError:
            raise
        except BentError as error:
            raise RenderError(self._bent(path, error)) from error
        except Exception as error:
            raise RenderError(self._failure(path, error)) from error

    def _structured(self, path: str, context: Mapping[str, object]) -> str:
        self.pen.take(_plain if path != COMPOSE_TEMPLATE else for_compose)
        filled = _bounded(self.structured, path, context)
        values = self.pen.values
        self.pen.take_tokens()
        tokens = _bounded(self.structured, path, context)
        if len(self.pen.values) != len(values):
            raise BentError("what is written depends on text that was already written", _CAPTURE)
        self.pen.filled = filled
        check_shape(path.removesuffix(SUFFIX), filled, tokens, values)
        return filled

    def _bent(self, path: str, error: BentError) -> Problem:
        if error.token is not None and error.token < len(self.pen.spots):
            name, line = self.pen.spots[error.token]
            return Problem(self.place(name, line), error.what, error.fix)
        line = _source_line(self.pen.filled, error.line, self.sources[path])
        return Problem(self.place(path, line), error.what, error.fix)

    def _failure(self, path: str, error: Exception) -> Problem:
        name, line = path, 0
        for frame in traceback.extract_tb(error.__traceback__):
            if frame.filename in self.sources:
                name, line = frame.filename, frame.lineno or 0
        if isinstance(error, TemplateSyntaxError):
            name, line = error.filename or path, error.lineno
        what, fix = _words(error, self.sources)
        return Problem(self.place(name, line), what, fix)

    def place(self, path: str, line: int) -> Place:
        """The place of a line of a template: its first character that is not blank.

        What is missed at the end is told of a line past it; that is the last one.
        """
        lines = self.sources.get(path, "").splitlines()
        line = min(line, len(lines))
        if line < 1:
            return Place(f"{self.folder}/{path}")
        column = len(lines[line - 1]) - len(lines[line - 1].lstrip()) + 1
        return Place(f"{self.folder}/{path}", line, column)


_CAPTURE: Final = "compare the values themselves, not what {% set %} or a macro wrote of them"


@dataclass(slots=True)
class _Pen:
    """Writes each expression, first as its value, then as a token, and remembers them."""

    values: list[object] = field(default_factory=list)
    spots: list[tuple[str, int]] = field(default_factory=list)
    change: Callable[[object], object] | None = None
    filled: str = ""

    def take(self, change: Callable[[object], object]) -> None:
        self.values, self.spots, self.change, self.filled = [], [], change, ""

    def take_tokens(self) -> None:
        self.values, self.spots, self.change = [], [], None

    # Asking for the context keeps Jinja2 from writing constants while it compiles.
    @pass_context
    def write(self, context: Context, value: object) -> str:
        if isinstance(value, Undefined):
            str(value)
        self.spots.append(_caller(context))
        if self.change is None:
            self.values.append(None)
            return token(len(self.values) - 1)
        changed = _plain(self.change(value))
        self.values.append(changed)
        return as_json(changed)


def _write_text(value: object) -> str:
    if isinstance(value, Undefined):
        str(value)
    return as_text(value)


def _plain(value: object) -> object:
    """Leave Jinja2's own kinds behind: its safe strings and tuples are text and lists here."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _caller(context: Context) -> tuple[str, int]:
    frame = inspect.currentframe()
    for _ in range(4):
        frame = frame.f_back if frame else None
        template = frame.f_globals.get("__jinja_template__") if frame else None
        if frame is not None and template is not None:
            return template.name, template.get_corresponding_lineno(frame.f_lineno)
    return context.name or "", 0


class _Loader(BaseLoader):
    """Finds templates of the one folder, and nothing else."""

    def __init__(self, sandbox: Sandbox, *, lints: bool) -> None:
        self.sandbox = sandbox
        self.lints = lints

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        del environment
        source = self.sandbox.sources.get(template)
        if source is None:
            raise TemplateNotFound(template)
        if self.lints and (problems := lint(source, f"{self.sandbox.folder}/{template}")):
            raise RenderError(*problems)
        return source, template, None


class _Missing(StrictUndefined):
    """Says which name is missing, and the nearest one that is there."""

    def __init__(
        self,
        hint: str | None = None,
        obj: object = missing,
        name: str | None = None,
        exc: type[TemplateRuntimeError] = UndefinedError,
    ) -> None:
        super().__init__(hint or _missing(obj, name), obj, name, exc)


def _missing(holder: object, name: object) -> str:
    known = [key for key in holder if isinstance(key, str)] if isinstance(holder, dict) else []
    if holder is missing:
        known = list(_NAMES)
    close = difflib.get_close_matches(str(name), known, 1)
    if close:
        return f"there is no {name!r} here, did you mean {close[0]!r}?"
    return f"there is no {name!r} here" + (f", only {', '.join(sorted(known))}" if known else "")


def _environment(loader: BaseLoader, finalize: Callable[..., Any]) -> Environment:
    environment = ImmutableSandboxedEnvironment(
        loader=loader,
        undefined=_Missing,
        finalize=finalize,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # The same input has to give the same file.
    filters: MutableMapping[str, Any] = environment.filters
    del filters["random"], environment.globals["lipsum"]
    return environment


def _bounded(environment: Environment, path: str, context: Mapping[str, object]) -> str:
    """Render until done, or until the output is too large."""
    parts: list[str] = []
    size = 0
    for part in _pieces(environment, path, context):
        size += len(part.encode(errors="replace"))
        if size > OUTPUT_MAX:
            raise UnwritableError(f"the rendered file has more than {OUTPUT_MAX} bytes")
        parts.append(part)
    return "".join(parts)


def _pieces(environment: Environment, path: str, context: Mapping[str, object]) -> Iterator[str]:
    yield from environment.get_template(path).generate(context)


def _words(error: Exception, sources: Mapping[str, str]) -> tuple[str, str]:
    if isinstance(error, MemoryError):
        return "the template needs too much memory", "make it produce less"
    if isinstance(error, RecursionError):
        return "the template calls itself without end", "give the recursion an end"
    if isinstance(error, TemplateNotFound):
        known = ", ".join(sorted(sources))
        return f"it includes {error.name!r}, which is not there", f"include one of: {known}"
    if isinstance(error, TemplateSyntaxError):
        return f"this is not Jinja2: {_said(error)}", "look at this line and the one above it"
    return _said(error), "mend this line, or the parameter that it uses"


def _said(error: Exception) -> str:
    """The error's own words without a full stop, for the fix follows one."""
    said = getattr(error, "message", None) if isinstance(error, TemplateError) else str(error)
    return (said or type(error).__name__).removesuffix(".")


def _source_line(rendered: str, line: int, source: str) -> int:
    """Find the template's line that a rendered line came from: the one that begins like it."""
    lines = rendered.rstrip().splitlines()
    if line < 1 or not lines:
        return 0
    # What is never closed is missed past the end.
    wanted = lines[min(line, len(lines)) - 1].strip()
    heads = [part.split("{{")[0].split("{%")[0].strip() for part in source.splitlines()]
    fitting = [
        (len(head), -at) for at, head in enumerate(heads, 1) if head and wanted.startswith(head)
    ]
    return -max(fitting)[1] if fitting else 0
