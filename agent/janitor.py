"""Keeps Docker's disk from filling up: looks, says so, and removes images that nothing needs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from agent.clock import Clock
from agent.converge import Wanted
from agent.memory import Memory
from agent.notebook import Notebook
from agent.pressure import Disk, is_pressed, is_short, pressure_text, refusal_text
from agent.runtime.port import (
    Container,
    Image,
    Project,
    Runtime,
    RuntimeDownError,
    RuntimeFailedError,
)
from agent.sweep import RemoveImages, familiar, may_sweep, names, noted, still_known, sweep

log = logging.getLogger(__name__)

ReadDisk = Callable[[], Disk | None]


def unknown_disk() -> None:
    """The disk of what only pretends to run."""
    return


class Janitor:
    """Looks after the disk and the images of one host."""

    def __init__(self, runtime: Runtime, read_disk: ReadDisk, clock: Clock) -> None:
        self._runtime = runtime
        self._read_disk = read_disk
        self._clock = clock
        self._disk: Disk | None = None

    def look(self, notebook: Notebook) -> None:
        """See how full the disk is."""
        self._disk = self._read_disk()
        memory = notebook.memory
        pressed = is_pressed(self._disk, before=memory.pressed)
        if pressed != memory.pressed:
            notebook.memory = replace(memory, pressed=pressed)

    def problem(self, notebook: Notebook) -> str:
        """What a heartbeat has to say of the disk; empty: nothing."""
        if self._disk is None or not (notebook.memory.pressed or is_short(self._disk)):
            return ""
        return pressure_text(self._disk)

    def admit(self, notebook: Notebook, project: Project) -> None:
        """Let a project's images be pulled, and remember which of them we bring.

        Raises:
            RuntimeFailedError: there is no room for them.
        """
        lacking = self._runtime.lacking(project)
        if not lacking:
            return
        if self._disk is not None and is_short(self._disk):
            raise RuntimeFailedError(refusal_text(self._disk, lacking))
        brought = {**notebook.memory.images, **{familiar(name): None for name in lacking}}
        notebook.memory = replace(notebook.memory, images=brought)

    def tidy(
        self, notebook: Notebook, wanted: tuple[Wanted, ...], containers: tuple[Container, ...]
    ) -> tuple[RemoveImages, ...]:
        """Remove images that may go, a few at a time, and say which were tried.

        As long as the files of any replica are not understood, nobody knows what is needed.
        """
        if not notebook.memory.images or any(want.services is None for want in wanted):
            return ()
        now, memory = self._clock.boottime(), notebook.memory
        ids = {one.image_id: one.image for one in containers if one.image_id}
        needed = _references(wanted, memory)
        brought = noted(memory.images, needed, ids, now)
        if brought != memory.images:
            notebook.memory = replace(memory, images=brought)
        if not may_sweep(brought, now, pressed=memory.pressed):
            return ()
        try:
            stored = self._runtime.stored_images()
        except (RuntimeDownError, RuntimeFailedError):
            return ()  # the next listing says so
        kept = still_known(brought, stored)
        notebook.memory = replace(notebook.memory, images=kept)
        used = {*ids, *map(familiar, needed)}
        acts = sweep(stored, kept, now, used, pressed=memory.pressed)
        for act in acts:
            self._remove(act, notebook)
        return acts

    def _remove(self, act: RemoveImages, notebook: Notebook) -> None:
        for image in act.images:
            try:
                self._runtime.remove_image(image.id)
                pairs = {"image": _name(image), "reason": act.reason}
                log.info("image removed", extra={"pairs": pairs})
            except RuntimeFailedError as error:
                # Somebody else uses it, so it is no longer ours to remove.
                log.info("image left", extra={"pairs": {"image": _name(image), "why": str(error)}})
            except RuntimeDownError:
                return  # the next listing says so
            self._forget(image, notebook)

    def _forget(self, image: Image, notebook: Notebook) -> None:
        gone = names(image)
        left = {name: since for name, since in notebook.memory.images.items() if name not in gone}
        notebook.memory = replace(notebook.memory, images=left)


def _references(wanted: tuple[Wanted, ...], memory: Memory) -> frozenset[str]:
    """All images that some version speaks of which runs, is to run, or may have to run again."""
    versions = [want.services or () for want in wanted]
    versions += [one.services for one in (*memory.prepared.values(), *memory.good.values())]
    return frozenset(service.image for services in versions for service in services)


def _name(image: Image) -> str:
    return ", ".join(image.tags or image.digests) or image.id
