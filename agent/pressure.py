"""When a disk counts as filling up, and what is then not done any longer. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.heartbeat import DISK_PRESSURE

# At 85 % a pull of a model server can still fill the disk. Of a very large one less has to be free:
# no image, model and log of an afternoon take 64 GiB.
START_PERCENT, START_MIB = 15, 64 * 1024
# It ends well above where it began, so that one image more or less does not begin it again.
STOP_PERCENT, STOP_MIB = 25, 96 * 1024
# Below this nothing is pulled: the largest layers unpack to about that much, and a full disk stops
# what runs. 5 % is what ext4 keeps for root.
SHORT_PERCENT, SHORT_MIB = 5, 20 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The file system of Docker's data: what there is for all but root, and what of it is left."""

    total_mib: int
    free_mib: int


def is_pressed(disk: Disk | None, *, before: bool) -> bool:
    """Whether room has to be made. None: nobody knows, and then it stays as it was."""
    if disk is None:
        return before
    if before:
        return disk.free_mib < _bound(disk, STOP_PERCENT, STOP_MIB)
    return disk.free_mib < _bound(disk, START_PERCENT, START_MIB)


def is_short(disk: Disk | None) -> bool:
    """Whether there is too little room to pull anything."""
    return disk is not None and disk.free_mib < _bound(disk, SHORT_PERCENT, SHORT_MIB)


def pressure_text(disk: Disk) -> str:
    """What a heartbeat says. It names bounds and no amounts, which would be news at every pass."""
    if is_short(disk):
        least = _gib(_bound(disk, SHORT_PERCENT, SHORT_MIB))
        return (
            f"{DISK_PRESSURE}: less than {least} of Docker's disk is free, so no image is pulled. "
            f"{FIX}"
        )
    enough = _gib(_bound(disk, STOP_PERCENT, STOP_MIB))
    return (
        f"{DISK_PRESSURE}: Docker's disk is nearly full. Until {enough} of it are free nothing new "
        f"is placed here, and images that nothing here needs are removed. {FIX}"
    )


def refusal_text(disk: Disk, images: tuple[str, ...]) -> str:
    """Why images are not pulled."""
    least = _gib(_bound(disk, SHORT_PERCENT, SHORT_MIB))
    return (
        f"{DISK_PRESSURE}: {', '.join(images)} not pulled, since only {_gib(disk.free_mib)} of "
        f"Docker's disk are free, and {least} have to be. {FIX}"
    )


FIX = "Fix: remove what is not needed (`docker system df` tells), or give it a larger disk"


def _bound(disk: Disk, percent: int, most_mib: int) -> int:
    return min(disk.total_mib * percent // 100, most_mib)


def _gib(mib: int) -> str:
    return f"{mib / 1024:.1f} GiB"
