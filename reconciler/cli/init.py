"""`miaas init`: a fleet repository that is ready to push."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

from reconciler.cli.codes import Code, UsageError
from reconciler.cli.terminal import Terminal
from schemas.names import NAME_RULE, is_name

# Where each file of the starter goes. Names without a leading dot keep packaging tools honest.
_FILES: Final = {
    "fleet.yaml": "fleet.yaml",
    "hello.yaml": "deployments/hello.yaml",
    "node-1.yaml": "nodes/node-1.yaml",
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "validate.yaml": ".github/workflows/validate.yaml",
}
_SCHEMAS: Final = ("deployment", "fleet", "node", "template")
_NAME_MAX: Final = 40


def run(arguments: argparse.Namespace, terminal: Terminal, _environ: Mapping[str, str]) -> Code:
    """Write a new fleet repository and say what to do next. Nothing that exists is touched."""
    folder = Path(arguments.dir)
    files = starter(_fleet_name(arguments.name, folder))
    there = [path for path in files if (folder / path).exists()]
    if there:
        raise UsageError(f"{folder / there[0]} exists already, and nothing is overwritten")
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
        terminal.say(f"  {folder / path}")
    terminal.write(_next_steps(arguments.dir))
    return Code.FINE


def starter(fleet: str) -> Mapping[str, bytes]:
    """The files of a new fleet repository, by path."""
    texts = resources.files("reconciler.cli") / "starter"
    schemas = resources.files("schemas")
    files = {
        path: (texts / name).read_text(encoding="utf-8").replace("@FLEET@", fleet).encode()
        for name, path in _FILES.items()
    }
    published = {
        f".schemas/{name}.schema.json": (schemas / f"{name}.schema.json").read_bytes()
        for name in _SCHEMAS
    }
    return {**files, **published}


def _fleet_name(asked: str | None, folder: Path) -> str:
    if asked is not None and not is_name(asked):
        raise UsageError(f"{asked!r} cannot be the name of a fleet: use {NAME_RULE}")
    plain = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower())[:_NAME_MAX].strip("-")
    return asked or plain or "fleet"


def _next_steps(folder: str) -> str:
    go = "" if folder == "." else f"  cd {shlex.quote(folder)}\n"
    return f"""
Next:
{go}  miaas validate                        # every document is fine
  git init -b main && git add -A && git commit -m "A new fleet"
  git remote add origin URL && git push -u origin main
Then, with the same URL, where the fleet is run from:
  miaas-reconciler run --desired URL --state URL
and on each host, with the name of its file in nodes/:
  miaas-agent run --node node-1 --state-url URL
Watch it:
  miaas status
"""
