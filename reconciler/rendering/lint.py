"""What can be said of a structured template before anything is rendered: at once, with its place.

This is for the author's comfort. It looks only at the text around each expression; that no value
changes the shape, whatever the control flow, is proved on every rendering by shape.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from jinja2 import Environment

from reconciler.rendering.shape import FIX
from schemas.problem import Place, Problem

GLUED: Final = "a value is glued to other text or stands in quotes"
KEY: Final = "a value is used as a key"
KEY_FIX: Final = "write the whole map as one value"

# Tags that pass text through a function after it was written, quotes and all.
_REWRITING: Final = {"filter": "use the filter inside {{ ... }}", "call": "call the macro instead"}

_BLOCK_START = re.compile(r"^\s*$|(?::|(?:^|\s)-)\s+$")
_FLOW_START = re.compile(r"[\[{,:]\s*$")
_END = re.compile(r"^\s*(?:$|[,\]}])|^\s+#")
_KEY_END = re.compile(r"^\s*:(?:\s|$)")
# One environment for its lexer, with no trimming, so that every character keeps its place.
_LEXER: Final = Environment(keep_trailing_newline=True, autoescape=False)  # noqa: S701 - lexes only


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    offset: int


def lint(source: str, path: str) -> tuple[Problem, ...]:
    """Find expressions that cannot stand alone as a whole value, and tags that rewrite text.

    Raises:
        jinja2.TemplateSyntaxError: the source is no template at all.
    """
    tokens = tuple(_tokens(source))
    return tuple(
        Problem(_place(source, path, token.offset), what, fix)
        for token, what, fix in (*_glued(tokens), *_rewriting(tokens))
    )


def _tokens(source: str) -> Iterator[_Token]:
    offset = 0
    for _, kind, text in _LEXER.lex(source):
        offset = max(source.find(text, offset), offset)
        yield _Token(kind, text, offset)
        offset += len(text)


def _glued(tokens: tuple[_Token, ...]) -> Iterator[tuple[_Token, str, str]]:
    for at, token in enumerate(tokens):
        if token.kind == "variable_begin":
            ends = (i for i in range(at, len(tokens)) if tokens[i].kind == "variable_end")
            # What is never closed the parser tells, with its line.
            if (end := next(ends, None)) is None:
                return
            if _is_key(tokens, at, end):
                yield token, KEY, KEY_FIX
            elif not (_starts_value(tokens, at) and _ends_value(tokens, end)):
                yield token, GLUED, FIX


def _is_key(tokens: tuple[_Token, ...], at: int, end: int) -> bool:
    after = tokens[end + 1] if end + 1 < len(tokens) else None
    if after is None or after.kind != "data" or not _KEY_END.match(after.text):
        return False
    return at == 0 or tokens[at - 1].kind != "data" or _starts_value(tokens, at)


def _starts_value(tokens: tuple[_Token, ...], at: int) -> bool:
    if at == 0 or tokens[at - 1].kind in ("block_end", "comment_end", "raw_end"):
        return True
    if tokens[at - 1].kind != "data":
        return False
    before, newline, line = tokens[at - 1].text.rpartition("\n")
    whole_line = bool(newline) or at == 1
    if (whole_line or not before) and _BLOCK_START.search(line):
        return whole_line or bool(line.strip()) or tokens[at - 2].kind != "variable_end"
    return _FLOW_START.search(line) is not None and (
        not whole_line or "[" in line or "{" in line or not line.strip(" ,")
    )


def _ends_value(tokens: tuple[_Token, ...], end: int) -> bool:
    if end + 1 == len(tokens) or tokens[end + 1].kind in ("block_begin", "comment_begin"):
        return True
    if tokens[end + 1].kind != "data":
        return False
    line, newline, _ = tokens[end + 1].text.partition("\n")
    followed_by_tag = not newline and not line.strip() and end + 2 < len(tokens)
    return followed_by_tag or _END.search(line) is not None


def _rewriting(tokens: tuple[_Token, ...]) -> Iterator[tuple[_Token, str, str]]:
    for at, token in enumerate(tokens):
        if token.kind == "block_begin":
            word = next((later.text for later in tokens[at:] if later.kind == "name"), "")
            if word in _REWRITING:
                what = f"the tag {word} could change values that are already written"
                yield token, what, _REWRITING[word]


def _place(source: str, path: str, offset: int) -> Place:
    before = source[:offset]
    return Place(path, before.count("\n") + 1, offset - before.rfind("\n"))
