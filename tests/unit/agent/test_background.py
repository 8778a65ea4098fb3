"""Pulls beside the passes."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from agent.background import BackgroundPulls
from agent.perform import StillPullingError
from agent.runtime.port import Project, RuntimeFailedError
from agent.runtime.simulated import SimulatedRuntime

PROJECT = Project(name="p", folder=Path("/f"), overlay=Path("/o"))
BOUND_SECONDS = 10.0


class SlowRuntime(SimulatedRuntime):
    """Pulls only when it may, and then says what it was told to say."""

    def __init__(self, error: RuntimeFailedError | None = None) -> None:
        super().__init__()
        self.may_end = threading.Event()
        self.pulls = 0
        self._error = error

    def pull(self, project: Project) -> None:
        assert project == PROJECT
        self.pulls += 1
        assert self.may_end.wait(BOUND_SECONDS)
        if self._error:
            raise self._error


def test_a_pull_that_takes_long_is_asked_for_again_and_made_once() -> None:
    runtime, ended = SlowRuntime(), threading.Event()
    pulls = BackgroundPulls(runtime, ended.set, patience_seconds=0.0)

    for _ in range(3):
        with pytest.raises(StillPullingError):
            pulls.pull(PROJECT)
    runtime.may_end.set()
    assert ended.wait(BOUND_SECONDS)
    pulls.pull(PROJECT)

    assert runtime.pulls == 1


def test_a_pull_that_is_quick_makes_nobody_wait() -> None:
    runtime = SlowRuntime()
    runtime.may_end.set()

    BackgroundPulls(runtime, lambda: None, patience_seconds=BOUND_SECONDS).pull(PROJECT)

    assert runtime.pulls == 1


def test_how_a_pull_ended_is_told_once_and_then_it_is_tried_anew() -> None:
    runtime, ended = SlowRuntime(RuntimeFailedError("no such image")), threading.Event()
    pulls = BackgroundPulls(runtime, ended.set, patience_seconds=0.0)
    with pytest.raises(StillPullingError):
        pulls.pull(PROJECT)
    runtime.may_end.set()
    assert ended.wait(BOUND_SECONDS)

    with pytest.raises(RuntimeFailedError, match="no such image"):
        pulls.pull(PROJECT)

    pulls = BackgroundPulls(runtime, ended.set, patience_seconds=BOUND_SECONDS)
    with pytest.raises(RuntimeFailedError, match="no such image"):
        pulls.pull(PROJECT)
    assert runtime.pulls == 2
