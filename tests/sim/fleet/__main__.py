"""`make sim`, `make soak` and `make sim-one`: the last line on standard output is the account."""

from __future__ import annotations

import argparse
import json
import sys
from time import monotonic

from tests.sim.fleet.life import Account, live
from tests.sim.fleet.run import prepare, renderer, run


def main() -> int:
    """Live the lives that were asked for. The exit code is 1 if anything at all was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.fleet")
    parser.add_argument("--seeds", type=int, default=60, help="how many, from 0")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, help="one seed alone, with all that happens in it")
    given = parser.parse_args()
    begun = monotonic()
    if given.seed is not None:
        # One life cannot meet everything.
        account, silent = _one(given.seed), tuple[str, ...]()
    else:
        account = _many(given.first, given.seeds, given.jobs)
        silent = account.silent
    for name in silent:
        _say(f"never happened in any seed: {name}")
    sys.stdout.write(json.dumps(_summary(account, monotonic() - begun)) + "\n")
    return 1 if account.breaches or account.unconverged or silent else 0


def _one(seed: int) -> Account:
    prepare()
    with renderer() as real:
        account = live(seed, real, trace=_say)
    _tell(account)
    return account


def _many(first: int, count: int, jobs: int) -> Account:
    whole = Account()
    for account in run(range(first, first + count), jobs):
        _tell(account)
        whole.add(account)
    return whole


def _tell(account: Account) -> None:
    for what in (*account.breaches, *account.unconverged):
        _say(what)
    for seed in account.bad_seeds:
        _say(f"seed {seed} failed; to see it again: make sim-one SEED={seed}")


def _summary(account: Account, seconds: float) -> dict[str, object]:
    return {
        "seeds": account.seeds,
        "steps": account.steps,
        "passes": account.passes,
        "violations": len(account.breaches),
        "unconverged": len(account.unconverged),
        "double_runs": account.double_runs,
        "overlaps": account.overlaps,
        "seconds": round(seconds, 1),
    }


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
