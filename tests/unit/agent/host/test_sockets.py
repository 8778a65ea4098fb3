"""The kernel's own answer about listening ports."""

from __future__ import annotations

import socket
import struct

import pytest

from agent.host.hardware import listening_ports
from agent.host.sockets import HEAD, _read, listening


def test_the_kernel_and_its_tables_say_the_same() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as fourth,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as sixth,
    ):
        wanted = {fourth.getsockname()[1], sixth.getsockname()[1]}

        # Others on this host may open and close ports meanwhile: ours are what must agree.
        assert wanted <= listening()
        assert wanted <= listening_ports()

    assert wanted.isdisjoint(listening())


def test_a_connection_is_no_port_that_listens() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert client.getsockname()[1] not in listening()


def test_two_hundred_ports_come_in_several_parts() -> None:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(200)]

    assert {one.getsockname()[1] for one in servers} <= listening()

    for one in servers:
        one.close()


def test_a_refusal_is_an_error_and_not_an_empty_list() -> None:
    refusal = HEAD.pack(20, 2, 0, 0, 0) + struct.pack("=i", -1)

    with pytest.raises(OSError, match="does not list its sockets"):
        _read(refusal, set())
