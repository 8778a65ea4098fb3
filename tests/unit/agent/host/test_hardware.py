from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.host.belongings import Belongings
from agent.host.facts import read_facts
from agent.host.gpus import GpuReader
from agent.host.hardware import (
    Ours,
    addresses,
    architecture,
    existing,
    folders_mib,
    host_report,
    listening_ports,
    machine_name,
)

NOTHING = Belongings()


def test_this_host_is_told_plausibly() -> None:
    report = host_report(Path("/var/lib/docker"), Ours(), NOTHING)

    assert report.os == "linux"
    assert report.kernel == os.uname().release
    assert report.cpu_milli == (os.cpu_count() or 0) * 1000
    assert 0 < report.foreign_memory_mib < report.memory_mib
    assert 0 < report.foreign_disk_mib < report.disk_mib


def test_what_is_ours_is_not_foreign() -> None:
    everything = host_report(Path("/"), Ours(), NOTHING)

    rest = host_report(Path("/"), Ours(image_mib=100), Belongings(memory_mib=10_000_000))

    assert rest.foreign_memory_mib == 0
    assert rest.foreign_disk_mib <= everything.foreign_disk_mib - 50


def test_listening_ports_are_told_less_ours() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as theirs,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as sixth,
        socket.create_server(("127.0.0.1", 0)) as mine,
    ):
        foreign, six, own = (one.getsockname()[1] for one in (theirs, sixth, mine))
        ours = Ours(ports=frozenset({own}), published=frozenset({70}))

        ports = host_report(Path("/"), ours, NOTHING).ports

    assert {foreign, six, 70} <= set(ports)
    assert own not in ports
    assert list(ports) == sorted(ports)


def test_a_connection_is_no_listener() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        ports = listening_ports()

        assert client.getsockname()[1] not in ports
        assert server.getsockname()[1] in ports


def test_a_host_without_ipv6_has_one_table(tmp_path: Path) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/tcp").write_text(
        "  sl  local_address rem_address   st tx_queue\n"
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n"
        "   1: 0100007F:1F91 0100007F:0016 01 00000000:00000000\n"
    )

    assert listening_ports(tmp_path) == {8080}


@pytest.mark.parametrize(
    ("named", "told"),
    [
        pytest.param([("lo", "127.0.0.1"), ("lo", "::1")], (), id="loopback"),
        pytest.param([("lo", "10.1.1.1")], (), id="an address on loopback"),
        pytest.param([("docker0", "172.17.0.1"), ("br-12ab", "172.18.0.1")], (), id="bridges"),
        pytest.param([("veth1@if2", "fe80::1%veth1")], (), id="a container's cable"),
        pytest.param([("eth0", "fe80::1%eth0"), ("eth0", "169.254.1.1")], (), id="link-local"),
        pytest.param(
            [("eth1", "2001:db8::5"), ("eth0", "10.0.0.7"), ("br0", "9.0.0.1")],
            ("9.0.0.1", "10.0.0.7", "2001:db8::5"),
            id="IPv4 first, by number; an operator's own bridge stays",
        ),
        pytest.param([("eth0", "10.0.0.7"), ("eth1", "10.0.0.7")], ("10.0.0.7",), id="twice"),
    ],
)
def test_addresses_are_those_that_others_can_reach(
    named: list[tuple[str, str]], told: tuple[str, ...]
) -> None:
    assert addresses(iter(named)) == told


@given(st.lists(st.tuples(st.sampled_from(["eth0", "lo"]), st.ip_addresses().map(str))))
def test_addresses_do_not_depend_on_order(named: list[tuple[str, str]]) -> None:
    assert addresses(iter(named)) == addresses(iter(reversed(named)))


@pytest.mark.parametrize(
    ("machine", "name"),
    [("x86_64", "amd64"), ("aarch64", "arm64"), ("AMD64", "amd64"), ("riscv64", "riscv64")],
)
def test_processors_are_named_as_container_platforms_do(machine: str, name: str) -> None:
    assert architecture(machine) == name


def test_the_file_system_of_a_folder_to_come_is_that_above_it(tmp_path: Path) -> None:
    assert existing(tmp_path / "docker/data") == tmp_path


def test_folders_are_measured_by_what_they_take(tmp_path: Path) -> None:
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "deep/er/model").write_bytes(os.urandom(3 * 2**20))
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(2**32)
    (tmp_path / "loop").symlink_to(tmp_path)

    assert folders_mib((tmp_path,)) == 3


def test_measuring_ends_after_so_many_entries(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}").write_bytes(os.urandom(2**20))

    assert folders_mib((tmp_path,), most=5) == 5


def test_a_folder_that_is_gone_takes_nothing(tmp_path: Path) -> None:
    assert folders_mib((tmp_path / "gone",)) == 0


def test_one_reading_tells_it_all(tmp_path: Path) -> None:
    facts = read_facts(Path("/var/lib/docker"), Ours(), GpuReader(root=tmp_path))

    assert facts.host.memory_mib > 0
    assert (facts.gpus, facts.problems) == ((), ())


def test_importing_facts_costs_nothing_heavy() -> None:
    program = (
        "import sys, agent.host.facts\n"
        "print(sorted({'psutil', 'pynvml', 'subprocess', 'ctypes'} & set(sys.modules)))"
    )

    answer = subprocess.run(
        [sys.executable, "-S", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )

    assert answer.stdout == "[]\n"


@pytest.mark.parametrize(
    ("text", "is_named"),
    [
        pytest.param("0123456789abcdef0123456789abcdef\n", True, id="an id"),
        pytest.param("\n", False, id="an empty file"),
        pytest.param(None, False, id="no file"),
    ],
)
def test_a_machine_is_named_without_telling_its_id(
    tmp_path: Path, text: str | None, is_named: bool
) -> None:
    place = tmp_path / "machine-id"
    if text is not None:
        place.write_text(text)

    found = machine_name(place)

    assert bool(found) is is_named
    assert not found or found not in str(text)
    assert found == machine_name(place)
