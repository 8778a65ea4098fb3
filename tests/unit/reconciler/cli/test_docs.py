"""The documentation names everything that there is, and nothing that there is not."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from reconciler.cli.arguments import parser
from reconciler.cli.codes import MEANINGS
from reconciler.web.openapi import openapi
from reconciler.web.views import Health, NodeState, Sync

DOCS = Path(__file__).parents[4] / "docs"
COMMAND_LINE = (DOCS / "command-line.md").read_text()
API = (DOCS / "api.md").read_text()
# Explained where they are first met, or the same for every command.
COMMON = {"--help", "--host", "--port"}
# In a command that a message names.
OF_GIT = {"--allow-empty"}


def commands() -> dict[str, argparse.ArgumentParser]:
    action = next(
        action for action in parser("0")._actions if isinstance(action, argparse._SubParsersAction)
    )
    return dict(action.choices)


@pytest.mark.parametrize("name", commands())
def test_every_command_and_option_is_described(name: str) -> None:
    options = {
        word
        for action in commands()[name]._actions
        for word in action.option_strings
        if word.startswith("--")
    }

    assert f"\n## miaas {name}\n" in COMMAND_LINE
    for option in options - COMMON:
        assert f"`{option}" in COMMAND_LINE or f" {option}" in COMMAND_LINE, option


def test_no_option_is_described_that_there_is_not() -> None:
    known = {w for made in commands().values() for a in made._actions for w in a.option_strings}

    assert set(re.findall(r"(?<![-\w])--[a-z][-a-z]+", COMMAND_LINE)) - OF_GIT <= known


def test_every_exit_code_is_described() -> None:
    for code in MEANINGS:
        assert f"\n| {int(code)} | " in COMMAND_LINE


def test_every_variable_of_the_help_is_described() -> None:
    for name in set(re.findall(r"\bMIAAS_[A-Z_]+", parser("0").format_help())):
        assert name in COMMAND_LINE


def test_every_path_and_state_of_the_api_is_described() -> None:
    for path in openapi("0")["paths"]:
        assert f"`{path}`" in API
    for kind in (Sync, Health, NodeState):
        for state in kind:
            assert f"| `{state}` |" in API
