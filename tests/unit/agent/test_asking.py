"""Probes over real sockets of this machine."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from agent.asking import Asker, Question, ask_all
from agent.probe_watch import ProbeWatch
from agent.probing import Phase, Standing, Watched
from schemas.probes import Probe, ProbeKind

Talk = Callable[[socket.socket], object]
TCP = ProbeKind.TCP


@contextlib.contextmanager
def served(talk: Talk, *, ending: threading.Event | None = None) -> Iterator[int]:
    """A port whose every connection is treated so, and then closed."""
    over = ending or threading.Event()
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = listener.accept()
                threading.Thread(target=treat, args=(link,), daemon=True).start()

    def treat(link: socket.socket) -> None:
        with contextlib.suppress(OSError), link:
            talk(link)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def answering(*pieces: bytes) -> Talk:
    def talk(link: socket.socket) -> None:
        link.recv(65536)
        for piece in pieces:
            link.sendall(piece)

    return talk


def question(port: int, kind: ProbeKind = ProbeKind.HTTP, **more: int) -> Question:
    return Question(probe=Probe(name="p", port="http", kind=kind, path="/ready", **more), port=port)


def ask(port: int, kind: ProbeKind = ProbeKind.HTTP) -> str:
    return next(iter(ask_all((question(port, kind, timeout_seconds=1),)).values()))


@pytest.mark.parametrize(
    ("pieces", "answer"),
    [
        pytest.param((b"HTTP/1.1 200 OK\r\n\r\n",), "", id="ok"),
        pytest.param((b"HTTP/1.0 204 No Content\r\n\r\n",), "", id="1.0"),
        pytest.param((b"HTTP/1.1 302 Found\r\n\r\n",), "", id="redirect"),
        pytest.param((b"HTT", b"P/1.1 2", b"00 OK\r", b"\n\r\n"), "", id="in pieces"),
        pytest.param((b"HTTP/1.1 200\r\n\r\n",), "", id="no phrase"),
        pytest.param((b"HTTP/1.1 503 Busy\r\n\r\n",), "answered 503", id="busy"),
        pytest.param((b"HTTP/1.1 404 Not Found\r\n\r\n",), "answered 404", id="no such path"),
        pytest.param((b"SSH-2.0-OpenSSH\r\n",), "answered with no HTTP", id="ssh"),
        pytest.param((b"\x00" * 9000,), "answered with no HTTP", id="rubbish"),
        pytest.param((b"HTTP/1.1 2",), "answered with no HTTP", id="broken off"),
        pytest.param((), "closed without an answer", id="nothing"),
    ],
)
def test_http_answers(pieces: tuple[bytes, ...], answer: str) -> None:
    with served(answering(*pieces)) as port:
        assert ask(port) == answer


def test_what_is_asked() -> None:
    heard: list[bytes] = []

    def talk(link: socket.socket) -> None:
        heard.append(link.recv(65536))
        link.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    with served(talk) as port:
        ask(port)

    head, *lines = heard[0].decode().split("\r\n")
    assert head == "GET /ready HTTP/1.1"
    assert f"Host: 127.0.0.1:{port}" in lines
    assert "Connection: close" in lines


def test_nobody_listens() -> None:
    with served(answering()) as port:
        pass

    assert ask(port) == "refused"
    assert ask(port, TCP) == "refused"


def test_silence_is_bounded() -> None:
    over = threading.Event()
    with served(lambda _link: over.wait(30), ending=over) as port:
        assert ask(port) == "not answered within 1 s"


def test_a_connection_that_is_held_is_well() -> None:
    over = threading.Event()
    with served(lambda _link: over.wait(30), ending=over) as port:
        assert ask(port, TCP) == ""


def test_a_server_that_speaks_first_is_well() -> None:
    over = threading.Event()

    def talk(link: socket.socket) -> None:
        link.sendall(b"hello")
        over.wait(30)

    with served(talk, ending=over) as port:
        assert ask(port, TCP) == ""


def test_a_proxy_with_nobody_behind_it_is_not_well() -> None:
    with served(lambda _link: None) as port:
        assert ask(port, TCP) == "accepted and closed at once"


def test_two_hundred_are_asked_side_by_side() -> None:
    gate = threading.Barrier(200)

    def talk(link: socket.socket) -> None:
        link.recv(65536)
        gate.wait(30)  # nobody is answered before everybody has asked
        link.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    with served(talk) as port:
        probes = [Probe(name=f"p{n}", port="http", timeout_seconds=30) for n in range(200)]
        answers = ask_all(Question(probe=probe, port=port) for probe in probes)

    assert set(answers.values()) == {""}
    assert len(answers) == 200


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """Have the kernel give out no further file descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_question_for_which_no_socket_is_left_is_answered_with_that() -> None:
    asker = Asker()
    with no_descriptors():
        asker.start(question(9))

    assert asker.is_busy
    assert asker.gather(1.0) == {question(9): "not possible: Too many open files"}
    asker.close()


def a_watched(port: int, run: str = "1") -> Watched:
    probe = Probe(name="http", port="http", interval_seconds=1, failure_threshold=1)
    return Watched(replica="chat-0", probe=probe, port=port, run=run)


@pytest.fixture
def turned() -> threading.Event:
    return threading.Event()


@pytest.fixture
def probes(turned: threading.Event) -> Iterator[ProbeWatch]:
    """A watch whose clock runs a hundred times as fast, so that nobody waits for an interval."""
    watch = ProbeWatch(lambda: time.monotonic() * 100, turned.set)
    watch.start()
    yield watch
    watch.stop()
    watch.join(10)


def test_the_agent_is_woken_when_a_probe_turns_and_only_then(
    probes: ProbeWatch, turned: threading.Event
) -> None:
    asked = threading.Semaphore(0)
    status = [200]

    def talk(link: socket.socket) -> None:
        link.recv(65536)
        link.sendall(f"HTTP/1.1 {status[0]} X\r\n\r\n".encode())
        asked.release()

    with served(talk) as port:
        first = probes.attend((a_watched(port),), {})
        assert first["chat-0/http"].phase is Phase.STARTING
        assert turned.wait(10)
        ready = probes.attend((a_watched(port),), {})
        assert ready["chat-0/http"].phase is Phase.READY

        turned.clear()
        for _ in range(2):
            assert asked.acquire(timeout=10)
        assert not turned.is_set()
        assert probes.attend((a_watched(port),), {}) == ready

        status[0] = 503
        assert turned.wait(10)
        failing = probes.attend((a_watched(port),), {})["chat-0/http"]
        assert (failing.phase, failing.answer) == (Phase.FAILING, "answered 503")


def test_another_run_is_asked_at_once_though_the_old_one_is_not_answered(
    probes: ProbeWatch, turned: threading.Event
) -> None:
    over = threading.Event()
    with (
        served(lambda _link: over.wait(30), ending=over) as silent,
        served(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as port,
    ):
        probes.attend((a_watched(silent),), {})
        probes.attend((a_watched(port, run="2"),), {})

        assert turned.wait(4)  # the old one would take five seconds
        assert probes.attend((a_watched(port, run="2"),), {})["chat-0/http"].phase is Phase.READY


def test_what_is_asked_no_longer_is_forgotten(probes: ProbeWatch) -> None:
    with served(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        probes.attend((a_watched(port),), {})

        assert probes.attend((), {}) == {}


def test_a_probe_that_was_ready_stays_so_over_a_restart_of_the_agent(probes: ProbeWatch) -> None:
    known = {"chat-0/http": Standing(run="1", began=0.0, due=1e12, phase=Phase.READY)}

    assert probes.attend((a_watched(9),), known) == known


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_watch_whose_thread_died_tells_nothing_any_longer() -> None:
    over = threading.Event()

    def clock() -> float:
        if over.is_set() and threading.current_thread() is watch:
            raise ValueError("a fault of ours")
        return time.monotonic()

    watch = ProbeWatch(clock, lambda: None)
    watch.start()
    over.set()
    watch.attend((a_watched(9),), {})
    watch.join(10)

    with pytest.raises(AssertionError, match="the thread that asks probes is dead"):
        watch.attend((a_watched(9),), {})


def test_a_watch_that_was_stopped_tells_what_it_found_last(probes: ProbeWatch) -> None:
    known = probes.attend((a_watched(9),), {})
    probes.stop()
    probes.join(10)

    assert probes.attend((a_watched(9),), {}).keys() == known.keys()
