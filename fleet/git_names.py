"""What may be called a URL, a ref or an object id. Checked before anything reaches git."""

from __future__ import annotations

import os

from fleet.errors import RepositoryError

TYPE_CHECKING = False  # not from `typing`: see git_command.py
if TYPE_CHECKING:
    from typing import Final

_HEX: Final = frozenset("0123456789abcdef")
_NEVER_IN_REF: Final = frozenset(" ~^:?*[\\\x7f") | frozenset(map(chr, range(32)))
_SCHEMES: Final = ("file://", "ssh://", "https://", "http://")


def check_url(url: str) -> str:
    """Accept the URL of a remote and make a relative path absolute.

    Raises:
        RepositoryError: git could run a program for it, it carries a password, or is plain http
            to another machine.
    """
    if not url or url.startswith("-") or any(letter < " " or letter == "\x7f" for letter in url):
        raise RepositoryError(f"{redacted(url)!r} is not the URL of a repository")
    scheme = next((scheme for scheme in _SCHEMES if url.startswith(scheme)), "")
    if scheme:
        return _checked(url, scheme)
    head = url.partition("/")[0]
    if "::" in head or "://" in url:
        raise RepositoryError(
            f"{redacted(url)!r} has an unknown scheme. Fix: use a path, file://, ssh:// or https://"
        )
    return url if ":" in head else os.path.abspath(url)  # noqa: PTH100  # pathlib costs 5 ms


def _checked(url: str, scheme: str) -> str:
    user, at, host = url[len(scheme) :].partition("/")[0].rpartition("@")
    if at and ":" in user:
        raise RepositoryError(
            f"{redacted(url)!r} carries a password. Fix: put it into a credential file"
        )
    if scheme in ("ssh://", "https://") and (not host or host.startswith("-") or user[:1] == "-"):
        raise RepositoryError(f"{redacted(url)!r} names no host")
    if scheme == "http://" and not _is_loopback(host):
        raise RepositoryError(f"{redacted(url)!r} is not encrypted. Fix: use https://")
    return url


def _is_loopback(host: str) -> bool:
    name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    parts = name.split(".")
    is_ipv4 = parts[0] == "127" and all(part.isdigit() for part in parts[1:])
    return is_ipv4 or name in ("localhost", "[::1]")


def redacted(url: str) -> str:
    """Give the URL without user and password, fit for messages."""
    scheme, found, rest = url.partition("://")
    if not found:
        return url
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def check_ref(ref: str) -> str:
    """Accept the full name of a ref, `refs/...`, by the rules of git-check-ref-format.

    Raises:
        RepositoryError: it is none.
    """
    parts = ref.split("/")
    wrong = (
        len(parts) < 3  # noqa: PLR2004  # refs/<kind>/<name>
        or parts[0] != "refs"
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
        or ".." in ref
        or "@{" in ref
        or ref.endswith(".")
        or not _NEVER_IN_REF.isdisjoint(ref)
    )
    if wrong:
        raise RepositoryError(f"{ref!r} is not the name of a ref")
    return ref


def check_wanted(wanted: str) -> str:
    """Accept a ref, or a prefix of refs that ends in `/`.

    Raises:
        RepositoryError: it is neither.
    """
    check_ref(f"{wanted}x" if wanted.endswith("/") else wanted)
    return wanted


def is_object_id(text: str) -> bool:
    """Whether this is a full SHA-1 object id that can name an object."""
    return len(text) == 40 and _HEX.issuperset(text) and text.strip("0") != ""  # noqa: PLR2004


def check_object_id(text: str) -> str:
    """Accept a full object id.

    Raises:
        RepositoryError: it is none.
    """
    if not is_object_id(text):
        raise RepositoryError(f"{text!r} is not the id of an object")
    return text
