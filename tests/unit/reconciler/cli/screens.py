"""A terminal that tests can read, and `miaas` run inside the test's own process."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.cli.main import main
from reconciler.cli.terminal import Terminal


def a_terminal(*, coloured: bool = False) -> Terminal:
    """Make a terminal that nobody looks at."""
    return Terminal(io.StringIO(), io.StringIO(), coloured)


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


class Shell:
    """Runs `miaas` in a folder, with an environment of its own."""

    def __init__(
        self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.folder = folder
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        for name in ("MIAAS_DESIRED", "MIAAS_STATE", "MIAAS_BRANCH", "MIAAS_DEBUG"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("MIAAS_CACHE", str(folder / ".cache"))
        self.go(folder)

    def go(self, folder: Path) -> None:
        """Work in another folder from now on."""
        self._monkeypatch.chdir(folder)

    def set(self, name: str, value: str) -> None:
        """Set a variable of the environment."""
        self._monkeypatch.setenv(name, value)

    def __call__(self, *words: str) -> Ran:
        """Run `miaas` with these words."""
        self._capsys.readouterr()
        try:
            code = main(words)
        except SystemExit as end:  # argparse ends so
            code = int(end.code or 0)
        printed = self._capsys.readouterr()
        return Ran(int(code), printed.out, printed.err)
