"""Two agents on one state folder: the second one is told who has it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.lock import BusyError, ForeignError, acquire, claim


def test_the_second_one_is_told_who_has_it(tmp_path: Path) -> None:
    lock = acquire(str(tmp_path / "state"))

    with pytest.raises(BusyError, match=f"process {os.getpid()}"):
        acquire(str(tmp_path / "state"))

    lock.release()
    acquire(str(tmp_path / "state")).release()


SOCKET = "unix:///var/run/docker.sock"


def test_a_folder_stays_that_of_its_node_and_engine(tmp_path: Path) -> None:
    claim(str(tmp_path), "alpha", SOCKET)
    claim(str(tmp_path), "alpha", SOCKET)

    for node, engine in (("beta", SOCKET), ("alpha", "unix:///run/other.sock")):
        with pytest.raises(ForeignError, match=f"that of node alpha {SOCKET}.* Fix: ") as told:
            claim(str(tmp_path), node, engine)
        assert f"this is node {node} {engine}" in str(told.value)

    (tmp_path / "owner").unlink()
    claim(str(tmp_path), "beta", SOCKET)


def test_a_folder_whose_owner_was_not_written_down_in_full_is_taken(tmp_path: Path) -> None:
    (tmp_path / "owner").write_text("")

    claim(str(tmp_path), "alpha", SOCKET)

    assert (tmp_path / "owner").read_text() == f"alpha {SOCKET}\n"
