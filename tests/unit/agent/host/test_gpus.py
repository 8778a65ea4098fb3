"""The true binding over a library that stands for many machines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.host.cards import Card, Holder, Reading, dump_reading, parse_reading
from agent.host.gpus import GpuReader, HostMemory, foreign_mib, nvidia_cards, reports
from schemas.heartbeat import GpuReport
from schemas.names import GpuUuid
from tests.unit.agent.host.conftest import Machine, a_root

NOBODY: frozenset[int] = frozenset()
SHARED = HostMemory(total_mib=122_000, foreign_mib=4_000)
SOFTWARE = "driver 570.86.15\ncuda 12080\n"
H100 = """gpu GPU-{0} NVIDIA_H100_80GB_HBM3
total 81559
used 4
reserved 600
utilisation 7
celsius 33
milliwatts 71600
major 9
minor 0
"""
A_CARD = GpuReport(
    uuid=GpuUuid("GPU-a"),
    index=0,
    vendor="nvidia",
    model="NVIDIA H100 80GB HBM3",
    memory_mib=81_559,
    foreign_mib=604,
    used_mib=4,
    compute_capability=(9, 0),
    driver=(570, 86, 15),
    cuda=(12, 8),
    utilisation_percent=7,
    temperature_c=33,
    power_w=72,
)


def h100(name: str = "a", more: str = "") -> str:
    return H100.format(name) + more


def gpus(reader: GpuReader, ours: frozenset[int] = NOBODY) -> tuple[GpuReport, ...]:
    return reports(reader.read(), ours, SHARED)


def test_one_card_is_told_whole(machine: Machine) -> None:
    reader = machine(SOFTWARE + h100())

    assert gpus(reader) == (A_CARD,)
    assert reader.read().problems == ()


def test_no_card_is_no_error(machine: Machine) -> None:
    assert machine(SOFTWARE).read() == Reading(driver=(570, 86, 15), cuda=(12, 8))


def test_eight_equal_cards_come_in_order(machine: Machine) -> None:
    found = gpus(machine(SOFTWARE + "".join(h100(name) for name in "hgfedcba")))

    assert [gpu.index for gpu in found] == list(range(8))
    assert [gpu.uuid for gpu in found] == [f"GPU-{name}" for name in "hgfedcba"]


def test_mixed_models_each_keep_their_own(machine: Machine) -> None:
    small = "gpu GPU-t Tesla_T4\ntotal 15360\nmajor 7\nminor 5\n"

    found = gpus(machine(SOFTWARE + h100() + small))

    assert [(gpu.model, gpu.memory_mib, gpu.compute_capability) for gpu in found] == [
        ("NVIDIA H100 80GB HBM3", 81_559, (9, 0)),
        ("Tesla T4", 15_360, (7, 5)),
    ]


MIG = """mig MIG-1 NVIDIA_H100_80GB_HBM3_MIG_1g.10gb
total 9856
used 12
process 77 12
hole
mig MIG-2 NVIDIA_H100_80GB_HBM3_MIG_2g.20gb
total 19968
"""


def test_mig_instances_stand_for_their_card_and_holes_are_skipped(machine: Machine) -> None:
    found = gpus(machine(SOFTWARE + h100("a", MIG) + h100("b")), frozenset({77}))

    shape = replace(A_CARD, parent="GPU-a", utilisation_percent=None)
    assert found == (
        replace(
            shape,
            uuid=GpuUuid("MIG-1"),
            model="NVIDIA H100 80GB HBM3 MIG 1g.10gb",
            memory_mib=9_856,
            used_mib=12,
            foreign_mib=0,
        ),
        replace(
            shape,
            uuid=GpuUuid("MIG-2"),
            model="NVIDIA H100 80GB HBM3 MIG 2g.20gb",
            memory_mib=19_968,
            used_mib=0,
            foreign_mib=0,
        ),
        replace(A_CARD, uuid=GpuUuid("GPU-b"), index=1),
    )


def test_a_card_with_mig_on_and_no_instance_cannot_be_used(machine: Machine) -> None:
    (gpu,) = gpus(machine(SOFTWARE + h100("a", "hole\n")))

    assert gpu.uuid == "GPU-a"
    assert "MIG is on and has no instances" in gpu.sickness


@pytest.mark.parametrize(
    ("trouble", "sickness"),
    [
        pytest.param("uncorrected 3", "3 memory errors that ECC could not correct", id="ECC"),
        pytest.param("pending 1", "pending remap", id="remap pending"),
        pytest.param("failed 1", "could not be replaced", id="remap failed"),
        pytest.param("retired 1", "pending retirement", id="page retirement"),
        pytest.param("recovery 1", "asks for a reset", id="reset"),
        pytest.param("recovery 4", "drain and reset", id="drain"),
        pytest.param("recovery 99", "recovery action 99", id="unknown action"),
        pytest.param("fail nvmlDeviceGetMemoryInfo_v2 15", "lost", id="lost at memory"),
        pytest.param("fail nvmlDeviceGetRemappedRows 15", "lost", id="lost late"),
        pytest.param("fail nvmlDeviceGetPowerUsage 16", "needs a reset", id="reset required"),
        pytest.param("fail nvmlDeviceGetTemperature 14", "configuration store", id="inforom"),
    ],
)
def test_a_card_in_trouble_is_sick_and_the_others_are_well(
    machine: Machine, trouble: str, sickness: str
) -> None:
    bad, good = gpus(machine(SOFTWARE + h100("bad", f"{trouble}\n") + h100("good")))

    assert bad.uuid == "GPU-bad"
    assert sickness in bad.sickness
    assert good == replace(A_CARD, uuid=GpuUuid("GPU-good"), index=1)


def test_the_instances_of_a_sick_card_are_sick(machine: Machine) -> None:
    found = gpus(machine(SOFTWARE + h100("a", "pending 1\n" + MIG)))

    assert [gpu.uuid for gpu in found if "pending remap" in gpu.sickness] == ["MIG-1", "MIG-2"]


@pytest.mark.parametrize("call", ["nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetUUID"])
def test_a_lost_card_without_a_name_is_a_problem(machine: Machine, call: str) -> None:
    reader = machine(SOFTWARE + h100("bad", f"fail {call} 15\n") + h100("good"))

    assert [gpu.uuid for gpu in gpus(reader)] == ["GPU-good"]
    (problem,) = reader.read().problems
    assert problem.startswith("GPU 0 cannot be asked for its name: lost")


OPTIONAL = [
    "nvmlDeviceGetUtilizationRates",
    "nvmlDeviceGetTemperature",
    "nvmlDeviceGetPowerUsage",
    "nvmlDeviceGetComputeRunningProcesses_v3",
    "nvmlDeviceGetGraphicsRunningProcesses_v3",
    "nvmlDeviceGetTotalEccErrors",
    "nvmlDeviceGetRemappedRows",
    "nvmlDeviceGetRetiredPagesPendingStatus",
    "nvmlDeviceGetFieldValues",
    "nvmlDeviceGetMigMode",
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetCurrentClocksThrottleReasons",
]


@pytest.mark.parametrize("code", [3, 4, 13, 999])
def test_a_plain_card_that_can_do_little_is_well(machine: Machine, code: int) -> None:
    unable = "".join(f"fail {call} {code}\n" for call in OPTIONAL)

    (gpu,) = gpus(machine(SOFTWARE + h100("a", unable)))

    unknown = replace(A_CARD, utilisation_percent=None, temperature_c=None, power_w=None)
    assert gpu == unknown


def test_an_old_driver_counts_what_it_reserves_as_used(machine: Machine) -> None:
    (gpu,) = gpus(machine(SOFTWARE + h100("a", "fail nvmlDeviceGetMemoryInfo_v2 13\n")))

    assert (gpu.memory_mib, gpu.used_mib, gpu.foreign_mib) == (81_559, 604, 604)


def test_a_card_without_memory_of_its_own_shares_the_hosts(machine: Machine) -> None:
    unified = (
        "gpu GPU-gb NVIDIA_GB10\nmajor 12\nminor 1\nprocess 5 300\n"
        "fail nvmlDeviceGetMemoryInfo_v2 3\nfail nvmlDeviceGetMemoryInfo 3\n"
    )

    (gpu,) = gpus(machine(SOFTWARE + unified))

    assert (gpu.memory_mib, gpu.foreign_mib, gpu.used_mib) == (122_000, 4_000, 300)
    assert gpu.sickness == ""


def test_processes_that_are_not_ours_are_foreign(machine: Machine) -> None:
    held = "used 31000\nprocess 10 20000\nprocess 11 10000\ndrawing 12 996\n"

    (gpu,) = gpus(machine(SOFTWARE + h100("a", held)), frozenset({10}))

    assert (gpu.used_mib, gpu.foreign_mib) == (31_000, 600 + 11_000)


def test_a_process_that_computes_and_draws_counts_once(machine: Machine) -> None:
    held = "used 500\nprocess 10 500\ndrawing 10 200\n"

    (card,) = machine(SOFTWARE + h100("a", held)).read().cards

    assert card.holders == (Holder(pid=10, mib=500),)


@pytest.mark.parametrize(
    ("bits", "told"),
    [
        pytest.param(0x0, (), id="nothing"),
        pytest.param(0x1, (), id="idle"),
        pytest.param(0x2 | 0x10 | 0x100, (), id="clocks that somebody chose"),
        pytest.param(0x4, ("power limit",), id="power limit"),
        pytest.param(0x8, ("hardware slowdown",), id="hardware"),
        pytest.param(0x20, ("heat",), id="heat, by software"),
        pytest.param(0x40, ("heat",), id="heat, by hardware"),
        pytest.param(0x20 | 0x40, ("heat",), id="heat, told once"),
        pytest.param(0x80, ("power brake",), id="power brake"),
        pytest.param(0x400, ("reliability",), id="reliability"),
        pytest.param(
            0x1FF | 0x400,
            ("hardware slowdown", "heat", "power brake", "power limit", "reliability"),
            id="all at once",
        ),
        pytest.param(1 << 40, (), id="a bit of a later driver"),
    ],
)
def test_what_slows_a_card_down_is_told(machine: Machine, bits: int, told: tuple[str, ...]) -> None:
    (gpu,) = gpus(machine(SOFTWARE + h100("a", f"clocks {bits}\n")))

    assert gpu == replace(A_CARD, throttles=told)


@pytest.mark.parametrize("code", [3, 13], ids=["not supported", "function not found"])
def test_an_old_driver_is_asked_by_the_older_name(machine: Machine, code: int) -> None:
    old = f"clocks 4\nfail nvmlDeviceGetCurrentClocksEventReasons {code}\n"

    assert gpus(machine(SOFTWARE + h100("a", old)))[0].throttles == ("power limit",)


@pytest.mark.parametrize(
    ("holders", "foreign"),
    [
        pytest.param((), 1000, id="nobody admits to it"),
        pytest.param(((1, 1000),), 0, id="all ours"),
        pytest.param(((2, 1000),), 1000, id="all foreign"),
        pytest.param(((1, 400), (2, 500)), 600, id="both, and 100 unseen"),
        pytest.param(((1, 1200),), 0, id="ours above what is used"),
        pytest.param(((1, None),), 0, id="ours, untold, alone"),
        pytest.param(((1, None), (2, 300)), 300, id="ours untold, others told"),
        pytest.param(((1, None), (2, None)), 1000, id="nobody told: all foreign to be safe"),
        pytest.param(((1, 400), (2, None)), 600, id="others untold"),
        pytest.param(((1, None), (2, 5000)), 1000, id="others above what is used"),
    ],
)
def test_what_of_a_card_is_foreign(
    holders: tuple[tuple[int, int | None], ...], foreign: int
) -> None:
    card = Card(
        uuid="GPU-a",
        index=0,
        model="x",
        total_mib=8000,
        used_mib=1000,
        reserved_mib=50,
        holders=tuple(Holder(pid=pid, mib=mib) for pid, mib in holders),
    )

    assert foreign_mib(card, frozenset({1})) == 50 + foreign


@given(
    st.lists(st.tuples(st.integers(1, 6), st.none() | st.integers(0, 3000)), max_size=6),
    st.frozensets(st.integers(1, 6)),
    st.integers(0, 3000),
)
def test_foreign_memory_is_never_more_than_is_used(
    holders: list[tuple[int, int | None]], ours: frozenset[int], used: int
) -> None:
    held = tuple(Holder(pid=pid, mib=mib) for pid, mib in holders)
    card = Card(uuid="GPU-a", index=0, model="x", total_mib=3000, used_mib=used, holders=held)

    assert 0 <= foreign_mib(card, ours) <= used
    assert foreign_mib(card, frozenset()) == used


@pytest.mark.parametrize(
    ("code", "words"),
    [
        pytest.param(18, "the driver was updated: reboot the host", id="mismatch"),
        pytest.param(4, "let the agent read /dev/nvidia", id="permission"),
        pytest.param(999, "run `nvidia-smi` on the host", id="unknown"),
    ],
)
def test_a_driver_that_does_not_work_is_a_problem(machine: Machine, code: int, words: str) -> None:
    (problem,) = machine(f"fail nvmlInitWithFlags {code}\n").read().problems

    assert problem.startswith("the NVIDIA driver does not work: ")
    assert words in problem


def test_cards_that_cannot_be_listed_are_a_problem(machine: Machine) -> None:
    (problem,) = machine(f"fail nvmlDeviceGetCount_v2 999\n{h100()}").read().problems

    assert problem.startswith("the GPUs cannot be listed")


def test_a_driver_that_hangs_is_given_up(machine: Machine) -> None:
    reader = machine(SOFTWARE + h100() + "hang nvmlDeviceGetPowerUsage\n", seconds=0.5)

    (problem,) = reader.read().problems

    pid = int(problem.partition("process ")[2].partition(" ")[0])
    assert problem.startswith("the NVIDIA driver hangs")
    assert not Path(f"/proc/{pid}").exists()


def test_a_library_that_crashes_is_a_problem(machine: Machine) -> None:
    (problem,) = machine(h100("a", "nonsense 1\n")).read().problems

    assert problem == "the GPUs cannot be read: fake_nvml: no such key: nonsense"


def test_a_host_without_nvidia_asks_nobody(tmp_path: Path) -> None:
    reader = GpuReader(root=a_root(tmp_path / "root"), environment={"PATH": "/nonexistent"})

    assert reader.read() == Reading()


def test_a_card_without_a_driver_is_a_problem(tmp_path: Path) -> None:
    # As on a host where the driver was never installed, and also where a real one is.
    (tmp_path / "libnvidia-ml.so.1").write_text("no library")
    root = a_root(tmp_path / "root", cards=2, driver="nouveau")

    (problem,) = (
        GpuReader(root=root, environment={"LD_LIBRARY_PATH": str(tmp_path)}).read().problems
    )

    assert problem.startswith("2 NVIDIA card(s) here and no working driver: ")


def test_a_library_without_cards_is_no_problem(machine: Machine) -> None:
    reading = machine("fail nvmlInitWithFlags 9\n").read()

    assert reading.problems == ()
    assert reading.cards == ()


def test_cards_handed_to_a_virtual_machine_are_not_ours(tmp_path: Path) -> None:
    assert nvidia_cards(a_root(tmp_path / "vm", cards=1, driver="vfio-pci")) == ()
    assert len(nvidia_cards(a_root(tmp_path / "own", cards=2, driver="nvidia"))) == 2


def test_a_reading_survives_its_journey(machine: Machine) -> None:
    reading = machine(SOFTWARE + h100("a", MIG) + h100("b", "process 5 -1\n")).read()

    assert parse_reading(dump_reading(reading)) == reading
    assert reading.cards[-1].holders == (Holder(pid=5, mib=None),)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"cards": 1}', "Segmentation fault"])
def test_what_is_no_reading_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_reading(text)
