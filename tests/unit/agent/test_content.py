"""What a service is made of: its hash changes exactly when something of it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.content import BadContentError, Contents, Owner, contents
from agent.runtime.port import Limits

STORE = Path("/state/replicas/chat-0/store")
FILES = {
    "compose.yaml": b"",
    "one.conf": b"1",
    "conf/a": b"1",
    "conf/deep/b": b"1",
    "c.txt": b"1",
    "s.txt": b"1",
    "unused": b"1",
}


def _resolved(folder: Path, **web: Any) -> dict[str, Any]:
    """A compose file as Compose resolves it."""
    return {
        "name": "miaas-alpha-chat-0",
        "services": {
            "web": {
                "image": "img:1",
                "environment": {"A": "1"},
                "configs": [{"source": "c", "target": "/c"}],
                "secrets": [{"source": "s", "target": "/s"}],
                "networks": {"default": None},
                "volumes": [
                    {"type": "bind", "source": f"{folder}/one.conf", "target": "/one"},
                    {"type": "bind", "source": f"{folder}/conf", "target": "/conf"},
                    {"type": "volume", "source": "data", "target": "/data"},
                ],
                **web,
            },
            "other": {"image": "img:1"},
        },
        "configs": {"c": {"name": "x_c", "file": f"{folder}/c.txt"}},
        "secrets": {"s": {"name": "x_s", "file": f"{folder}/s.txt"}},
        "networks": {"default": {"name": "x_default"}},
        "volumes": {"data": {"name": "x_data"}, "unused": {"name": "x_unused"}},
    }


def _contents(files: dict[str, bytes], folder: str = "/state/t1", **web: Any) -> Contents:
    return contents(
        _resolved(Path(folder), **web),
        files,
        folder=Path(folder),
        store=STORE,
        owner=Owner(node="alpha", deployment="chat", replica="chat-0"),
    )


def _hashes(found: Contents) -> dict[str, str]:
    return {service.name: service.hash for service in found.services}


@pytest.mark.parametrize("path", ["one.conf", "conf/a", "conf/deep/b", "c.txt", "s.txt"])
def test_a_changed_file_changes_the_service_that_uses_it_and_no_other(path: str) -> None:
    before = _hashes(_contents(FILES))
    after = _hashes(_contents({**FILES, path: b"2"}))

    assert before["web"] != after["web"]
    assert before["other"] == after["other"]


@pytest.mark.parametrize("path", ["unused", "conf2/a", "compose.yaml"])
def test_a_file_that_is_not_used_changes_nothing(path: str) -> None:
    assert _hashes(_contents({**FILES, path: b"2"})) == _hashes(_contents(FILES))


@pytest.mark.parametrize(
    "web",
    [
        {"image": "img:2"},
        {"environment": {"A": "2"}},
        {"command": ["x"]},
        {"ports": [{"target": 80, "published": "8080"}]},
        {"deploy": {"resources": {"reservations": {"devices": [{"device_ids": ["GPU-1"]}]}}}},
    ],
)
def test_a_changed_description_changes_the_hash(web: dict[str, Any]) -> None:
    assert _hashes(_contents(FILES, **web))["web"] != _hashes(_contents(FILES))["web"]


def test_where_the_files_stand_is_no_part_of_anything() -> None:
    here, there = _contents(FILES, "/state/t1"), _contents(FILES, "/state/t2")

    assert here == there


def test_an_env_file_is_part_of_the_hash_even_where_compose_leaves_it_a_path() -> None:
    env_file = [{"path": "/state/t1/unused", "required": True}]

    before = _contents(FILES, env_file=env_file)
    after = _contents({**FILES, "unused": b"2"}, env_file=env_file)

    assert _hashes(before)["web"] != _hashes(after)["web"]


def test_the_overlay_gives_labels_and_moves_every_file_into_the_store() -> None:
    found = _contents(FILES)

    overlay = json.loads(found.overlay)
    web = overlay["services"]["web"]
    assert web["labels"] == {
        "io.miaas.node": "alpha",
        "io.miaas.deployment": "chat",
        "io.miaas.replica": "chat-0",
        "io.miaas.hash": _hashes(found)["web"],
    }
    assert [volume["target"] for volume in web["volumes"]] == ["/one", "/conf"]
    moved = [volume["source"] for volume in web["volumes"]]
    moved += [overlay["configs"]["c"]["file"], overlay["secrets"]["s"]["file"]]
    assert all(path.startswith(f"{STORE}/") for path in moved)
    assert sorted(found.stored.values()) == ["c.txt", "conf", "one.conf", "s.txt"]
    assert {path.split("/")[-2] for path in moved} == set(found.stored)


def test_an_unchanged_file_keeps_its_place_in_the_store() -> None:
    before, after = _contents(FILES).stored, _contents({**FILES, "c.txt": b"2"}).stored

    assert len(before.items() & after.items()) == 3


def test_a_path_outside_the_folder_is_left_to_the_policy() -> None:
    volume = {"type": "bind", "source": "/state/t1-other/x", "target": "/x"}

    found = _contents(FILES, volumes=[volume])

    assert "volumes" not in json.loads(found.overlay)["services"]["web"]


def test_says_which_file_is_missing() -> None:
    files = {path: data for path, data in FILES.items() if path != "one.conf"}

    with pytest.raises(BadContentError, match=r"service web refers to ./one.conf"):
        _contents(files)


@pytest.mark.parametrize(
    ("web", "finishes"),
    [
        pytest.param({}, True, id="as docker does without a word"),
        pytest.param({"restart": "no"}, True, id="no"),
        pytest.param({"restart": "on-failure:3"}, True, id="only after failures"),
        pytest.param({"restart": "always"}, False, id="always"),
        pytest.param({"restart": "unless-stopped"}, False, id="unless stopped"),
        pytest.param({"deploy": {"restart_policy": {"condition": "any"}}}, False, id="deploy"),
    ],
)
def test_knows_which_services_may_end(web: dict[str, Any], finishes: bool) -> None:
    by_name = {service.name: service for service in _contents(FILES, **web).services}

    assert by_name["web"].finishes is finishes


@pytest.mark.parametrize(
    ("web", "restart"),
    [
        pytest.param({}, "no", id="no word"),
        pytest.param({"restart": "on-failure"}, "on-failure", id="without a number"),
        pytest.param({"restart": "on-failure:0"}, "on-failure", id="none is no number"),
        pytest.param({"restart": "on-failure:3"}, "on-failure:3", id="number"),
        pytest.param({"restart": "on-failure:03"}, "on-failure:3", id="as the engine counts"),
        pytest.param(
            {"deploy": {"restart_policy": {"condition": "on-failure", "max_attempts": 0}}},
            "on-failure",
            id="none, in the words of deploy",
        ),
        pytest.param(
            {"deploy": {"restart_policy": {"condition": "on-failure", "max_attempts": 3}}},
            "on-failure:3",
            id="number, in the words of deploy",
        ),
    ],
)
def test_says_restart_policies_in_the_words_of_the_engine(
    web: dict[str, Any], restart: str
) -> None:
    by_name = {service.name: service for service in _contents(FILES, **web).services}

    assert by_name["web"].limits == Limits(restart=restart)


@pytest.mark.parametrize(
    ("web", "copies"), [({}, 1), ({"scale": 2}, 2), ({"deploy": {"replicas": 0}}, 0)]
)
def test_knows_how_many_containers_a_service_has(web: dict[str, Any], copies: int) -> None:
    by_name = {service.name: service for service in _contents(FILES, **web).services}

    assert by_name["web"].copies == copies


def _fenced(stop_after: int | None, **web: Any) -> Contents:
    return contents(
        _resolved(Path("/state/t1"), **web),
        FILES,
        folder=Path("/state/t1"),
        store=STORE,
        owner=Owner(node="alpha", deployment="chat", replica="chat-0", stop_after=stop_after),
    )


def test_no_engine_starts_what_is_fenced_whatever_its_file_says() -> None:
    web = {"restart": "always", "deploy": {"restart_policy": {"condition": "any"}}}
    found = _fenced(120, **web)

    overlay = json.loads(found.overlay)["services"]
    assert {name: one["restart"] for name, one in overlay.items()} == {"web": "no", "other": "no"}
    assert overlay["web"]["deploy"] == {"restart_policy": {"condition": "none"}}
    assert {one["labels"]["io.miaas.stop-after"] for one in overlay.values()} == {"120"}
    limits = [one.limits for one in found.services]
    assert [one.restart for one in limits if one is not None] == ["no", "no"]
    assert not next(one for one in found.services if one.name == "web").finishes


def test_what_is_not_fenced_has_neither_label_nor_another_policy() -> None:
    overlay = json.loads(_fenced(None, restart="always").overlay)["services"]["web"]

    assert "restart" not in overlay
    assert "io.miaas.stop-after" not in overlay["labels"]
    assert _fenced(None) == _contents(FILES)


def test_a_fence_and_its_time_are_part_of_every_hash() -> None:
    found = [_hashes(_fenced(seconds)) for seconds in (None, 120, 121)]

    for name in ("web", "other"):
        assert len({one[name] for one in found}) == 3
