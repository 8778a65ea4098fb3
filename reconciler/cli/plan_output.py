"""A preview in the form that was asked for. Pure."""

from __future__ import annotations

from reconciler.cli.plan_json import as_json
from reconciler.cli.plan_markdown import as_markdown
from reconciler.cli.plan_texts import Previewed, as_text
from reconciler.cli.terminal import Terminal


def written(shown: Previewed, output: str, terminal: Terminal) -> str:
    """Write as `--output` says: text, json or markdown."""
    match output:
        case "json":
            return as_json(shown)
        case "markdown":
            return as_markdown(shown)
        case _:
            return as_text(shown, terminal)
