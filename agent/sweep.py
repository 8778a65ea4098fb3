"""Which images may go: only those that we brought, and that nothing of ours needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import TypeAlias

from agent.runtime.port import Image

# By familiar name or id: since when nothing needs it, on the boot clock; None: something does.
Brought: TypeAlias = Mapping[str, float | None]

# A version that was given up is often wanted back within days, and then should be here.
KEEP_SECONDS = 7 * 86400.0
# Each may take the engine seconds, and the disk is read again after each pass.
MOST_IN_A_PASS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveImages:
    """Remove images from this host. No container was made from any of them."""

    images: tuple[Image, ...]
    reason: str


def familiar(reference: str) -> str:
    """The name by which the engine lists an image: without Docker's own registry.

    With its tag; or with its digest, beside which a tag means nothing.
    """
    if reference.startswith("sha256:"):
        return reference
    name, _, digest = reference.partition("@")
    name = name.removeprefix("index.docker.io/").removeprefix("docker.io/")
    name = name.removeprefix("library/")
    folder, slash, last = name.rpartition("/")
    if digest:
        return f"{folder}{slash}{last.partition(':')[0]}@{digest}"
    return name if ":" in last else f"{name}:latest"


def noted(brought: Brought, needed: Iterable[str], ids: Mapping[str, str], now: float) -> Brought:
    """Note what is needed now, and since when the rest is not.

    Args:
        brought: what was known. Only a pull of ours adds a name to it.
        needed: references that an accepted assignment, or a version to fall back on, speaks of.
        ids: ids of the images that our containers were made from, with their references. A name
            may come to mean another image; the old one is still ours.
        now: on the boot clock.
    """
    used = {familiar(reference) for reference in (*needed, *ids.values())}
    ours = {image for image, reference in ids.items() if familiar(reference) in brought}
    known = {**dict.fromkeys(ours - {""}, None), **brought}
    return {
        name: None if name in used or name in ids else (now if since is None else since)
        for name, since in known.items()
    }


def sweep(
    stored: tuple[Image, ...], brought: Brought, now: float, used: Set[str], *, pressed: bool
) -> tuple[RemoveImages, ...]:
    """Say which images to remove now: under pressure the longest unneeded, otherwise the old.

    used: ids of the images that our containers were made from, and familiar names that something
    needs. Such an image may have come by another name since, which nothing needs.
    """
    unneeded = sorted(
        (since, image.id, image)
        for image in stored
        if used.isdisjoint(names(image)) and (since := unneeded_since(image, brought)) is not None
    )
    if pressed:
        chosen = [image for _, _, image in unneeded[:MOST_IN_A_PASS]]
        reason = "the disk is nearly full, and nothing needs them"
    else:
        old = [image for since, _, image in unneeded if now - since >= KEEP_SECONDS]
        chosen = old[:MOST_IN_A_PASS]
        reason = f"nothing has needed them for {KEEP_SECONDS / 86400:g} days"
    return (RemoveImages(images=tuple(chosen), reason=reason),) if chosen else ()


def names(image: Image) -> tuple[str, ...]:
    """All that an image goes by: its id, and its familiar names."""
    return (image.id, *map(familiar, (*image.tags, *image.digests)))


def unneeded_since(image: Image, brought: Brought) -> float | None:
    """Since when nothing of ours needs an image. None: something does, or it is not ours.

    An image with any name that we did not bring is somebody else's as well.
    """
    times = [brought[name] for name in names(image) if name in brought]
    if not times or not all(familiar(tag) in brought for tag in image.tags):
        return None
    known = [since for since in times if since is not None]
    return max(known) if len(known) == len(times) else None


def may_sweep(brought: Brought, now: float, *, pressed: bool) -> bool:
    """Whether it is worth while to ask the engine for its images."""
    ages = [now - since for since in brought.values() if since is not None]
    return bool(ages) and (pressed or max(ages) >= KEEP_SECONDS)


def still_known(brought: Brought, stored: tuple[Image, ...]) -> Brought:
    """Forget what is neither here nor needed."""
    here = {name for image in stored for name in names(image)}
    return {name: since for name, since in brought.items() if since is None or name in here}
