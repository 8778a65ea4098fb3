"""The proof that values only filled places in a document, and never changed its shape.

A structured file is rendered twice: once with its values, and once with a token in the place of
every value. Each token has to be a whole value of the second document, and putting the values
there has to give the first. A quote that was broken out of, a key that came from a newline, or a
value glued to other text makes the two differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from schemas.problem import BadDocumentError, Problem
from schemas.yaml_text import read_yaml

_TOKEN = re.compile(r"miaas-value-([0-9]+)-")
FIX: Final = (
    "let {{ ... }} stand alone where a whole value stands, without quotes around it, "
    'and join text inside: {{ name ~ ":" ~ tag }}'
)


class BentError(Exception):
    """The values and the document do not fit together. `token`: which value, if it is known."""

    def __init__(self, what: str, fix: str, *, token: int | None = None, line: int = 0) -> None:
        self.what = what
        self.fix = fix
        self.token = token
        self.line = line
        super().__init__(what)


def token(number: int) -> str:
    """The text that stands for value `number`, as a JSON text."""
    return f'"miaas-value-{number}-"'


def check_shape(path: str, filled: str, tokens: str, values: Sequence[object]) -> None:
    """Prove that `filled` is `tokens` with the values in their places. Path says which syntax.

    Raises:
        BentError: it is not so, or one of the two cannot be read.
    """
    expected = _substitute(_load(path, tokens), values)
    if _load(path, filled) != expected:
        raise BentError("a value changes the shape of the document around it", FIX)


def _substitute(node: object, values: Sequence[object]) -> object:
    if isinstance(node, dict):
        for key in node:
            _refuse_tokens(key, "is used as a key", "write the whole map as one value")
        return {key: _substitute(item, values) for key, item in node.items()}
    if isinstance(node, list):
        return [_substitute(item, values) for item in node]
    if not isinstance(node, str):
        return node
    if whole := _TOKEN.fullmatch(node):
        return values[int(whole[1])]
    _refuse_tokens(node, "is glued to other text or stands in quotes", FIX)
    return node


def _refuse_tokens(text: str, what: str, fix: str) -> None:
    if found := _TOKEN.search(text):
        raise BentError(f"a value {what}", fix, token=int(found[1]))


def _load(path: str, text: str) -> object:
    return _load_json(text) if path.endswith(".json") else _load_yaml(path, text)


def _load_json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except RecursionError as error:
        raise BentError("the rendered file is nested too deep", "make it flatter") from error
    except json.JSONDecodeError as error:
        said = f"the rendered file is not JSON: {error.msg}"
        raise BentError(
            said, "look at this line and the one above it", line=error.lineno
        ) from error


def _no_constant(name: str) -> object:
    raise BentError(f"{name} is not JSON", "write a number or null")


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({key for key, _ in pairs}) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise BentError(f"the key {twice!r} stands twice in one map", "keep one of the two")
    return dict(pairs)


def _load_yaml(path: str, text: str) -> object:
    if not text.strip():
        raise BentError("the rendered file is empty", "write something in every case")
    try:
        reading = read_yaml(text, path=path)
    except BadDocumentError as error:
        raise _bent(error.problems[0]) from error
    if reading.problems:
        raise _bent(reading.problems[0])
    return reading.value


def _bent(problem: Problem) -> BentError:
    found = _TOKEN.search(problem.what)
    number = int(found[1]) if found else None
    said = f"the rendered file cannot be used: {problem.what}"
    return BentError(said, problem.fix, token=number, line=problem.place.line)
