"""`make bench`: measure, print goals beside figures, keep docs/performance.md and build/bench.json.

`python -m tests.bench agent` measures only what has that word in its name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from examples.tour.engines import engines_allowed
from tests.bench import agent_idle, agent_many, agent_noop, commit_to_running, placement, state_gc
from tests.bench.report import merge, replace_table, table

PAGE = Path("docs/performance.md")
FIGURES = Path("build/bench.json")
WITH_ENGINES: dict[str, Callable[[], dict[str, float]]] = {
    "agent-noop": agent_noop.measure,
    "agent-idle": agent_idle.measure,
    "agent-many": agent_many.measure,
    "commit-to-running": commit_to_running.measure,
}
WITHOUT: dict[str, Callable[[], dict[str, float]]] = {
    "placement": placement.measure,
    "state-gc": state_gc.measure,
}


def main(words: list[str]) -> int:
    """Measure everything, or what has one of the words in its name."""
    why_not = engines_allowed()
    if why_not:
        print(f"left out {', '.join(WITH_ENGINES)}: {why_not}")
    measures = WITHOUT if why_not else WITH_ENGINES | WITHOUT
    figures: dict[str, float] = {}
    for name, measure in measures.items():
        if not words or any(word in name for word in words):
            print(f"measuring {name} ...", flush=True)
            figures |= measure()
    all_figures = merge(FIGURES, figures)
    shown = table(all_figures)
    PAGE.write_text(replace_table(PAGE.read_text(encoding="utf-8"), shown), encoding="utf-8")
    print(shown)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
