"""The last accepted commit of the branch that people write, kept over restarts. Shell.

Losing it is harmless: the newest decision names the commit that it was made from.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from schemas.names import CommitId

FILE: Final = "accepted-head"
_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class AcceptedFile:
    """Where the last accepted commit is kept."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def load(self) -> CommitId | None:
        """Read what was kept; None: nothing, or nothing that can be read. Never fails."""
        try:
            text = self._path.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
        return CommitId(text) if _COMMIT.fullmatch(text) else None

    def save(self, head: CommitId) -> None:
        """Keep it. Written beside and renamed, so that a crash leaves the old one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        beside.write_text(f"{head}\n", encoding="ascii")
        beside.replace(self._path)
