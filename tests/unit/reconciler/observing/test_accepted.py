"""The accepted commit outlives a restart, and its loss is no failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.observing.accepted import FILE, AcceptedFile
from schemas.names import CommitId

HEAD = CommitId("ab" * 20)


def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    AcceptedFile(tmp_path / "new").save(HEAD)

    assert AcceptedFile(tmp_path / "new").load() == HEAD
    assert [path.name for path in (tmp_path / "new").iterdir()] == [FILE]


@pytest.mark.parametrize("content", [None, b"", b"main", b"\xff\xfe", HEAD[:39].encode()])
def test_what_is_lost_or_damaged_counts_as_not_kept(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / FILE).write_bytes(content)

    assert AcceptedFile(tmp_path).load() is None
