"""Takes secrets out of what containers print, before anyone else sees it. Pure.

Three nets, one over the other: values that are known to be secret on this host, forms that only
secrets have, and keys that say what stands after them. What is masked for nothing costs a reader a
word; what is not masked costs a password.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote

MASK: Final = "****"
# Shorter values are words such as `true` or `1`: to mask them would blank the log and hide nothing.
SHORTEST: Final = 4
COUNT_DIGITS: Final = 7
# Of one line. Longer ones are data that was printed by mistake.
LINE_CHARACTERS: Final = 500
SEARCHED_CHARACTERS: Final = 4096

_WORD: Final = (
    r"pass(?:word|wd|phrase|code)?|pwd|secret|token(?!s)|credentials?|api[-_]?key|access[-_]?key"
    r"|private[-_]?key|signing[-_]?key|encryption[-_]?key|master[-_]?key|auth(?:orization)?|cookie"
    r"|dsn|license[-_]?key"
)
_SECRET_KEY: Final = re.compile(rf"(?:{_WORD})(?:s|\d+)?\Z|(?:\A|_)key\Z", re.IGNORECASE)
_URL_SECRET: Final = re.compile(r"(://[^\s/:@]{0,256}:)([^\s/@]{1,256})(?=@)")
_FORMS: Final = re.compile(
    r"""
      \bhf_[A-Za-z0-9]{8,}                                  # Hugging Face
    | \bsk-[A-Za-z0-9_-]{8,}                                # OpenAI, Anthropic and their likes
    | \b(?:gh[oprsu]_|github_pat_|glpat-|xox[a-z]-|npm_|pypi-|dckr_pat_|nvapi-|gsk_)[\w-]{8,}
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                         # AWS
    | \bAIza[\w-]{30,}                                      # Google
    | \beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?                # JSON web tokens
    | \bAGE-SECRET-KEY-1[0-9A-Z]{8,}
    """,
    re.VERBOSE,
)
_SCHEME: Final = re.compile(r"\b(bearer|basic|digest)(\s+|%20)[\w.~+/=-]{4,}", re.IGNORECASE)
_NAMED: Final = re.compile(
    rf"""((?:\b|[_-])[\w-]{{0,40}}?(?:{_WORD})s?["']?\s{{0,3}}[:=]\s{{0,3}})"""
    r"""("[^"]*"?|'[^']*'?|[^\s,;&"'}\])]+)""",
    re.IGNORECASE,
)
_FLAG: Final = re.compile(rf"(--?[\w-]{{0,40}}?(?:{_WORD})s?\s+)(\S+)", re.IGNORECASE)
_KEY_BEGIN: Final = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----")
_KEY_END: Final = re.compile(r"-----END [A-Z ]{0,40}PRIVATE KEY-----")
_KEY_BODY: Final = re.compile(r"\s*[A-Za-z0-9+/=]{16,}\s*\Z")
_TERMINAL: Final = re.compile(r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b]{0,512}\x07?|.)?")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def secret_values(environment: Mapping[str, str], files: Iterable[str]) -> frozenset[str]:
    """The values on this host that must never be shown.

    Args:
        environment: of a container; values of keys that sound secret count, and passwords in URLs.
        files: contents of files that Compose calls secrets; the whole, and each line.
    """
    found = {value for key, value in environment.items() if _SECRET_KEY.search(key)}
    found |= {match[2] for value in environment.values() for match in _URL_SECRET.finditer(value)}
    found |= set(files)
    lines = {line.strip() for value in found for line in (value, *value.splitlines())}
    return frozenset(line for line in lines if len(line) >= SHORTEST)


def masked(text: str, secrets: frozenset[str]) -> str:
    """The text without secrets, without what steers terminals, and without endless lines."""
    plain = _CONTROL.sub("", _TERMINAL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))
    for secret in sorted(_spellings(secrets), key=lambda one: (-len(one), one)):
        plain = plain.replace(secret, MASK)
    lines = (_masked_line(line) for line in _without_keys(plain.splitlines()))
    return "\n".join(line[:LINE_CHARACTERS] for line in lines)


def tail(text: str, characters: int) -> str:
    """The last whole lines that fit."""
    if len(text) <= characters:
        return text
    _, _, rest = text[-characters:].partition("\n")
    return rest or text[-characters:]


def _spellings(secrets: frozenset[str]) -> set[str]:
    """The secrets as logs may spell them: plain, in a URL, in JSON, in base64."""
    found = set()
    for secret in secrets:
        code = base64.b64encode(secret.encode()).decode().rstrip("=")
        found |= {_CONTROL.sub("", secret), quote(secret, safe=""), json.dumps(secret)[1:-1], code}
    return found


def _masked_line(line: str) -> str:
    line = _URL_SECRET.sub(rf"\1{MASK}", line[:SEARCHED_CHARACTERS])
    line = _SCHEME.sub(rf"\1 {MASK}", line)
    line = _NAMED.sub(_named, line)
    line = _FLAG.sub(rf"\1{MASK}", line)
    return _FORMS.sub(MASK, line)


def _named(found: re.Match[str]) -> str:
    """Mask a value after a key. `Authorization: Bearer` has its secret in the next word.

    Servers of models count tokens; a short number after such a word is one of these counts.
    """
    is_scheme = found[2].lower() in {"bearer", "basic", "digest"}
    is_count = found[2].isdigit() and len(found[2]) < COUNT_DIGITS
    return found[0] if is_scheme or is_count else f"{found[1]}{MASK}"


def _without_keys(lines: list[str]) -> Iterable[str]:
    """Lines without private keys, also without one whose first lines are cut off."""
    kept: list[str] = []
    is_inside = False
    for line in lines:
        if _KEY_END.search(line):
            while kept and _KEY_BODY.match(kept[-1]):
                kept.pop()
            kept += [] if is_inside else [MASK]
            is_inside = False
        elif _KEY_BEGIN.search(line):
            is_inside = True
            kept.append(MASK)
        elif not is_inside or not _KEY_BODY.match(line):
            is_inside = False
            kept.append(line)
    return kept
