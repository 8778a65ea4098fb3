"""`miaas serve` as people run it: a process, a bare repository, a socket."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.init import starter
from tests.e2e.web.served import served
from tests.unit.reconciler.cli.fleets import Remote

pytestmark = pytest.mark.e2e

PATIENCE_SECONDS = 60.0


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A work tree of a new fleet."""
    made = tmp_path / "edge"
    for path, content in starter("edge").items():
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_bytes(content)
    return made


@pytest.fixture
def remote(tmp_path: Path, tree: Path) -> Remote:
    """The repository that the tree was pushed to; its node speaks."""
    made = Remote(tmp_path)
    made.push(tree)
    made.speak("node-1")
    return made


@pytest.fixture
def page(remote: Remote, tmp_path: Path) -> Iterator[str]:
    """Where the page is."""
    words = ("serve", "--port", "0", "--desired", remote.url, "--every", "1s")
    with served("reconciler.cli.main", *words, MIAAS_CACHE=str(tmp_path / "cache")) as (url, _):
        eventually(lambda: ask(f"{url}/health")[0] == 200)
        yield url


def ask(url: str, method: str = "GET") -> tuple[int, Any]:
    """Ask for an address: the code, and the text, or its value where it is JSON."""
    request = urllib.request.Request(url, method=method)  # noqa: S310 - our own page
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            text, kind, code = answer.read().decode(), answer.headers["Content-Type"], answer.status
    except urllib.error.HTTPError as error:
        with error:
            text, kind, code = error.read().decode(), error.headers["Content-Type"], error.code
    return code, json.loads(text) if kind == "application/json" else text


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until it is so, with a bound."""
    end = time.monotonic() + PATIENCE_SECONDS
    pause = 0.05
    while not condition():
        assert time.monotonic() < end, "it never became so"
        time.sleep(pause)  # noqa: TID251 - a process of its own has to be waited for


def test_the_page_follows_git_from_commit_to_decision(page: str, remote: Remote) -> None:
    one = f"{page}/api/v1/deployments/hello"

    assert ask(one)[1]["deployment"]["health"]["state"] == "Missing"
    remote.decide()

    eventually(lambda: ask(one)[1]["deployment"]["health"]["state"] == "Progressing")
    assert ask(one)[1]["deployment"]["replicas"][0]["node"] == "node-1"
    assert "hello-0 on " in ask(f"{page}/deployments/hello")[1]


def test_a_broken_file_shows_on_the_page_and_goes_when_it_is_mended(
    page: str, remote: Remote, tree: Path
) -> None:
    file = tree / "deployments" / "hello.yaml"
    good = file.read_text()
    file.write_text(good.replace("template:", "tmplate:"))
    remote.push(tree)
    eventually(lambda: "deployments/hello.yaml:" in ask(f"{page}/problems")[1])

    file.write_text(good)
    remote.push(tree)

    eventually(lambda: "Every document is fine" in ask(f"{page}/problems")[1])


def test_when_git_goes_away_the_page_stays_and_says_that_it_is_old(
    page: str, remote: Remote
) -> None:
    Path(remote.url).rename(f"{remote.url}.away")

    eventually(lambda: ask(f"{page}/health")[0] == 503)
    code, text = ask(f"{page}/")
    assert code == 200
    assert "This may be old." in text
    assert "node-1" in text

    Path(f"{remote.url}.away").rename(remote.url)
    eventually(lambda: ask(f"{page}/health")[0] == 200)


def test_writing_is_refused_on_the_wire(page: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        code, body = ask(f"{page}/api/v1/nodes", method)
        assert code == 405
        assert "make a pull request" in body["error"]


def test_many_readers_at_once_all_get_whole_answers(page: str) -> None:
    with ThreadPoolExecutor(16) as readers:
        answers = list(readers.map(lambda _: ask(f"{page}/api/v1/nodes"), range(200)))

    assert {code for code, _ in answers} == {200}
    assert all([n["name"] for n in body["nodes"]] == ["node-1"] for _, body in answers)


def test_before_git_answers_the_page_listens_and_says_why(tmp_path: Path) -> None:
    words = ("serve", "--port", "0", "--desired", str(tmp_path / "none.git"), "--every", "1s")
    cache = str(tmp_path / "cache")

    with served("reconciler.cli.main", *words, MIAAS_CACHE=cache) as (url, _):
        eventually(lambda: "none.git" in ask(f"{url}/")[1])
        assert ask(f"{url}/health") == (503, ask(f"{url}/health")[1])
        assert ask(f"{url}/api/v1/nodes")[0] == 503


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told_without_a_traceback(
    remote: Remote, tmp_path: Path, ending: signal.Signals
) -> None:
    words = ("serve", "--port", "0", "--desired", remote.url)

    with served("reconciler.cli.main", *words, MIAAS_CACHE=str(tmp_path / "c")) as (_, process):
        process.send_signal(ending)
        _, said = process.communicate(timeout=20)

    assert process.returncode == 0
    assert "Traceback" not in said


def test_a_port_that_is_taken_is_said_in_one_line(
    page: str, remote: Remote, tmp_path: Path
) -> None:
    port = page.rpartition(":")[2]
    words = ("serve", "--port", port, "--desired", remote.url)
    second = served("reconciler.cli.main", *words, MIAAS_CACHE=str(tmp_path / "c"))

    with pytest.raises(AssertionError, match=r"cannot listen on 127\.0\.0\.1:\d+: Address"), second:
        pass
