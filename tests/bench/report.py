"""Goals beside figures: the table that `make bench` prints and keeps in docs/performance.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

START = "<!-- figures: written by `make bench`, do not edit -->"
END = "<!-- end of figures -->"


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure to reach. better: which side of `bound` is good. what: in words, with the unit."""

    key: str
    better: Literal["lower", "higher"]
    bound: float
    what: str

    def met(self, figure: float) -> bool:
        """Whether the figure is on the good side of the bound."""
        return figure <= self.bound if self.better == "lower" else figure >= self.bound


GOALS = (
    Goal("commit_to_running_ratio", "lower", 1.25, "commit to running, times the shell loop"),
    Goal("harbormaster_ratio", "higher", 1.0, "docker-harbormaster, times the shell loop"),
    Goal("ansible_pull_ratio", "higher", 1.0, "ansible-pull, times the shell loop"),
    Goal("agent_noop_cpu_ms", "lower", 50, "agent pass without a change, fresh process: CPU ms"),
    Goal("agent_noop_peak_mib", "lower", 22, "the same: peak memory of any one process, MiB"),
    Goal("agent_200_noop_cpu_ms", "lower", 150, "the same on a node with 200 deployments: CPU ms"),
    Goal("agent_idle_core_percent", "lower", 0.2, "`miaas-agent run` at rest: % of a core"),
    Goal("agent_idle_mib", "lower", 40, "the same: memory of all its processes, MiB"),
    Goal(
        "state_repo_mib_after_week", "lower", 50, "50 nodes for a week, beat each 30 s: state MiB"
    ),
    Goal(
        "placements_per_s", "higher", 50_000, "10,000 nodes, 100,000 replicas: placements a second"
    ),
    Goal("openb_tasks_per_s", "higher", 3_000, "production GPU trace: tasks a second"),
    Goal("openb_stream_percent", "higher", 95.2, "the same, in order of arrival: GPU allocation %"),
    Goal("openb_batch_percent", "higher", 96.0, "the same, known at once: GPU allocation %"),
    Goal("plan_500_nodes_cold_s", "lower", 2.0, "500 nodes, 5,000 replicas: first plan, s"),
    Goal("plan_500_nodes_change_ms", "lower", 150, "the same, one deployment changed: plan, ms"),
)


def table(figures: Mapping[str, float]) -> str:
    """Lay goals and figures out as a Markdown table; a goal without a figure says so."""
    rows = ["| what | goal | figure | |", "|---|---|---|---|"]
    for goal in GOALS:
        sign = "<=" if goal.better == "lower" else ">="
        figure = figures.get(goal.key)
        shown = "not measured" if figure is None else _shown(figure)
        mark = "" if figure is None else ("met" if goal.met(figure) else "**missed**")
        rows.append(f"| {goal.what} | {sign} {goal.bound:,g} | {shown} | {mark} |")
    return "\n".join(rows)


def _shown(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 1000 else f"{figure:.4g}"


def merge(file: Path, figures: Mapping[str, float]) -> dict[str, float]:
    """Add figures to build/bench.json, keep the others, and give back the whole."""
    known: dict[str, float] = {}
    if file.exists():
        known = json.loads(file.read_text(encoding="utf-8"))
    known.update(figures)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return known


def replace_table(page: str, new: str) -> str:
    """Put the table between the two marks of a page.

    Raises:
        ValueError: the page has no such marks.
    """
    before, found, rest = page.partition(START)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        raise ValueError(f"the page lacks {START!r} and {END!r}")
    return f"{before}{START}\n{new}\n{END}{after}"
