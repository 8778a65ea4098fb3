"""The simulator in the tests: many lives hold, the same seed is the same life, and faults show."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import agent.converge
import agent.intake
import agent.orders
import reconciler.decide
import reconciler.publishing.changes
from agent.converge import Act, Down, acts
from fleet.memory import MemoryServer
from fleet.objects import Object
from fleet.port import RefUpdate
from reconciler.observing.observe import observe
from reconciler.rendering.pool import BoundedRenderer
from schemas.assignment import Assignment
from tests.sim.fleet.life import Account, live
from tests.sim.fleet.run import renderer, run

ROOT = Path(__file__).parents[3]
SEEDS = 24


@pytest.fixture(scope="module")
def real() -> Iterator[BoundedRenderer]:
    with renderer() as made:
        yield made


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A fleet among faults has much to log, and nobody reads it here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_every_promise_holds_in_many_lives_and_every_fault_is_met() -> None:
    whole = Account()
    for account in run(range(SEEDS), jobs=2):
        whole.add(account)

    repeat = [f"make sim-one SEED={seed}" for seed in whole.bad_seeds]
    assert (whole.breaches, whole.unconverged) == ([], []), repeat
    assert whole.seeds == SEEDS
    assert whole.silent == ()


def test_a_seed_lives_the_same_life_in_every_process() -> None:
    program = (
        "from tests.sim.fleet.life import live\n"
        "from tests.sim.fleet.run import be_quiet, renderer\n"
        "be_quiet()\n"
        "with renderer() as real: print(live(5, real).fingerprint)"
    )
    lives = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PATH": os.defpath},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(lives) == 1
    assert lives != {"\n"}


# A promise that nothing breaks proves nothing. Here a rule of the real code is taken away, and the
# simulator has to see it.


def no_doubts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent obeys whatever stands at its ref, older or not."""
    monkeypatch.setattr(agent.intake, "_doubt", lambda *_: None)


def no_expectations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server moves refs wherever they are."""

    def receive(
        self: MemoryServer, updates: tuple[RefUpdate, ...], objects: Mapping[str, Object]
    ) -> None:
        self._move(updates, objects)

    monkeypatch.setattr(MemoryServer, "receive", receive)


def no_removals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent never stops what is no longer assigned."""

    def without_downs(*arguments: Any) -> tuple[Act, ...]:
        return tuple(act for act in acts(*arguments) if not isinstance(act, Down))

    monkeypatch.setattr(agent.orders, "acts", without_downs)


def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent starts what it is told, whoever still holds its GPU."""
    monkeypatch.setattr(agent.converge, "leftovers", lambda *_: {})


def no_generations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reconciler never counts on."""

    def stay(before: Assignment | None, now: Assignment, changed: Any, _lost: int) -> Assignment:
        is_same = before is not None and before == now and not changed
        return before if before is not None and is_same else replace(now, generation=1)

    monkeypatch.setattr(reconciler.publishing.changes, "_next", stay)


def no_holding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reconciler takes away what it cannot understand."""
    monkeypatch.setattr(reconciler.decide, "observe", lambda one: replace(observe(one), held={}))


@pytest.mark.parametrize(
    ("take_away", "faults", "seen"),
    [
        pytest.param(no_doubts, {"state restored"}, {"S4"}, id="the agent's doubts"),
        pytest.param(
            no_expectations,
            {"slow process", "second reconciler"},
            {"S5"},
            id="pushes on an expected parent",
        ),
        pytest.param(no_removals, set[str](), {"L1"}, id="removals"),
        pytest.param(no_waiting, {"removal fails"}, {"S2"}, id="the wait for what is still held"),
        pytest.param(no_generations, {"state restored"}, {"L4"}, id="generations"),
        pytest.param(no_holding, set[str](), {"S11"}, id="the holding of what is broken"),
    ],
)
def test_a_rule_that_is_taken_away_is_missed(
    monkeypatch: pytest.MonkeyPatch,
    real: BoundedRenderer,
    take_away: Callable[[pytest.MonkeyPatch], None],
    faults: set[str],
    seen: set[str],
) -> None:
    take_away(monkeypatch)

    found: set[str] = set()
    for seed in range(20):
        account = live(seed, real, only=frozenset(faults))
        found = {what.partition(" ")[0] for what in (*account.breaches, *account.unconverged)}
        if found & seen:
            break

    assert found & seen
