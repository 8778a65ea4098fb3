from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.reconciler.cli.screens import Shell


@pytest.fixture
def miaas(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """Run `miaas` in an empty folder."""
    return Shell(tmp_path, capsys, monkeypatch)
