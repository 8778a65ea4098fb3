"""A preview as a comment for a pull request. Pure."""

from __future__ import annotations

from typing import Final

from reconciler.cli.plan_texts import (
    SIGNS,
    WAITING,
    Previewed,
    deletions,
    diffs,
    problem_lines,
    refusal_lines,
    step_lines,
    summary,
    where_of,
    why,
)
from reconciler.cli.proposal_texts import proposal_markdown
from reconciler.cli.terminal import safe
from reconciler.preview import ReplicaChange
from reconciler.web.words import count

# A comment on a pull request is cut off by forges; 65,536 characters is the least that they take.
_MARKDOWN_MAX: Final = 60_000


def as_markdown(shown: Previewed) -> str:
    """Write a comment for a pull request."""
    parts = [f"### MIaaS plan: {summary(shown.preview)}\n"]
    parts += [f"{_plain(remark)}\n" for remark in shown.remarks]
    if shown.preview.replicas:
        parts.append(_table(shown.preview.replicas))
    if shown.waiting:
        parts.append(f"**{WAITING}**\n\n{_table(shown.waiting)}")
    if shown.steps:
        lines = "".join(f"- {_plain(line)}\n" for line in step_lines(shown))
        parts.append(f"**How it comes in**\n\n{lines}")
    if shown.refusals:
        lines = "".join(f"- {_plain(line)}\n" for line in refusal_lines(shown.refusals))
        parts.append(f"**{count(len(shown.refusals), 'replica')} not placed as asked**\n\n{lines}")
    if shown.preview.problems:
        lines = "".join(f"- {_plain(line)}\n" for line in problem_lines(shown))
        parts.append(f"**To mend first**\n\n{lines}")
    if shown.rebalance:
        parts.append(proposal_markdown(shown.rebalance))
    if shown.with_files:
        parts.extend(
            _folded(change) for change in (*shown.preview.replicas, *shown.waiting) if change.files
        )
    return _bounded("\n".join(parts))


def _table(changes: tuple[ReplicaChange, ...]) -> str:
    rows = "".join(map(_row, changes))
    return f"| | replica | where | why |\n|---|---|---|---|\n{rows}"


def _row(change: ReplicaChange) -> str:
    sign = f"`{SIGNS[change.fate]}`"
    told = "; ".join(filter(None, (_plain(why(change)), *map(_loud, deletions(change)))))
    return f"| {sign} | `{change.replica}` | {where_of(change)} | {told} |\n"


def _loud(text: str) -> str:
    return f"**{_plain(text)}**"


def _plain(text: str) -> str:
    """Keep a text from becoming markup."""
    cleaned = safe(text).strip().replace("\n", " ")
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#@&" else c for c in cleaned)


def _folded(change: ReplicaChange) -> str:
    text = diffs(change)
    fence = "`" * max(3, _longest_run(text) + 1)  # no file may end the block early
    head = f"<details><summary><code>{change.replica}</code></summary>"
    return f"{head}\n\n{fence}diff\n{text}{fence}\n\n</details>\n"


def _longest_run(text: str) -> int:
    longest = current = 0
    for letter in text:
        current = current + 1 if letter == "`" else 0
        longest = max(longest, current)
    return longest


def _bounded(text: str) -> str:
    if len(text) <= _MARKDOWN_MAX:
        return text
    head, folded, _ = text.partition("<details>")
    whole = f"{head[:_MARKDOWN_MAX].rpartition(chr(10))[0] if not folded else head}\n"
    return f"{whole[:_MARKDOWN_MAX]}The rest is too long for a comment: run `miaas plan --diff`.\n"
