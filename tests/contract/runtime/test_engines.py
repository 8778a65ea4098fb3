"""The engines that tests and the tour start: they come alone, and leave nothing behind."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from examples.tour.cables import namespaces_allowed
from examples.tour.engines import Engine, cleanup, engines_allowed, start_engine, stop_engine
from examples.tour.images import busybox, import_image
from examples.tour.leftovers import CGROUPS
from examples.tour.machine import EngineError

pytestmark = pytest.mark.e2e
SERVER = ("httpd", "-f", "-p", "8080", "-h", "/www")


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Path]:
    reason = engines_allowed() or ("" if busybox() else "busybox-static is not installed")
    if reason:
        pytest.skip(reason)
    yield tmp_path
    cleanup(tmp_path)


def traces(engine: Engine) -> list[str]:
    """All that the system still knows of an engine."""
    tag = engine.socket.parent.name
    found = [str(place) for place in CGROUPS.glob(f"**/{tag}") if place.is_dir()]
    found += [line for line in Path("/proc/self/mountinfo").read_text().split() if tag in line]
    found += [str(place) for place in (engine.folder, engine.socket.parent) if place.exists()]
    if engine.cable:
        found += [f"link {engine.cable}"] if Path("/sys/class/net", engine.cable).exists() else []
        found += [engine.namespace] if Path("/run/netns", engine.namespace).exists() else []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found += [process.name] if tag in (process / "cmdline").read_text() else []
        except OSError:
            continue
    return found


def docker(engine: Engine, *arguments: str) -> str:
    answer = subprocess.run(
        ["docker", *arguments],
        env=engine.environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return answer.stdout.strip()


def fetched(engine: Engine) -> str:
    """What a published port answers, asked from the host; empty while it does not."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://{engine.address}:8080/", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def serves_its_name(engine: Engine) -> bool:
    return fetched(engine) == engine.name


def test_two_engines_publish_the_same_port(
    base: Path, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    if not namespaces_allowed():
        pytest.skip("network namespaces are not allowed here")
    engines = [start_engine(name, base) for name in ("one", "two")]

    for engine in engines:
        import_image(engine, "web:1", command=SERVER, files={"www/index.html": engine.name})
        docker(engine, "run", "-d", "-p", "8080:8080", "web:1")

    for engine in engines:
        eventually(functools.partial(serves_its_name, engine))


def test_a_stopped_engine_leaves_nothing_behind(base: Path) -> None:
    engine = start_engine("one", base)
    import_image(engine, "web:1")
    docker(engine, "run", "-d", "web:1")

    stop_engine("one", base)

    assert traces(engine) == []


@pytest.mark.parametrize("harm", [signal.SIGKILL, signal.SIGSTOP])
def test_an_engine_in_trouble_leaves_nothing_behind(base: Path, harm: signal.Signals) -> None:
    engine = start_engine("one", base)
    import_image(engine, "web:1")
    docker(engine, "run", "-d", "web:1")
    os.kill(engine.pid, harm)

    stop_engine("one", base)

    assert traces(engine) == []


def test_engines_of_a_killed_starter_are_found_again(base: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from examples.tour.engines import start_engine\n"
        f"print(start_engine('one', Path({str(base)!r})).socket, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[3]
    dead = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    socket = Path(dead.stdout.strip())

    assert dead.returncode == -signal.SIGKILL
    assert socket.is_socket()
    assert cleanup(base) == ("one",)
    assert not socket.parent.exists()
    assert not (base / "one").exists()


def test_an_engine_that_does_not_come_up_says_why_and_leaves_nothing(base: Path) -> None:
    (base / "one/data").mkdir(parents=True)
    (base / "one/data/network").write_text("in the way\n")

    with pytest.raises(EngineError, match="network"):
        start_engine("one", base)

    assert not (base / "one").exists()


def test_a_second_engine_of_the_same_name_is_refused(base: Path) -> None:
    engine = start_engine("one", base)

    with pytest.raises(EngineError, match="holds an engine already"):
        start_engine("one", base)

    assert docker(engine, "ps", "-q") == ""


def test_stopping_what_is_not_there_is_no_error(base: Path) -> None:
    stop_engine("never", base)

    assert cleanup(base) == ()
