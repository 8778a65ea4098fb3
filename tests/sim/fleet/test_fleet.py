"""The simulator in the tests: many lives hold, the same seed is the same life, and faults show."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.rendering.pool import BoundedRenderer
from tests.sim.fleet.life import Account
from tests.sim.fleet.mutants import missed
from tests.sim.fleet.rules import RULES, Rule
from tests.sim.fleet.run import renderer, run

ROOT = Path(__file__).parents[3]
SEEDS = 96
# Lives in which a missing rule must show here; `make sim-mutants` gives it more.
TRIES = 60


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


# Those that are missed within so few lives; `make sim-mutants` asks for all of them.
QUICK = {"ancestor check", "compare-and-swap", "masking", "removals", "generations"}
QUICK |= {"holding of what is broken", "deletion guard"}


@pytest.mark.parametrize(
    "rule", [one for one in RULES if one.name in QUICK], ids=lambda rule: rule.name
)
def test_a_rule_that_is_taken_away_is_missed(rule: Rule, real: BoundedRenderer) -> None:
    assert missed(rule, TRIES, real)
