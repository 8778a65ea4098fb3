"""A rendered compose file cannot take over its host."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.assignment import GpuShare
from schemas.check import schema_named
from schemas.given import Given, given_to
from schemas.names import GpuUuid
from schemas.policy import _REASONS, check, check_replica
from schemas.yaml_text import write_yaml
from tests.builders import an_assigned_replica


def a_file(extra: dict[str, Any] | None = None, **service: Any) -> str:
    """A compose file with one service that is allowed, but for what is given."""
    services = {"web": {"image": "demo/echo:1", **service}}
    return write_yaml({"services": services, "volumes": {"data": None}, **(extra or {})})


def whats(text: str) -> list[str]:
    """What is refused, without places and fixes."""
    return [problem.what for problem in check(text, path="compose.yaml")]


@pytest.mark.parametrize(
    "service",
    [
        {},
        {"command": ["serve", "--price=5$$"], "entrypoint": None},
        {"environment": {"A": "1", "B": 2, "C": True, "D": ""}},
        {"environment": ["A=1", "B=", "C=a=b"]},
        {"env_file": "./a.env"},
        {"env_file": ["a.env", {"path": "./b/c.env", "required": False}]},
        {"ports": ["8080:80", "127.0.0.1:8081:81/tcp", "[::1]:8082:82/udp"]},
        {"ports": [{"target": 80, "published": "8080", "host_ip": "127.0.0.1"}]},
        {"volumes": ["data:/data", "./start.sh:/start.sh:ro", "/cache", ".:/all:ro,z"]},
        {"volumes": [{"type": "volume", "source": "data", "target": "/data"}]},
        {"volumes": [{"type": "bind", "source": "./x", "target": "/x", "read_only": True}]},
        {"volumes": [{"type": "tmpfs", "target": "/ram", "tmpfs": {"size": "64m"}}]},
        {"labels": {"team": "ml"}},
        {"labels": ["team=ml"]},
        {"security_opt": ["no-new-privileges:true"], "cap_drop": ["ALL"], "read_only": True},
        {"restart": "on-failure:3", "stop_grace_period": "1m30s", "shm_size": "1g"},
        {"ulimits": {"memlock": -1, "nofile": {"soft": 1, "hard": 2}}},
        {"healthcheck": {"test": ["CMD", "true"], "interval": "5s", "retries": 3}},
        {"depends_on": {"web": {"condition": "service_healthy"}}},
        {"logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}},
        {"network_mode": "none", "user": "1000:1000", "group_add": ["44"]},
        {
            "deploy": {
                "resources": {
                    "limits": {"cpus": 1.5, "memory": "512M"},
                    "reservations": {
                        "devices": [
                            {
                                "driver": "nvidia",
                                "device_ids": ["GPU-5d1e2f6a-9a3c-4a0e-8f2b-1b7c5a9d0e11"],
                                "capabilities": ["gpu"],
                            }
                        ]
                    },
                }
            }
        },
    ],
)
def test_what_a_model_server_needs_is_allowed(service: dict[str, Any]) -> None:
    assert whats(a_file(**service)) == []


@pytest.mark.parametrize(
    "service",
    [
        {"privileged": True},
        {"Privileged": True},
        {"pid": "host"},
        {"ipc": "host"},
        {"uts": "host"},
        {"userns_mode": "host"},
        {"cgroup": "host"},
        {"cgroup_parent": "/"},
        {"network_mode": "host"},
        {"network_mode": "container:other"},
        {"cap_add": ["SYS_ADMIN"]},
        {"devices": ["/dev/sda:/dev/sda"]},
        {"device_cgroup_rules": ["a *:* rwm"]},
        {"gpus": "all"},
        {"runtime": "nvidia"},
        {"sysctls": {"kernel.shmmax": 1}},
        {"security_opt": ["seccomp=unconfined"]},
        {"security_opt": ["apparmor:unconfined"]},
        {"credential_spec": {"file": "x.json"}},
        {"use_api_socket": True},
        {"volumes_from": ["container:other"]},
        {"container_name": "web"},
        {"build": "."},
        {"extends": {"file": "../x.yaml", "service": "web"}},
        {"label_file": "/etc/passwd"},
        {"post_start": [{"command": "x", "privileged": True}]},
        {"scale": 3},
        {"profiles": ["debug"]},
        {"pull_policy": "build"},
        {"logging": {"driver": "syslog", "options": {"syslog-address": "tcp://example.org"}}},
        {"healthcheck": {"test": "true", "interval": "soon"}},
        {"networks": {"default": {"driver_opts": {"x": "y"}}}},
        {"deploy": {"replicas": 2}},
        {"deploy": {"placement": {"constraints": []}}},
        {"tmpfs": {"a": 1}},
        {"oom_kill_disable": True},
        {"provider": {"type": "x"}},
        {"develop": {"watch": []}},
        {"ports": [8080]},
        {"ports": ["80"]},
        {"ports": ["0:80"]},
        {"ports": ["3000-3010:3000-3010"]},
        {"image": None},
        {"image": "a b"},
    ],
    ids=str,
)
def test_every_way_to_the_host_is_refused(service: dict[str, Any]) -> None:
    assert whats(a_file(**service)) != []


@pytest.mark.parametrize(
    "mount",
    [
        "/:/host:ro",
        "/etc:/etc:ro",
        "/var/run/docker.sock:/var/run/docker.sock:ro",
        "../secret:/x:ro",
        "./a/../../b:/x:ro",
        "..:/x:ro",
        "~/x:/x:ro",
        "~:/x:ro",
        ".\\..\\x:/x:ro",
        "./x:/x",
        "./x:/x:rw",
        "./x:/x:ro,rshared",
        "other:/x",
        "c:/x",
        "c:/etc:ro",
        "c:\\x:/x",
        "$$HOME:/x:ro",
        "data:relative",
        "",
        ":",
        {"type": "bind", "source": "/", "target": "/x", "read_only": True},
        {"type": "bind", "source": "./x", "target": "/x"},
        {"type": "bind", "source": "./x", "target": "/x", "read_only": False},
        {"type": "bind", "target": "/x", "read_only": True},
        {"type": "bind", "source": "./x", "target": "/x", "bind": {"propagation": "rshared"}},
        {"type": "volume", "source": "/etc", "target": "/x"},
        {"type": "volume", "source": "other", "target": "/x"},
        {"type": "npipe", "source": "x", "target": "/x"},
        {"type": "image", "source": "x", "target": "/x"},
        {"source": "/etc", "target": "/x"},
    ],
    ids=str,
)
def test_mounts_that_leave_the_project_are_refused(mount: Any) -> None:
    assert whats(a_file(volumes=[mount])) != []


@pytest.mark.parametrize(
    "extra",
    [
        {"name": "other"},
        {"version": "3"},
        {"include": ["../x.yaml"]},
        {"x-anything": 1},
        {"volumes": {"data": {"driver_opts": {"type": "none", "o": "bind", "device": "/"}}}},
        {"volumes": {"data": {"driver": "rclone"}}},
        {"volumes": {"data": {"external": True}}},
        {"volumes": {"data": {"name": "other"}}},
        {"networks": {"n": {"external": True}}},
        {"networks": {"n": {"driver": "macvlan"}}},
        {"networks": {"n": {"driver": "host"}}},
        {"networks": {"n": {"driver_opts": {"parent": "eth0"}}}},
        {"networks": {"n": {"name": "host"}}},
        {"configs": {"c": {"file": "/etc/shadow"}}},
        {"configs": {"c": {"file": "../x"}}},
        {"configs": {"c": {"environment": "HOME"}}},
        {"configs": {"c": {"content": "${HOME}"}}},
        {"configs": {"c": {}}},
        {"configs": {"c": {"file": "./x", "content": "y"}}},
        {"secrets": {"s": {"file": "~/.ssh/id_ed25519"}}},
        {"secrets": {"s": {"environment": "TOKEN"}}},
        {"secrets": {"s": {"external": True}}},
        {"volumes": {"data": {"labels": {"io.miaas.node": "x"}}}},
        {"volumes": {"data": {"labels": ["com.docker.compose.project=x"]}}},
        {"services": {}},
        {"services": {"../x": {"image": "a"}}},
        {"services": ["web"]},
    ],
    ids=str,
)
def test_what_reaches_outside_the_project_is_refused(extra: dict[str, Any]) -> None:
    assert whats(a_file(extra)) != []


@pytest.mark.parametrize("sign", ["\r", "\x85", "\u2028", "\u2029", "\ufeff"])
def test_signs_that_end_a_line_for_some_readers_only_are_refused(sign: str) -> None:
    text = f"services:\n  web:\n    image: 'a{sign}b'\n"

    (problem,) = check(text, path="compose.yaml")

    assert str(problem.place) == "compose.yaml:3:14"


def test_a_volume_of_one_letter_could_be_read_as_a_drive() -> None:
    assert whats(a_file({"volumes": {"c": None}}, volumes=["c:/x"])) != []
    assert whats(a_file({"volumes": {"cc": None}}, volumes=["cc:/x"])) == []


def test_configs_and_secrets_of_the_project_are_allowed() -> None:
    extra = {
        "configs": {"c": {"file": "./x"}, "d": {"content": "a$$b"}},
        "secrets": {"s": {"file": "s"}},
        "networks": {"n": None, "m": {"internal": True}},
    }

    assert whats(a_file(extra, networks=["n"], configs=["c"], secrets=[{"source": "s"}])) == []


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("a$$b", True),
        ("$$$$", True),
        ("$$HOME", True),
        ("$HOME", False),
        ("${HOME:-x}", False),
        ("$", False),
        ("a$", False),
        ("$$$HOME", False),
        ("$1", False),
    ],
)
def test_only_an_escaped_dollar_is_a_dollar(text: str, fine: bool) -> None:
    problems = [
        *whats(a_file(command=[text])),
        *whats(a_file(labels={"key": text})),
        *whats(a_file(environment=[f"A={text}"])),
    ]

    assert problems == [] if fine else len(problems) == 3


def test_a_dollar_in_a_key_is_refused() -> None:
    assert "the key '${X}' has a $" in whats(a_file(environment={"${X}": "1"}))


@pytest.mark.parametrize(
    ("entry", "refused"), [("all", True), ("0", True), ("", True), ("none", False), ("void", False)]
)
def test_gpus_cannot_be_taken_by_a_variable(entry: str, refused: bool) -> None:
    name = "NVIDIA_VISIBLE_DEVICES"

    assert bool(whats(a_file(environment={name: entry}))) is refused
    assert bool(whats(a_file(environment=[f"{name}={entry}"]))) is refused


@pytest.mark.parametrize("environment", [{"A": None}, ["A"], ["A=1", "B"]])
def test_a_bare_variable_would_copy_the_agents_own(environment: Any) -> None:
    (what,) = whats(a_file(environment=environment))

    assert what.endswith("has no value, and would copy the agent's own")


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x.env", "~/x", "a/../../x", "", ["a.env", "/x"], [{"path": "/x"}]]
)
def test_files_of_variables_stay_inside_the_project(path: Any) -> None:
    assert whats(a_file(env_file=path)) != []


@pytest.mark.parametrize(
    "device",
    [
        {"count": "all", "capabilities": ["gpu"]},
        {"count": 1, "device_ids": ["GPU-a"], "capabilities": ["gpu"]},
        {"device_ids": [], "capabilities": ["gpu"]},
        {"device_ids": ["0"], "capabilities": ["gpu"]},
        {"device_ids": ["all"], "capabilities": ["gpu"]},
        {"device_ids": [0], "capabilities": ["gpu"]},
        {"device_ids": ["GPU-a"]},
        {"driver": "cdi", "device_ids": ["GPU-a"], "capabilities": ["gpu"]},
        {"device_ids": ["GPU-a"], "capabilities": ["tpu"]},
        {"device_ids": ["GPU-a"], "capabilities": ["gpu"], "options": {"x": "y"}},
    ],
    ids=str,
)
def test_gpus_are_named_by_uuid_only(device: dict[str, Any]) -> None:
    deploy = {"resources": {"reservations": {"devices": [device]}}}

    assert whats(a_file(deploy=deploy)) != []


@pytest.mark.parametrize(
    "key", ["io.miaas.node", "IO.MIAAS.x", "com.docker.compose.project", "com.docker.compose.x"]
)
def test_labels_of_the_agent_are_refused(key: str) -> None:
    assert whats(a_file(labels={key: "x"})) != []
    assert whats(a_file(labels=["fine=1", f"{key}=x"])) != []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "services: {web: {image: a, image: b}}",
        "services: {web: &x {image: a}}",
        "services: {web: !reset {image: a}}",
        "services: {web: {<<: {privileged: true}, image: a}}",
        "services: {web: {image: a}}\n---\nservices: {web: {image: a, privileged: true}}",
        "services: {web: {image: a}}\r\n",
        "services: {web: {image: a}} # \u2028x: y",
        "\ufeffservices: {web: {image: a}}",
        "services: {web: {image: a}}  # \x85",
        "[" * 100_000,
        "services: [",
        "text",
        "null",
    ],
    ids=range(14),
)
def test_what_another_reader_could_read_otherwise_is_refused(text: str) -> None:
    assert check(text, path="compose.yaml") != ()


def test_a_problem_names_its_place_its_reason_and_its_fix() -> None:
    text = "services:\n  web:\n    image: a\n    privileged: true\n    cap_add: [ALL]\n"

    assert [str(problem) for problem in check(text, path="chat/compose.yaml")] == [
        "chat/compose.yaml:4:5: services.web.privileged is refused: "
        "it gives the container the whole host. Fix: remove it",
        "chat/compose.yaml:5:5: services.web.cap_add is refused: "
        "it gives the container rights over the host. Fix: remove it",
    ]


def test_no_key_that_is_explained_as_harmful_is_allowed_for_a_service() -> None:
    service: Any = schema_named("policy")["$defs"]

    assert set(_REASONS) & set(service["service"]["properties"]) == set()


@settings(max_examples=150, deadline=None)
@given(
    key=st.sampled_from(sorted(_REASONS)),
    value=st.one_of(st.booleans(), st.text(max_size=5), st.lists(st.text(max_size=5), max_size=2)),
)
def test_no_value_makes_a_harmful_key_harmless(key: str, value: object) -> None:
    assert whats(a_file(None, **{key: value})) != []


# what was given to a replica, and what was not

GPU, OTHER = "GPU-5d1e2f6a-9a3c-4a0e-8f2b-1b7c5a9d0e11", "GPU-of-another-team"
GIVEN = Given(gpus=frozenset({GpuUuid(GPU)}), ports=frozenset({8080}))


def refused(
    given: Given = GIVEN, files: dict[str, bytes] | None = None, **service: Any
) -> list[str]:
    problems = check_replica(
        a_file(**service), path="t/compose.yaml", files=files or {}, given=given
    )
    assert all(problem.fix and problem.place.line > 0 for problem in problems)
    return [problem.what for problem in problems]


def reserving(*uuids: str) -> dict[str, Any]:
    devices = [{"driver": "nvidia", "device_ids": [*uuids], "capabilities": ["gpu"]}]
    return {"resources": {"reservations": {"devices": devices}}}


def test_what_was_given_may_be_taken() -> None:
    service = {"ports": ["8080:80"], "deploy": reserving(GPU)}

    assert refused(**service) == []
    assert sorted(refused(Given(), **service)) == [
        f"the GPU '{GPU}' was not given to this replica",
        "the host port 8080 was not given to this replica",
    ]


@pytest.mark.parametrize(
    "port",
    [
        "22:22",
        "22:22/udp",
        "127.0.0.1:22:8080",
        "[::1]:22:8080/tcp",
        {"target": 8080, "published": 22},
        {"target": 8080, "published": "22", "host_ip": "127.0.0.1"},
    ],
    ids=str,
)
def test_a_port_of_the_host_that_was_not_given_is_refused(port: object) -> None:
    expected = ["the host port 22 was not given to this replica"]

    assert refused(ports=[port]) == expected
    assert refused(ports=["8080:80", port]) == expected


def test_a_gpu_of_others_is_refused() -> None:
    assert refused(deploy=reserving(GPU, OTHER)) == [
        f"the GPU '{OTHER}' was not given to this replica"
    ]


def test_an_assignment_says_what_is_given() -> None:
    replica = an_assigned_replica(
        "chat", gpus=(GpuShare(uuid=GpuUuid(GPU), memory_mib=1),), ports={"http": 8080}
    )

    assert given_to(replica) == GIVEN


@pytest.mark.parametrize(
    "named",
    [
        "gpu.env",
        "./gpu.env",
        ".//./gpu.env",
        ["a.env", "gpu.env"],
        [{"path": "gpu.env"}],
        [{"path": "./gpu.env", "required": False, "format": "raw"}],
    ],
    ids=str,
)
def test_a_file_of_variables_takes_no_gpus(named: object) -> None:
    files = {"gpu.env": b"A=1\nNVIDIA_VISIBLE_DEVICES=all\n", "a.env": b"B=2\n"}

    assert refused(files=files, env_file=named) == [
        "NVIDIA_VISIBLE_DEVICES would take GPUs that were not assigned"
    ]


def test_it_is_told_where_a_file_takes_gpus() -> None:
    files = {"a/gpu.env": b"A=1\r\n\nNVIDIA_VISIBLE_DEVICES=all"}

    (problem,) = check_replica(
        a_file(env_file="a/gpu.env"),
        path="templates/t/compose.yaml as rendered",
        files=files,
        given=GIVEN,
    )

    assert str(problem).startswith("templates/t/a/gpu.env:3:1: ")


@pytest.mark.parametrize(
    ("text", "is_harmless"),
    [
        ("NVIDIA_VISIBLE_DEVICES=none", True),
        ("NVIDIA_VISIBLE_DEVICES='void'\r\nA=1", True),
        ("MY_NVIDIA_VISIBLE_DEVICES=all", True),
        ("export NVIDIA_VISIBLE_DEVICES=all", False),
        ("NVIDIA_VISIBLE_DEVICES: all", False),
        ("NVIDIA_VISIBLE_DEVICES", False),
        ("NVIDIA_VISIBLE_DEVICES=", False),
        ("NVIDIA_VISIBLE_DEVICES=none,GPU-1", False),
        ("NVIDIA_VISIBLE_DEVICES=none\rNVIDIA_VISIBLE_DEVICES=all", False),
        ("NVIDIA_VISIBLE_DEVICES=none\nNVIDIA_VISIBLE_DEVICES=0", False),
        ("NVIDIA_VISIBLE_DEVICES='none", False),
        ('A="\n#" NVIDIA_VISIBLE_DEVICES=all', False),
        ("\ufeffNVIDIA_VISIBLE_DEVICES=all", False),
        ("\udcff=1\nNVIDIA_VISIBLE_DEVICES=all", False),
    ],
)
def test_only_a_plain_no_is_let_through(text: str, is_harmless: bool) -> None:
    files = {"gpu.env": text.encode("utf-8", "surrogateescape")}

    assert (refused(files=files, env_file="gpu.env") == []) is is_harmless


def test_a_file_that_no_service_reads_for_variables_may_say_anything() -> None:
    assert refused(files={"README": b"NVIDIA_VISIBLE_DEVICES=all"}) == []


@pytest.mark.parametrize("odd", [None, 1, "x", [], {}, [[]], [{}], [None], {"a": [1]}])
def test_odd_shapes_are_told_and_break_nothing(odd: Any) -> None:
    for service in (
        {"ports": odd},
        {"env_file": odd},
        {"deploy": odd},
        {"deploy": {"resources": {"reservations": {"devices": odd}}}},
        {"deploy": {"resources": {"reservations": {"devices": [{"device_ids": odd}]}}}},
        {"ports": [{"published": odd, "target": 80}]},
        {"ports": [{"published": "9" * 5000, "target": 80}]},
    ):
        refused(**service)
