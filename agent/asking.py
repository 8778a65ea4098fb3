"""Asks the probes' questions over the network: any number side by side, each bounded in time.

One loop over sockets that never wait: 200 replicas need no 200 threads.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.probes import Probe, ProbeKind

# The agent shares the network of its engine, and a published port answers on each address.
HOST: Final = "127.0.0.1"
# Docker's proxy accepts every connection and hangs up at once when nobody is behind it.
HELD_SECONDS: Final = 0.25
HEAD_BYTES: Final = 4096
WELL: Final = range(200, 400)

Ask = Callable[[Iterable["Question"]], Mapping["Question", str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A probe, and the host's port to ask."""

    probe: Probe
    port: int


@dataclass(slots=True)
class _Talk:
    """One question under way. end: when it is over, whatever comes."""

    question: Question
    link: socket.socket
    end: float
    held_until: float | None = None
    heard: bytes = field(default=b"")


class Asker:
    """Questions under way. `start` some, then `gather` answers until nothing is under way."""

    def __init__(self, host: str = HOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._host = host
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._failed: dict[Question, str] = {}

    @property
    def is_busy(self) -> bool:
        """Whether an answer is outstanding."""
        return bool(self._selector.get_map() or self._failed)

    def start(self, question: Question) -> None:
        """Begin to ask. What keeps it from being asked is its answer."""
        try:
            link = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:  # no file descriptors or no memory are left
            self._failed[question] = _refusal(error.errno or 0)
            return
        code = link.connect_ex((self._host, question.port))
        if code not in {0, errno.EINPROGRESS}:
            link.close()
            self._failed[question] = _refusal(code)
            return
        talk = _Talk(question, link, self._clock() + question.probe.timeout_seconds)
        self._selector.register(link, selectors.EVENT_WRITE, talk)

    def gather(self, seconds: float) -> Mapping[Question, str]:
        """Wait for answers, but no longer than this. Empty text: it was answered well."""
        answers, self._failed = self._failed, {}
        patience = 0.0 if answers else max(0.0, min(seconds, self._next_end()))
        for key, _ in self._selector.select(patience):
            answer = self._go_on(key.data)
            if answer is not None:
                answers[key.data.question] = self._ended(key.data, answer)
        now = self._clock()
        for talk in [key.data for key in self._selector.get_map().values()]:
            if talk.held_until is not None and now >= talk.held_until:
                answers[talk.question] = self._ended(talk, "")
            elif now >= talk.end:
                bound = talk.question.probe.timeout_seconds
                answers[talk.question] = self._ended(talk, f"not answered within {bound} s")
        return answers

    def close(self) -> None:
        """Give up what is under way."""
        for key in list(self._selector.get_map().values()):
            self._ended(key.data, "")
        self._selector.close()

    def _next_end(self) -> float:
        ends = (key.data.held_until or key.data.end for key in self._selector.get_map().values())
        return min(ends, default=self._clock()) - self._clock()

    def _go_on(self, talk: _Talk) -> str | None:
        """Do the next step of a talk; its answer, or None while there is none."""
        try:
            if self._selector.get_key(talk.link).events == selectors.EVENT_WRITE:
                return self._connected(talk)
            return _heard(talk)
        except OSError as error:
            return _refusal(error.errno or 0)

    def _connected(self, talk: _Talk) -> str | None:
        code = talk.link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            return _refusal(code)
        if talk.link.getsockname() == talk.link.getpeername():
            return _refusal(errno.ECONNREFUSED)  # nobody listened, and it reached itself
        if talk.question.probe.kind is ProbeKind.HTTP:
            talk.link.sendall(_request(talk.question, self._host))
        else:
            talk.held_until = min(talk.end, self._clock() + HELD_SECONDS)
        self._selector.modify(talk.link, selectors.EVENT_READ, talk)
        return None

    def _ended(self, talk: _Talk, answer: str) -> str:
        self._selector.unregister(talk.link)
        talk.link.close()
        return answer


def ask_all(questions: Iterable[Question]) -> Mapping[Question, str]:
    """Ask side by side and wait for all answers: as long as the slowest may take, and no longer."""
    asker = Asker()
    answers: dict[Question, str] = {}
    try:
        for question in questions:
            asker.start(question)
        while asker.is_busy:
            answers.update(asker.gather(1.0))
    finally:
        asker.close()
    return answers


def answer_well(questions: Iterable[Question]) -> Mapping[Question, str]:
    """Answer for containers that only pretend to run: there is nobody to ask."""
    return dict.fromkeys(questions, "")


def _heard(talk: _Talk) -> str | None:
    piece = talk.link.recv(HEAD_BYTES)
    if talk.question.probe.kind is ProbeKind.TCP:
        return "" if piece else "accepted and closed at once"
    talk.heard += piece
    line, is_whole, _ = talk.heard.partition(b"\r\n")
    if not piece and not is_whole:
        return "closed without an answer" if not talk.heard else "answered with no HTTP"
    if is_whole or len(talk.heard) >= HEAD_BYTES:
        return _status(line)
    return None


def _status(line: bytes) -> str:
    version, _, rest = line.partition(b" ")
    code = rest[:3]
    if not version.startswith(b"HTTP/1.") or not code.isdigit():
        return "answered with no HTTP"
    return "" if int(code) in WELL else f"answered {int(code)}"


def _request(question: Question, host: str) -> bytes:
    lines = (
        f"GET {question.probe.path} HTTP/1.1",
        f"Host: {host}:{question.port}",
        "User-Agent: miaas-agent",
        "Accept: */*",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _refusal(code: int) -> str:
    if code == errno.ECONNREFUSED:
        return "refused"
    if code == errno.ECONNRESET:
        return "closed without an answer"
    return f"not possible: {os.strerror(code)}"
