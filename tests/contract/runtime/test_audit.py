"""What every runtime tells of drift, and what it takes away piece by piece."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.content import Owner, contents
from agent.drift import spoiled
from agent.runtime.port import Container, RuntimeDownError, RuntimeFailedError
from tests.contract.runtime.world import ABSENT, IMAGE, NODE, World, a_project, a_service

NAME = f"miaas-{NODE}-chat-0"


def _run(world: World, folder: Path, **service: object) -> Container:
    project = a_project(folder / "chat", "chat-0", {"web": a_service(**service)})
    world.runtime.pull(project)
    world.runtime.up(project)
    (container,) = world.runtime.containers(NODE)
    return container


def test_limits_are_as_the_file_says_where_the_engine_keeps_them(
    world: World, tmp_path: Path
) -> None:
    most = {"limits": {"memory": "64m", "cpus": 0.5, "pids": 40}}
    web = _run(world, tmp_path, deploy={"resources": most}, restart="on-failure:3")

    found = world.runtime.limits((web.id,))[web.id]

    assert found.memory_bytes in (64 * 2**20, None)
    assert found.cpu_milli in (500, None)
    assert found.pids in (40, None)
    assert found.restart == "on-failure:3"


@pytest.mark.parametrize(
    "service",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"mem_limit": "96m", "cpus": 0.7, "pids_limit": 30}, id="older keys"),
        pytest.param({"restart": "always"}, id="always"),
        pytest.param({"restart": "unless-stopped"}, id="unless stopped"),
        pytest.param({"restart": "on-failure"}, id="on failure"),
        pytest.param({"restart": "no"}, id="no"),
        pytest.param({"deploy": {"restart_policy": {"condition": "any"}}}, id="any"),
        pytest.param({"deploy": {"restart_policy": {"condition": "none"}}}, id="none"),
        pytest.param(
            {"deploy": {"restart_policy": {"condition": "on-failure", "max_attempts": 2}}},
            id="attempts",
        ),
        pytest.param({"deploy": {"restart_policy": {}}}, id="policy without a condition"),
        pytest.param(
            {"deploy": {"resources": {"limits": {"cpus": "1.3", "memory": "100m"}}}}, id="deploy"
        ),
    ],
)
def test_what_is_made_from_a_file_has_not_drifted_from_it(
    world: World, tmp_path: Path, service: dict[str, object]
) -> None:
    web = _run(world, tmp_path, **service)
    resolved = world.runtime.resolve(tmp_path / "chat", NAME)
    owner = Owner(node=NODE, deployment="chat", replica="chat-0")
    wanted = contents(resolved, {}, folder=tmp_path, store=tmp_path, owner=owner)

    seen = replace(web, limits=world.runtime.limits((web.id,))[web.id])

    assert list(spoiled(wanted.services[0], seen)) == []


def test_a_service_without_limits_has_none(world: World, tmp_path: Path) -> None:
    web = _run(world, tmp_path)

    found = world.runtime.limits((web.id,))[web.id]

    assert (found.memory_bytes or 0, found.cpu_milli or 0, found.pids or 0) == (0, 0, 0)
    assert found.restart == "no"


def test_limits_changed_by_hand_are_told(world: World, tmp_path: Path) -> None:
    web = _run(world, tmp_path)

    world.restart_always(web)

    assert world.runtime.limits((web.id,))[web.id].restart == "always"


def test_a_container_that_is_gone_has_no_limits(world: World, tmp_path: Path) -> None:
    web = _run(world, tmp_path)
    world.runtime.remove(web.id)

    assert world.runtime.limits((web.id,)) == {}


def test_a_container_cut_from_its_network_is_told(world: World, tmp_path: Path) -> None:
    web = _run(world, tmp_path)
    assert web.networks == (f"{NAME}_default",)

    world.cut_off(web)

    (found,) = world.runtime.containers(NODE)
    assert found.networks == ()


def test_strangers_are_those_in_exactly_these_projects(world: World, tmp_path: Path) -> None:
    web = _run(world, tmp_path)
    world.put_foreign(NAME, "near")
    strange, one_off = world.put_stranger(NAME), world.put_one_off(web)

    found = world.runtime.strangers(frozenset({NAME}))

    assert [one.id for one in found] == sorted((strange, one_off))
    assert {one.project for one in found} == {NAME}
    assert world.runtime.strangers(frozenset({f"miaas-{NODE}-chat"})) == ()
    assert world.runtime.containers(NODE) == (web,), "a one-off is no copy of its service"


@pytest.mark.parametrize("is_paused", [False, True])
def test_one_container_goes_and_its_siblings_stay(
    world: World, tmp_path: Path, is_paused: bool
) -> None:
    services = {"web": a_service(), "db": a_service()}
    project = a_project(tmp_path / "chat", "chat-0", services)
    world.runtime.up(project)
    before = {one.service: one for one in world.runtime.containers(NODE)}
    if is_paused:
        world.pause(before["web"])

    world.runtime.remove(before["web"].id)
    world.runtime.remove(before["web"].id)  # what is gone is no failure
    assert [one.service for one in world.runtime.containers(NODE)] == ["db"]
    world.runtime.up(project)

    after = {one.service: one for one in world.runtime.containers(NODE)}
    assert after["db"].id == before["db"].id
    assert after["web"].state == "running"


def test_volumes_go_only_by_that_word_and_only_of_that_project(
    world: World, tmp_path: Path
) -> None:
    service = a_service(volumes=["data:/data"])
    projects = [
        a_project(tmp_path / name, name, {"web": service}, volumes={"data": {}})
        for name in ("chat-0", "chat-01")
    ]
    for project in projects:
        world.runtime.up(project)
    kept = f"{projects[1].name}_data"

    with pytest.raises(RuntimeFailedError):
        world.runtime.remove_volumes(projects[0].name)
    world.runtime.down(projects[0].name)
    assert world.volumes() == {f"{NAME}_data", kept}

    assert world.runtime.remove_volumes(projects[0].name) == (f"{NAME}_data",)
    assert world.volumes() == {kept}
    assert world.runtime.remove_volumes(projects[0].name) == ()


def test_a_project_has_volumes_from_its_start_until_they_are_deleted(
    world: World, tmp_path: Path
) -> None:
    service = a_service(volumes=["data:/data", "cache:/cache"])
    volumes = {"data": {}, "cache": {}}
    project = a_project(tmp_path / "chat", "chat-0", {"web": service}, volumes=volumes)
    bare = a_project(tmp_path / "bare", "bare-0", {"web": a_service()})
    assert world.runtime.volume_projects() == ()

    world.runtime.up(project)
    world.runtime.up(bare)
    assert world.runtime.volume_projects() == (project.name,)
    world.runtime.down(project.name)
    assert world.runtime.volume_projects() == (project.name,)
    world.runtime.remove_volumes(project.name)

    assert world.runtime.volume_projects() == ()


def test_what_is_lacking_is_told_before_it_is_pulled(world: World, tmp_path: Path) -> None:
    services = {"web": a_service(image=ABSENT), "db": a_service()}

    assert world.runtime.lacking(a_project(tmp_path / "chat", "chat-0", services)) == (ABSENT,)


def test_an_image_that_a_container_was_made_from_is_not_removed(
    world: World, tmp_path: Path
) -> None:
    web = _run(world, tmp_path)
    (stored,) = [one for one in world.runtime.stored_images() if IMAGE in one.tags]
    assert stored.id == web.image_id

    with pytest.raises(RuntimeFailedError):
        world.runtime.remove_image(stored.id)

    assert IMAGE in world.runtime.images()


def test_an_image_that_nothing_uses_is_removed(world: World) -> None:
    world.make_image("spare:1")
    (spare,) = [one for one in world.runtime.stored_images() if "spare:1" in one.tags]

    world.runtime.remove_image(spare.id)
    world.runtime.remove_image(spare.id)  # what is gone is no failure

    assert "spare:1" not in world.runtime.images()
    assert IMAGE in world.runtime.images()


def test_an_engine_that_hangs_tells_nothing_and_loses_nothing(world: World, tmp_path: Path) -> None:
    web = _run(world, tmp_path)

    with world.hung() as runtime:
        for call in (
            lambda: runtime.limits((web.id,)),
            lambda: runtime.strangers(frozenset({NAME})),
            runtime.volume_projects,
            runtime.stored_images,
        ):
            with pytest.raises(RuntimeDownError):
                call()

    assert list(world.runtime.limits((web.id,))) == [web.id]
