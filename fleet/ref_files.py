"""Read refs straight from the files of a bare repository: no process, a few file reads."""

from __future__ import annotations

import os

from fleet.git_names import is_object_id

TYPE_CHECKING = False  # not from `typing`: see git_command.py
if TYPE_CHECKING:
    from collections.abc import Iterable


class UnclearRefsError(Exception):
    """The files do not say where refs are in a way that is safe to read without git."""


def read_refs(folder: str, wanted: Iterable[str]) -> dict[str, str]:
    """Say where exact refs, and all below prefixes that end in `/`, stand; leave out missing ones.

    Raises:
        UnclearRefsError: no repository, another ref format, a symbolic or a broken ref.
    """
    _check_format(folder)
    wanted = tuple(wanted)
    found: dict[str, str] = {}
    # Loose files come first: git packs a ref before it removes the loose file, so a ref that
    # moves meanwhile is seen in one place or the other.
    for name in wanted:
        for ref in _loose_below(folder, name) if name.endswith("/") else (name,):
            _read_loose(folder, ref, found)
    if any(name.endswith("/") or name not in found for name in wanted):
        for ref, value in _packed(folder):
            if any(ref == name or (name[-1] == "/" and ref.startswith(name)) for name in wanted):
                found.setdefault(ref, value)
    return found


def _check_format(folder: str) -> None:
    head = _text(f"{folder}/HEAD")
    if head is None or not head.endswith("\n"):
        raise UnclearRefsError(f"{folder} is not a repository")
    if ".invalid" in head or not (head.startswith("ref: refs/") or is_object_id(head[:-1])):
        raise UnclearRefsError(f"{folder} keeps its refs elsewhere")


def _read_loose(folder: str, ref: str, found: dict[str, str]) -> None:
    text = _text(f"{folder}/{ref}")
    if text is None:
        return
    value = text.rstrip("\n")
    if not is_object_id(value):
        raise UnclearRefsError(f"{ref} in {folder} is symbolic or broken")
    found[ref] = value


def _loose_below(folder: str, prefix: str) -> list[str]:
    names: list[str] = []
    try:
        with os.scandir(f"{folder}/{prefix}") as entries:
            for entry in entries:
                if entry.is_dir():
                    names += _loose_below(folder, f"{prefix}{entry.name}/")
                elif not entry.name.endswith(".lock"):
                    names.append(f"{prefix}{entry.name}")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UnclearRefsError(str(error)) from error
    return names


def _packed(folder: str) -> list[tuple[str, str]]:
    text = _text(f"{folder}/packed-refs") or ""
    if text and not text.endswith("\n"):
        raise UnclearRefsError(f"packed-refs in {folder} is cut short")
    rows: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line[:1] in ("#", "^"):
            continue
        value, blank, ref = line.partition(" ")
        if not blank or not is_object_id(value):
            raise UnclearRefsError(f"packed-refs in {folder} is broken")
        rows.append((ref, value))
    return rows


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  # pathlib costs 5 ms
            return file.read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise UnclearRefsError(str(error)) from error
