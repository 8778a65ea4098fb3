"""An agent's quick look: where a few refs stand, for the price of little more than git itself.

Imports neither GitPython nor dataclasses: the agent loads those when there is work to do.
"""

from __future__ import annotations

import os

from fleet.access import Access
from fleet.errors import DamagedError
from fleet.git_names import check_url, check_wanted
from fleet.local import unmoved

TYPE_CHECKING = False  # not from `typing`: see git_command.py
if TYPE_CHECKING:
    from collections.abc import Iterable


def glance(
    url: str,
    folder: str,
    refs: Iterable[str],
    *,
    access: Access | None = None,
    timeout: float = 60.0,
) -> dict[str, str] | None:
    """Bring refs into the mirror in `folder`, as `Repository.fetch` does, and say where they stand.

    The mirror is the one that `git_repo.open_repository` uses. None: it is damaged; a
    `Repository.fetch` heals it. timeout: as there.

    Raises:
        UnreachableError: no answer.
        RepositoryError: a bad URL or ref, or the mirror is in use.
    """
    url = check_url(url)
    folder = os.path.abspath(folder)  # noqa: PTH100  # pathlib costs 5 ms
    wanted = tuple(check_wanted(ref) for ref in refs)
    found = unmoved(url, folder, wanted)
    if found is not None:
        return found
    return _bring(url, folder, wanted, access or Access(), timeout)


def _bring(
    url: str, folder: str, wanted: tuple[str, ...], access: Access, timeout: float
) -> dict[str, str] | None:
    # 5 ms that a look at an unchanged repository on this machine need not pay.
    from fleet import fetching  # noqa: PLC0415
    from fleet.lessons import Lessons  # noqa: PLC0415
    from fleet.mirror import Mirror, held  # noqa: PLC0415

    place = Mirror(url, folder, access=access, timeout=timeout)
    try:
        with held(place):
            fetching.prepare(place)
            return fetching.bring(place, wanted, Lessons())
    except DamagedError:
        return None
