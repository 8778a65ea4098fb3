"""The child process that renders: it binds itself first, then answers one request after another.

A request and its answer are one JSON document each, with its length in four bytes before it. JSON
and not pickle, because whoever breaks out of the sandbox must not get to choose what the parent
loads. A request that exceeds the bounds kills this process; the parent says so and starts another.
"""

from __future__ import annotations

import json
import math
import resource
import struct
import sys
from typing import Any, BinaryIO, Final

from reconciler.rendering.sandbox import RenderError, Sandbox, is_fragment
from schemas.problem import Problem

# An interpreter with Jinja2 and PyYAML maps about 60 MiB. A template needs far less than the rest.
ADDRESS_SPACE_MAX: Final = 512 * 1024 * 1024
# The largest of the built-in templates takes 3 ms.
CPU_SECONDS: Final = 1
# Templates that stay compiled. A fleet uses a few dozen.
_COMPILED_MAX: Final = 64
_LENGTH: Final = struct.Struct(">I")


def read_message(stream: BinaryIO) -> Any:
    """Read one message; None at the end of the stream."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    return json.loads(stream.read(_LENGTH.unpack(head)[0]))


def as_message(content: object) -> bytes:
    """Write one message."""
    body = json.dumps(content).encode()
    return _LENGTH.pack(len(body)) + body


def main() -> None:
    """Answer requests from standard input until it ends."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_MAX, ADDRESS_SPACE_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sandboxes: dict[tuple[object, ...], Sandbox] = {}
    while (request := read_message(source)) is not None:
        _grant_time()
        sink.write(as_message(_answer(request, sandboxes)))
        sink.flush()


def _grant_time() -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    limit = math.ceil(usage.ru_utime + usage.ru_stime) + CPU_SECONDS
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))


def _answer(request: dict[str, Any], sandboxes: dict[tuple[object, ...], Sandbox]) -> object:
    sources: dict[str, str] = request["sources"]
    key = (request["folder"], *sorted(sources.items()))
    if key not in sandboxes:
        if len(sandboxes) >= _COMPILED_MAX:
            sandboxes.clear()
        sandboxes[key] = Sandbox(request["folder"], sources)
    return render_all(sandboxes[key], request["context"])


def render_all(sandbox: Sandbox, context: dict[str, object]) -> dict[str, object]:
    """Render every template of a folder: `files` by the template's path, and `problems`."""
    files: dict[str, str] = {}
    problems: list[Problem] = []
    for path in sorted(sandbox.sources):
        if not is_fragment(path):
            try:
                files[path] = sandbox.render(path, context)
            except RenderError as error:
                problems.extend(error.problems)
    return {"files": files, "problems": [_spell(problem) for problem in problems]}


def _spell(problem: Problem) -> list[object]:
    place = problem.place
    return [place.path, place.line, place.column, problem.what, problem.fix]


if __name__ == "__main__":
    main()
