"""What a removal that takes long is told as."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.runtime import docker_removals
from agent.runtime.docker_socket import COMPOSE_PROJECT, DockerSocket
from agent.runtime.port import RuntimeDownError, UnfinishedError

CONTAINER = "f" * 64
PROJECT = "miaas-alpha-chat-0"
VOLUME = f"{PROJECT}_data"


class ScriptedSocket(DockerSocket):
    """Gives no answer to paths that end with one of `silent`, and does all else."""

    def __init__(self, *silent: str) -> None:
        super().__init__(Path("/nowhere"))
        self.asked: list[str] = []
        self._silent = silent

    def ask(
        self, path: str, method: str = "GET", seconds: float | None = None
    ) -> tuple[int, bytes]:
        self.asked.append(f"{method} {path.rpartition('/')[2]}")
        if path.endswith(self._silent):
            raise RuntimeDownError(f"Docker gives no answer within {seconds or 5:g} s")
        if "/volumes?" in path:
            labels = {COMPOSE_PROJECT: PROJECT}
            return 200, json.dumps({"Volumes": [{"Name": VOLUME, "Labels": labels}]}).encode()
        return (200 if method == "GET" else 204), b""


@pytest.mark.parametrize("step", ["/stop", "?force=1"])
def test_a_container_that_takes_long_to_go_says_nothing_about_the_engine(step: str) -> None:
    engine = ScriptedSocket(step)

    with pytest.raises(UnfinishedError, match="ffffffffffff is not gone within 120 s"):
        docker_removals.remove(engine, CONTAINER)

    assert engine.asked[-1] == "GET _ping"


def test_a_volume_that_takes_long_to_go_says_nothing_about_the_engine() -> None:
    engine = ScriptedSocket(f"/{VOLUME}")

    with pytest.raises(UnfinishedError, match=f"{VOLUME} is not gone within 120 s"):
        docker_removals.remove_volumes(engine, PROJECT)

    assert engine.asked[-1] == "GET _ping"


def test_an_engine_that_answers_nothing_at_all_is_down() -> None:
    with pytest.raises(RuntimeDownError):
        docker_removals.remove(ScriptedSocket("/stop", "/_ping"), CONTAINER)
    with pytest.raises(RuntimeDownError):
        docker_removals.remove_volumes(ScriptedSocket(f"/{VOLUME}", "/_ping"), PROJECT)


def test_an_image_is_not_given_up_because_its_removal_takes_long() -> None:
    """Whoever removes images takes a refusal for somebody else's use of them."""
    with pytest.raises(RuntimeDownError):
        docker_removals.remove_image(ScriptedSocket(CONTAINER), CONTAINER)


def test_a_container_that_goes_at_once_costs_no_further_question() -> None:
    engine = ScriptedSocket("/_ping")

    docker_removals.remove(engine, CONTAINER)

    assert engine.asked == ["POST stop", f"DELETE {CONTAINER}?force=1"]
