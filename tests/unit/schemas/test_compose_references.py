"""A rendered compose file hangs together: what it names is there, and its values go together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.check import schema_named
from schemas.compose_references import unresolved
from schemas.problem import BadDocumentError
from schemas.yaml_text import read_yaml, write_yaml

FILES = ("compose.yaml", "app.env", "conf/other.env")


def told(text: str) -> list[str]:
    """Line, what is wrong, and the fix."""
    found = unresolved(text, path="compose.yaml", files=FILES)
    return [f"{one.place.line}: {one.what}. Fix: {one.fix}" for one in found]


HEAD = "services:\n  web:\n    image: demo/web:1\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "    depends_on: [postgers]\n  postgres: {image: 'x:1'}\n",
            "4: services.web.depends_on[0]: there is no service 'postgers' in this file. "
            "Fix: did you mean 'postgres'?",
        ),
        (
            "    depends_on:\n      zz: {condition: service_started}\n",
            "5: services.web.depends_on.zz: there is no service 'zz' in this file. "
            "Fix: add it under services, or take it out",
        ),
        (
            "    networks: [inner]\nnetworks:\n  iner: null\n",
            "4: services.web.networks[0]: there is no network 'inner' in this file. "
            "Fix: did you mean 'iner'?",
        ),
        (
            "    secrets:\n      - {source: key}\n",
            "5: services.web.secrets[0].source: there is no secret 'key' in this file. "
            "Fix: add it under secrets, or take it out",
        ),
        (
            "    configs: [main]\n",
            "4: services.web.configs[0]: there is no config 'main' in this file. "
            "Fix: add it under configs, or take it out",
        ),
        (
            "    env_file: ./ap.env\n",
            "4: there is no file './ap.env' beside the compose file. "
            "Fix: did you mean ./app.env?; or say {path: ..., required: false}",
        ),
        (
            "    env_file: [{path: conf, required: false}]\n",
            "4: 'conf' is a folder. Fix: name a file",
        ),
        (
            "    ports: ['8080:80', '99999:80']\n",
            "4: services.web.ports[1]: 99999 is no port. Fix: use a number from 1 to 65535",
        ),
        (
            "    mem_limit: 1g\n    deploy: {resources: {limits: {cpus: 1}}}\n",
            "4: services.web.mem_limit differs from deploy.resources.limits.memory. "
            "Fix: say it in deploy.resources.limits only",
        ),
    ],
)
def test_a_name_that_leads_nowhere_is_told_with_line_and_fix(text: str, words: str) -> None:
    assert told(HEAD + text) == [words]


def test_a_circle_of_services_is_told_once_with_its_way() -> None:
    text = HEAD + "    depends_on: [db]\n  db:\n    image: x:1\n    depends_on: [web]\n"

    (only,) = told(text)

    assert "the services wait for each other: " in only
    assert only.split("each other: ")[1].split(".")[0] in ("web -> db -> web", "db -> web -> db")


def test_the_same_file_gives_the_same_words_each_time() -> None:
    names = [f"s{number}" for number in range(20)]
    services = {
        name: {"image": "x:1", "depends_on": [*names[number + 1 :], *names[:number]]}
        for number, name in enumerate(names)
    }
    text = write_yaml({"services": services})

    assert told(text) == told(text) != []


def test_what_leads_out_of_the_folder_is_left_to_the_policy() -> None:
    assert told(HEAD + "    env_file: [../a, /etc/passwd, '~/a']\n") == []


@pytest.mark.parametrize("text", ["", "a: [", "services: 1", "services: {web: 1}", "- a\n"])
def test_what_is_no_compose_file_is_left_to_the_policy(text: str) -> None:
    assert told(text) == []


_KEYS = sorted(schema_named("policy")["$defs"]["service"]["properties"])  # type: ignore[index]
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["source", "path", "limits", "resources", "host_ip", "a"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(service=st.dictionaries(st.sampled_from(_KEYS), _ANY, max_size=6), rest=_ANY)
def test_nothing_that_can_be_read_makes_it_fail(service: dict[str, Any], rest: Any) -> None:
    text = write_yaml({"services": {"web": service}, "networks": rest, "configs": rest})
    try:
        read_yaml(text, path="compose.yaml")
    except BadDocumentError:
        return

    assert all(one.place.line > 0 for one in unresolved(text, path="compose.yaml", files=FILES))
