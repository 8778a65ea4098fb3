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
from schemas.layout import ASSIGNMENTS_REF, heartbeat_ref
from schemas.names import NodeName
from tests.sim.fleet.life import Account
from tests.sim.fleet.mutants import missed
from tests.sim.fleet.rules import RULES, Rule
from tests.sim.fleet.run import renderer, run
from tests.sim.fleet.world import World

ROOT = Path(__file__).parents[3]
SEEDS, STEPS = 144, 1_000_000
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
    assert whole.steps >= STEPS
    assert whole.silent == ()


def test_every_effect_is_looked_at_also_in_the_middle_of_a_pass(
    tmp_path: Path, real: BoundedRenderer
) -> None:
    world = World(3, tmp_path, real)
    moved: set[str] = set()

    def look(world: World) -> None:
        if world.acted is None:
            moved.update(one.ref for one in world.moves)

    world.looks.append(look)
    world.run(120.0)

    assert {ASSIGNMENTS_REF, heartbeat_ref(NodeName("n0"))} <= moved
    assert world.steps == world.passes + world.effects > 2 * world.passes


def test_a_seed_lives_the_same_life_in_every_process() -> None:
    program = (
        "from tests.sim.fleet.life import live\n"
        "from tests.sim.fleet.run import prepare, renderer\n"
        "prepare()\n"
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
