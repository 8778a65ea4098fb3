"""Two agents on one state folder: the second one is told who has it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.lock import BusyError, acquire


def test_the_second_one_is_told_who_has_it(tmp_path: Path) -> None:
    lock = acquire(str(tmp_path / "state"))

    with pytest.raises(BusyError, match=f"process {os.getpid()}"):
        acquire(str(tmp_path / "state"))

    lock.release()
    acquire(str(tmp_path / "state")).release()
