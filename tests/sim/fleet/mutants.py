"""A promise that nothing breaks proves nothing: each rule is taken away, and must be missed.

`make sim-mutants`: the last line on standard output is {rules, caught}.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager

from reconciler.rendering.port import Renderer
from tests.sim.fleet.life import live
from tests.sim.fleet.rules import RULES, Rule
from tests.sim.fleet.run import prepare, renderer

SEEDS = 200


def main() -> int:
    """Take every rule away in turn. The exit code is 1 if one is not missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.fleet.mutants")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many lives each rule gets")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--rule", help="this one alone")
    given = parser.parse_args()
    rules = [one.name for one in RULES if given.rule in {None, one.name}]
    caught = 0
    for name, found in _all(rules, given.seeds, given.jobs):
        caught += found is not None
        sys.stderr.write(f"without {name}: {found or 'NOT MISSED'}\n")
        sys.stderr.flush()
    sys.stdout.write(json.dumps({"rules": len(rules), "caught": caught}) + "\n")
    return 1 if caught < len(rules) else 0


def missed(rule: Rule, seeds: int, real: Renderer) -> str | None:
    """Live without a rule until a promise misses it, and say which, and where. None: none does.

    The same life with the rule has to keep that promise: else it is not the rule that is missed.
    """
    for seed in range(seeds):
        with without(rule):
            what = _broken(rule, seed, real)
        if what is not None and _broken(rule, seed, real) is None:
            return f"seed {seed}: {what}"
    return None


def _broken(rule: Rule, seed: int, real: Renderer) -> str | None:
    """Say what the promises that miss a rule have to say of a life; None: nothing."""
    account = live(seed, real, only=rule.faults)
    told = (*account.breaches, *account.unconverged)
    return next((what for what in told if what.partition(" ")[0] in rule.seen), None)


@contextmanager
def without(rule: Rule) -> Iterator[None]:
    """Let the world be without a rule for a while."""
    before = [(change, getattr(change.place, change.name)) for change in rule.changes]
    for change in rule.changes:
        setattr(change.place, change.name, change.stand_in)
    try:
        yield
    finally:
        for change, was in before:
            setattr(change.place, change.name, was)


def _all(names: list[str], seeds: int, jobs: int) -> Iterator[tuple[str, str | None]]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=prepare) as pool:
        waiting = {pool.submit(_missed, name, seeds): name for name in names}
        for done in as_completed(waiting):
            yield waiting[done], done.result()


def _missed(name: str, seeds: int) -> str | None:
    rule = next(one for one in RULES if one.name == name)
    with renderer() as real:
        found = missed(rule, seeds, real)
    return found and found.partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
