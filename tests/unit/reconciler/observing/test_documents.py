"""Understanding documents: each once, and what no pass needs any more does not stay in memory."""

from __future__ import annotations

import gc
import weakref

from reconciler.observing.documents import _reader, read_heartbeat


class Said:
    """What a document says."""

    def __init__(self, text: str) -> None:
        self.text = text


class Listener:
    """Understands any text, and watches what becomes of what it understood."""

    def __init__(self) -> None:
        self.heard: list[weakref.ref[Said]] = []

    def __call__(self, text: str, *, path: str) -> Said:
        found = Said(f"{path}: {text}")
        self.heard.append(weakref.ref(found))
        return found

    def kept(self) -> list[str]:
        gc.collect()
        return [found.text for one in self.heard if (found := one()) is not None]


def test_the_same_bytes_are_understood_once() -> None:
    listener = Listener()
    read = _reader(listener)

    for _ in range(3):
        for node in range(500):
            for version in range(4):  # as many as a deployment has that was rolled back
                read(b"says %d" % version, f"nodes/{node}")

    assert len(listener.heard) == 500 * 4


def test_bad_bytes_are_understood_once_and_each_path_for_itself() -> None:
    bad = read_heartbeat(b"\xff", "one")

    assert read_heartbeat(bytes(bytearray(b"\xff")), "one") is bad
    assert read_heartbeat(b"\xff", "two") != bad


def test_what_a_machine_said_long_ago_does_not_stay() -> None:
    listener = Listener()
    read = _reader(listener)

    for number in range(100):
        read(b"%d" % number, "alpha")
        read(b"always", "alpha")

    assert listener.kept() == ["alpha: always", "alpha: 97", "alpha: 98", "alpha: 99"]
