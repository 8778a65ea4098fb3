"""How full the disk is that holds Docker's data."""

from __future__ import annotations

import os
from pathlib import Path

from agent.pressure import Disk

MIB = 2**20


def read_disk(root: Path) -> Disk | None:
    """Ask the file system; a few microseconds. None: it does not say.

    What is kept for root counts as not there: other programs cannot have it.
    """
    try:
        found = os.statvfs(root)
    except OSError:
        return None
    used = found.f_blocks - found.f_bfree
    return Disk(
        total_mib=(used + found.f_bavail) * found.f_frsize // MIB,
        free_mib=found.f_bavail * found.f_frsize // MIB,
    )
