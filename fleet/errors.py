"""How a repository fails. A module of its own, because an agent's quick look loads little else."""

from __future__ import annotations


class RepositoryError(Exception):
    """The repository did not do what was asked. Loops wait and try again."""


class UnreachableError(RepositoryError):
    """The remote did not answer, or refused us."""


class StaleError(RepositoryError):
    """A ref was not where the push expected it: read again and decide again."""


class RejectedError(RepositoryError):
    """The remote answered and did not want the push (a hook, a protected branch)."""


class DamagedError(RepositoryError):
    """The local mirror is broken. Callers outside this room see it only if healing failed too."""
