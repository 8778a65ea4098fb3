"""Each line was said by a real engine or registry."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.runtime.complaints import KINDS, MAX_LINE, condensed, says_engine_is_down

REGISTRY = 'Error response from daemon: Get "https://registry-1.docker.io/v2/": '
BIND = "driver failed programming external connectivity on endpoint web-1 "


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("Error response from daemon: No such image: own:9", "image not found"),
        (
            "Error response from daemon: manifest for a/b:9 not found: manifest unknown",
            "image not f",
        ),
        (
            "Error response from daemon: pull access denied for own, repository does not exist or "
            "may require 'docker login': denied: requested access to the resource is denied",
            "image not found",
        ),
        (
            "Error response from daemon: unauthorized: incorrect username",
            "the registry refuses this",
        ),
        (
            "Error response from daemon: toomanyrequests: You have reached",
            "the registry refuses more",
        ),
        (f"{REGISTRY}dial tcp: lookup registry-1.docker.io: no such host", "registry unreachable"),
        (f"{REGISTRY}net/http: TLS handshake timeout", "registry unreachable"),
        (f"{REGISTRY}x509: certificate signed by unknown authority", "registry unreachable"),
        (f"{REGISTRY}context deadline exceeded (Client.Timeout exceeded)", "registry unreachable"),
        ("write /var/lib/docker/tmp/x: no space left on device", "no space left"),
        (f"{BIND}(a): Bind for 0.0.0.0:8080 failed: port is already allocated", "port already"),
        (f"{BIND}: listen tcp4 0.0.0.0:22: bind: address already in use", "port already allocated"),
        (
            'Error response from daemon: could not select device driver "nvidia" with [[gpu]]',
            "the engine has no GPU support",
        ),
        ("nvidia-container-cli: device error: GPU-1: unknown device", "the GPU cannot be given"),
        ("exec /bin/app: exec format error", "the image is made for another processor"),
        ("dependency failed to start: container a-1 is unhealthy", "a service that others wait"),
        ('service "a" didn\'t complete successfully: exit 3', "a service that others wait"),
        ("OCI runtime create failed: runc create failed: x", "the container's command"),
        ("validating /x/compose.yaml: services.a.imag false schema", "Compose does not accept"),
        ("network n declared as external, but could not be found", "something declared external"),
        (
            "all predefined address pools have been fully subnetted; pool overlaps",
            "no address range",
        ),
        ('unknown docker command: "docker compose"', "Docker has no Compose plugin"),
        ("docker: 'compose' is not a docker command.", "Docker has no Compose plugin"),
        ("bind source path does not exist: /models", "a bind mount does not fit"),
    ],
)
def test_what_engines_say_gets_a_name_and_a_way_out(line: str, what: str) -> None:
    said = condensed(f" Container web-1 Creating \n{line}\n")

    assert said.startswith(what)
    assert "Fix: " in said
    assert "\n" not in said


def test_progress_and_warnings_are_not_the_reason() -> None:
    stderr = (
        'time="2026" level=warning msg="the attribute `version` is obsolete"\n'
        " Network x_default Created \n"
        "Error response from daemon: something that nobody has seen yet.\n"
        'time="2026" level=warning msg="more"\n\n'
    )

    assert condensed(stderr) == "something that nobody has seen yet"


def test_a_line_that_is_known_wins_over_a_later_one_that_is_not() -> None:
    said = condensed("no space left on device\ncontext canceled\n")

    assert said.startswith("no space left")


@pytest.mark.parametrize("stderr", [" \n", ".", " . \n..."])
def test_silence_is_told(stderr: str) -> None:
    assert condensed(stderr) == "it failed and said nothing"


@given(st.text())
@example(".")
def test_whatever_is_said_stays_one_short_line(stderr: str) -> None:
    said = condensed(stderr)

    assert said
    assert len(said.splitlines()) == 1
    assert len(said) <= MAX_LINE + max(len(kind.what) + len(kind.fix) + 10 for kind in KINDS)


@pytest.mark.parametrize(
    "stderr",
    [
        "failed to connect to the docker API at unix:///x; check if the path is correct",
        "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?",
        "error during connect: Get http://x/_ping: EOF",
    ],
)
def test_an_engine_that_is_down_is_told_by_what_the_client_says(stderr: str) -> None:
    assert says_engine_is_down(stderr)


@pytest.mark.parametrize("stderr", ["Error response from daemon: No such image: own:9", ""])
def test_an_engine_that_refuses_is_not_down(stderr: str) -> None:
    assert not says_engine_is_down(stderr)
