"""NVIDIA's management library, asked once: `python -m agent.host.nvml` prints what it says.

The one door to pynvml. It runs in a process of its own, because a driver in trouble can hang any
of these calls for ever, and because the library stays in memory once it is loaded.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, ParamSpec, TypeVar

import pynvml

from agent.host.cards import Card, Holder, Reading, dump_reading

MIB: Final = 2**20
Answer = TypeVar("Answer")
Question = ParamSpec("Question")

# A card that answers with one of these cannot be used, whatever it was asked.
FATAL: Final = {
    pynvml.NVML_ERROR_GPU_IS_LOST: "lost: it fell off the bus; reboot the host or reseat the card",
    pynvml.NVML_ERROR_RESET_REQUIRED: "needs a reset: `nvidia-smi --gpu-reset`",
    pynvml.NVML_ERROR_CORRUPTED_INFOROM: "its configuration store is damaged",
    pynvml.NVML_ERROR_IRQ_ISSUE: "its interrupts do not arrive; check the host's BIOS",
    pynvml.NVML_ERROR_INSUFFICIENT_POWER: "its power cable does not sit",
}
# The library is there, and nothing for it to manage.
ASLEEP: Final = frozenset(
    {pynvml.NVML_ERROR_DRIVER_NOT_LOADED, pynvml.NVML_ERROR_LIBRARY_NOT_FOUND}
)
# What slows a card down against the will of whoever uses it. That it idles, or that somebody chose
# its clocks, is none of these.
THROTTLES: Final = {
    pynvml.nvmlClocksEventReasonSwPowerCap: "power limit",
    pynvml.nvmlClocksEventReasonHwSlowdown: "hardware slowdown",
    pynvml.nvmlClocksEventReasonSwThermalSlowdown: "heat",
    pynvml.nvmlClocksEventReasonHwThermalSlowdown: "heat",
    pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown: "power brake",
    pynvml.nvmlClocksThrottleReasonReliability: "reliability",
}
INIT_FIXES: Final = {
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "the driver was updated: reboot the host",
    pynvml.NVML_ERROR_NO_PERMISSION: "let the agent read /dev/nvidia*",
}
RECOVERY: Final = {
    pynvml.NVML_GPU_RECOVERY_ACTION_GPU_RESET: "the driver asks for a reset of it",
    pynvml.NVML_GPU_RECOVERY_ACTION_NODE_REBOOT: "the driver asks for a reboot of the host",
    pynvml.NVML_GPU_RECOVERY_ACTION_DRAIN_P2P: "the driver asks to drain it",
    pynvml.NVML_GPU_RECOVERY_ACTION_DRAIN_AND_RESET: "the driver asks to drain and reset it",
    pynvml.NVML_GPU_RECOVERY_ACTION_BUS_RESET: "the driver asks for a reset of its bus",
    pynvml.NVML_GPU_RECOVERY_ACTION_SYSTEM_REBOOT: "the driver asks for a reboot of the host",
}


def read() -> Reading:
    """Ask for everything once. A card in trouble is told as sick and never hides the others."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return _without_library(error)
    try:
        count = pynvml.nvmlDeviceGetCount()
        found = [_at(index) for index in range(count)]
        return Reading(
            cards=tuple(card for cards, _ in found for card in cards),
            driver=_numbers(_or(pynvml.nvmlSystemGetDriverVersion, "")),
            cuda=_cuda(_or(pynvml.nvmlSystemGetCudaDriverVersion_v2, 0)),
            problems=tuple(problem for _, problem in found if problem),
        )
    except pynvml.NVMLError as error:
        return Reading(problems=(f"the GPUs cannot be listed: {error}. Fix: run `nvidia-smi`",))
    finally:
        pynvml.nvmlShutdown()


def main() -> int:
    """Print one reading."""
    sys.stdout.write(dump_reading(read()) + "\n")
    return 0


def _without_library(error: pynvml.NVMLError) -> Reading:
    if error.value in ASLEEP:
        return Reading(asleep=str(error))
    fix = INIT_FIXES.get(error.value, "run `nvidia-smi` on the host")
    return Reading(problems=(f"the NVIDIA driver does not work: {error}. Fix: {fix}",))


def _at(index: int) -> tuple[list[Card], str]:
    """The cards at an index: one, or its MIG instances; and why there is none."""
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        uuid = str(pynvml.nvmlDeviceGetUUID(handle))
    except pynvml.NVMLError as error:
        why = FATAL.get(error.value, str(error))
        return [], f"GPU {index} cannot be asked for its name: {why}"
    card = _card(handle, uuid, index)
    if not _mig_is_on(handle):
        return [card], ""
    instances = [_instance(instance, card) for instance in _instances(handle)]
    if instances:
        return instances, ""
    idle = card.sickness or "MIG is on and has no instances; create some, or turn it off"
    return [_sick(card, idle)], ""


class _Asker:
    """Asks one card, and remembers the first answer that makes the card unusable."""

    def __init__(self) -> None:
        self.sickness = ""

    def ask(
        self,
        default: Answer,
        question: Callable[Question, Answer],
        *args: Question.args,
        **kwargs: Question.kwargs,
    ) -> Answer:
        """The answer; `default` where the card has none: many cards cannot do many things."""
        try:
            return question(*args, **kwargs)
        except pynvml.NVMLError as error:
            self.sickness = self.sickness or FATAL.get(error.value, "")
            return default


def _card(handle: Any, uuid: str, index: int) -> Card:
    asker = _Asker()
    total, used, reserved = asker.ask((None, None, 0), _memory, handle)
    rates = asker.ask(None, pynvml.nvmlDeviceGetUtilizationRates, handle)
    celsius = asker.ask(None, pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU)
    milliwatts = asker.ask(None, pynvml.nvmlDeviceGetPowerUsage, handle)
    card = Card(
        uuid=uuid,
        index=index,
        model=str(asker.ask("", pynvml.nvmlDeviceGetName, handle)),
        total_mib=total,
        used_mib=used,
        reserved_mib=reserved,
        holders=_holders(asker, handle),
        compute_capability=tuple(asker.ask((), pynvml.nvmlDeviceGetCudaComputeCapability, handle)),
        utilisation_percent=None if rates is None else int(rates.gpu),
        temperature_c=celsius,
        power_w=None if milliwatts is None else round(milliwatts / 1000),
        throttles=_throttles(asker, handle),
    )
    return _sick(card, asker.sickness or next(_counted_errors(asker, handle), ""))


def _instance(handle: Any, card: Card) -> Card:
    """A MIG instance. What the driver tells only of the whole card is taken from there."""
    asker = _Asker()
    total, used, reserved = asker.ask((None, None, 0), _memory, handle)
    return Card(
        uuid=str(asker.ask("", pynvml.nvmlDeviceGetUUID, handle)),
        index=card.index,
        model=str(asker.ask("", pynvml.nvmlDeviceGetName, handle)) or f"{card.model} MIG",
        total_mib=total,
        used_mib=used,
        reserved_mib=reserved,
        holders=_holders(asker, handle),
        compute_capability=card.compute_capability,
        sickness=card.sickness or asker.sickness,
        parent=card.uuid,
        temperature_c=card.temperature_c,
        power_w=card.power_w,
        throttles=card.throttles,
    )


def _instances(handle: Any) -> Iterator[Any]:
    """Handles of a card's MIG instances. Places between them may be empty."""
    for place in range(_or(pynvml.nvmlDeviceGetMaxMigDeviceCount, 0, handle)):
        try:
            yield pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place)
        except pynvml.NVMLError:
            continue  # NotFound is a hole; an instance without a handle cannot be given out


def _mig_is_on(handle: Any) -> bool:
    current, _pending = _or(pynvml.nvmlDeviceGetMigMode, (0, 0), handle)
    return bool(current == pynvml.NVML_DEVICE_MIG_ENABLE)


def _memory(handle: Any) -> tuple[int | None, int | None, int]:
    """Total, used and reserved MiB. Old drivers count what they reserve as used.

    Raises:
        NVMLError: it does not say.
    """
    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
    except pynvml.NVMLError as error:
        if error.value in FATAL:
            raise
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        return memory.total // MIB, _up(memory.used), 0
    return memory.total // MIB, _up(memory.used), _up(memory.reserved)


def _throttles(asker: _Asker, handle: Any) -> tuple[str, ...]:
    """What slows a card down. Drivers before 535 know the question by its older name."""
    bits = asker.ask(None, pynvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
    if bits is None:
        bits = asker.ask(0, pynvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
    return tuple(sorted({word for bit, word in THROTTLES.items() if bits & bit}))


def _holders(asker: _Asker, handle: Any) -> tuple[Holder, ...]:
    """All processes with memory on a card. One that computes and draws is listed twice by NVML."""
    held: dict[int, int | None] = {}
    none: list[Any] = []
    for question in (
        pynvml.nvmlDeviceGetComputeRunningProcesses_v3,
        pynvml.nvmlDeviceGetGraphicsRunningProcesses_v3,
        pynvml.nvmlDeviceGetMPSComputeRunningProcesses_v3,
    ):
        for process in asker.ask(none, question, handle):
            amount = process.usedGpuMemory
            mib = None if amount is None else _up(amount)
            known = held.get(process.pid)
            held[process.pid] = mib if known is None else max(known, mib or 0)
    return tuple(Holder(pid=pid, mib=held[pid]) for pid in sorted(held))


def _counted_errors(asker: _Asker, handle: Any) -> Iterator[str]:
    """What the card's own counters say against using it, worst first."""
    action = _recovery_action(asker, handle)
    if action:
        yield RECOVERY.get(action, f"the driver asks for recovery action {action}")
    _, _, pending, failed = asker.ask((0, 0, 0, 0), pynvml.nvmlDeviceGetRemappedRows, handle)
    if failed:
        yield "a broken memory row could not be replaced; exchange the card"
    if pending:
        yield "pending remap of a broken memory row; reset the card"
    if asker.ask(0, pynvml.nvmlDeviceGetRetiredPagesPendingStatus, handle):
        yield "pending retirement of broken memory pages; reset the card"
    errors = asker.ask(
        0,
        pynvml.nvmlDeviceGetTotalEccErrors,
        handle,
        pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
        pynvml.NVML_VOLATILE_ECC,
    )
    if errors:
        yield f"{errors} memory errors that ECC could not correct; reset the card"
    if asker.sickness:
        yield asker.sickness


def _recovery_action(asker: _Asker, handle: Any) -> int:
    fields = (pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION,)
    none: tuple[Any, ...] = ()
    for value in asker.ask(none, pynvml.nvmlDeviceGetFieldValues, handle, fields):
        if value.nvmlReturn == pynvml.NVML_SUCCESS:
            return int(value.value.uiVal)
    return 0


def _sick(card: Card, sickness: str) -> Card:
    return Card(**{name: getattr(card, name) for name in Card.__slots__} | {"sickness": sickness})


def _or(question: Callable[..., Any], default: Any, *args: Any) -> Any:
    try:
        return question(*args)
    except pynvml.NVMLError:
        return default


def _up(amount: int) -> int:
    """Bytes in MiB, rounded up: what is held must never look smaller than it is."""
    return -(-int(amount) // MIB)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _cuda(version: int) -> tuple[int, ...]:
    """12040 is 12.4."""
    return (version // 1000, version % 1000 // 10) if version else ()


if __name__ == "__main__":
    sys.exit(main())
