"""Listening TCP ports, asked of the kernel itself.

/proc/net/tcp holds every connection, and reading it walks the kernel's whole table: 10 ms on an
idle host, and far more on one that serves many clients. This question is answered from the few
sockets that listen.
"""

from __future__ import annotations

import socket
import struct
from typing import Final

NETLINK_SOCK_DIAG: Final = 4
SOCK_DIAG_BY_FAMILY: Final = 20
REQUEST_AND_DUMP: Final = 0x301
DONE: Final = 3
ERROR: Final = 2
LISTEN_STATE: Final = 1 << 10
ANSWER_SECONDS: Final = 5.0
CHUNK_BYTES: Final = 1 << 16
# Length, type, flags, sequence, port of a message; then family, protocol, extensions, padding,
# states of the question, whose address is left empty.
HEAD: Final = struct.Struct("=IHHII")
QUESTION: Final = struct.Struct("=BBBBI48x")
# After four bytes of an answer comes the socket's own port, as it stands in a packet.
PORT: Final = struct.Struct("!4xH")


def listening() -> frozenset[int]:
    """TCP ports that something listens on, on any address.

    Raises:
        OSError: this kernel or this sandbox does not answer such questions.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as link:
        link.settimeout(ANSWER_SECONDS)
        found = _asked(link, socket.AF_INET) | _asked(link, socket.AF_INET6)
    return frozenset(found)


def _asked(link: socket.socket, family: int) -> set[int]:
    size = HEAD.size + QUESTION.size
    head = HEAD.pack(size, SOCK_DIAG_BY_FAMILY, REQUEST_AND_DUMP, 0, 0)
    link.send(head + QUESTION.pack(family, socket.IPPROTO_TCP, 0, 0, LISTEN_STATE))
    ports: set[int] = set()
    while _read(link.recv(CHUNK_BYTES), ports):
        pass
    return ports


def _read(answer: bytes, ports: set[int]) -> bool:
    """Take the ports out of a part of the answer. False: it was the last one.

    Raises:
        OSError: the kernel refuses.
    """
    at = 0
    while at + HEAD.size <= len(answer):
        length, kind, *_ = HEAD.unpack_from(answer, at)
        if kind == DONE:
            return False
        if kind == ERROR or length < HEAD.size:
            raise OSError("the kernel does not list its sockets")
        ports.add(PORT.unpack_from(answer, at + HEAD.size)[0])
        at += (length + 3) & ~3
    return bool(answer)
