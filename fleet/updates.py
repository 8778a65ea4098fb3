"""Which pushes make sense, whoever carries them out."""

from __future__ import annotations

from fleet.errors import RepositoryError
from fleet.git_names import check_object_id, check_ref
from fleet.port import RefUpdate


def check_updates(updates: tuple[RefUpdate, ...]) -> None:
    """Accept the updates of one push.

    Raises:
        RepositoryError: a bad name or id, a ref named twice, or a delete of what must not exist.
    """
    for update in updates:
        check_ref(update.ref)
        for value in (update.new, update.expected):
            if value is not None:
                check_object_id(value)
        if update.new is None and update.expected is None:
            raise RepositoryError(f"cannot delete {update.ref}, which must not exist")
    if len({update.ref for update in updates}) != len(updates):
        raise RepositoryError("one push names a ref twice")
