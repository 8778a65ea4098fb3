"""The fleet repository of the tour, used as a person would: with plain git."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from examples.tour.services import TourError

_AUTHOR = (("user.name", "Ada"), ("user.email", "ada@example.org"), ("commit.gpgsign", "false"))


@dataclass(frozen=True, slots=True)
class FleetRepository:
    """A bare repository, and a clone of it to work in."""

    bare: Path
    clone: Path

    def create(self) -> None:
        """Make the bare repository and an empty clone on `main`, with an author of its own."""
        _git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        self.clone_again()
        _git("-C", str(self.clone), "symbolic-ref", "HEAD", "refs/heads/main")
        for key, value in _AUTHOR:
            _git("-C", str(self.clone), "config", key, value)

    def clone_again(self) -> None:
        """Make the clone of a bare repository that is there."""
        _git("clone", "--quiet", str(self.bare), str(self.clone))

    def put(self, path: str, text: str) -> None:
        """Write a file of the work tree."""
        file = self.clone / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def commit(self, message: str) -> str:
        """Commit everything, push it, and give back the short commit id."""
        inside = ("-C", str(self.clone))
        _git(*inside, "add", "--all")
        _git(*inside, "commit", "--quiet", "--message", message)
        _git(*inside, "push", "--quiet", "origin", "main")
        return _git(*inside, "rev-parse", "--short", "HEAD")

    def show(self, revision: str) -> str | None:
        """Print an object of the bare repository, such as `refs/x:file`. None: it is not there."""
        try:
            return _git("-C", str(self.bare), "show", revision)
        except TourError:
            return None


def _git(*words: str) -> str:
    done = subprocess.run(  # noqa: S603 - a fixed program, no shell
        ("git", *words),  # noqa: S607 - the person's own git
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode != 0:
        raise TourError(f"git {' '.join(words)}: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip()
