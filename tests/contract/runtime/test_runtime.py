"""What every runtime promises. The same tests run in memory and on a real engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.runtime.port import LOG_LINES, Container, Project, RuntimeDownError, RuntimeFailedError
from tests.contract.runtime.world import (
    ABSENT,
    IMAGE,
    NODE,
    World,
    a_project,
    a_service,
    with_check,
)

Eventually = Callable[[Callable[[], bool]], None]


def by_service(world: World) -> dict[str, Container]:
    return {container.service: container for container in world.runtime.containers(NODE)}


def ids(world: World) -> dict[str, str]:
    return {service: container.id for service, container in by_service(world).items()}


def run(world: World, project: Project) -> None:
    world.runtime.pull(project)
    world.runtime.up(project)


def test_nothing_runs_before_the_first_up(world: World) -> None:
    assert world.runtime.containers(NODE) == ()


def test_up_runs_every_service_and_tells_whose_it_is(world: World, tmp_path: Path) -> None:
    project = a_project(tmp_path / "chat", "chat-0", {"web": a_service(), "db": a_service()})

    run(world, project)

    (db,) = [one for one in world.runtime.containers(NODE) if one.service == "db"]
    assert db.image_id.startswith("sha256:")
    assert db == Container(
        id=db.id,
        project=f"miaas-{NODE}-chat-0",
        replica="chat-0",
        deployment="chat",
        service="db",
        image=IMAGE,
        state="running",
        content_hash="1",
        image_id=db.image_id,
        networks=(f"miaas-{NODE}-chat-0_default",),
    )
    assert set(ids(world)) == {"web", "db"}


def test_containers_come_in_order_of_id(world: World, tmp_path: Path) -> None:
    services = {f"s{number}": a_service() for number in range(4)}
    run(world, a_project(tmp_path / "chat", "chat-0", services))

    found = [container.id for container in world.runtime.containers(NODE)]

    assert found == sorted(found)
    assert len(found) == 4


def test_up_without_a_change_keeps_every_container(world: World, tmp_path: Path) -> None:
    project = a_project(tmp_path / "chat", "chat-0", {"web": a_service(), "db": a_service()})
    run(world, project)
    before = ids(world)

    run(world, project)

    assert ids(world) == before


def test_a_changed_hash_recreates_that_service_alone(world: World, tmp_path: Path) -> None:
    services = {"web": a_service(), "db": a_service()}
    run(world, a_project(tmp_path / "chat", "chat-0", services))
    before = ids(world)

    services["web"]["x-hash"] = "2"
    run(world, a_project(tmp_path / "chat", "chat-0", services))

    assert ids(world)["db"] == before["db"]
    assert ids(world)["web"] != before["web"]
    assert by_service(world)["web"].content_hash == "2"


def test_a_service_that_left_the_file_goes(world: World, tmp_path: Path) -> None:
    run(world, a_project(tmp_path / "chat", "chat-0", {"web": a_service(), "db": a_service()}))
    before = ids(world)

    run(world, a_project(tmp_path / "chat", "chat-0", {"db": a_service()}))

    assert ids(world) == {"db": before["db"]}


def test_down_removes_containers_and_network_of_that_project_alone(
    world: World, tmp_path: Path
) -> None:
    gone = a_project(tmp_path / "chat", "chat-0", {"web": a_service()})
    stays = a_project(tmp_path / "echo", "echo-0", {"web": a_service()})
    run(world, gone)
    run(world, stays)

    world.runtime.down(gone.name)

    assert [one.replica for one in world.runtime.containers(NODE)] == ["echo-0"]
    assert world.networks() == {f"{stays.name}_default"}


def test_down_of_what_is_not_there_is_no_error(world: World) -> None:
    world.runtime.down(f"miaas-{NODE}-never-0")

    assert world.runtime.containers(NODE) == ()


def test_an_image_that_cannot_be_had_leaves_the_old_one_running(
    world: World, tmp_path: Path
) -> None:
    run(world, a_project(tmp_path / "chat", "chat-0", {"web": a_service()}))
    before = ids(world)
    broken = a_project(tmp_path / "chat", "chat-0", {"web": a_service(image=ABSENT)})

    with pytest.raises(RuntimeFailedError):
        world.runtime.pull(broken)

    assert ids(world) == before
    assert by_service(world)["web"].state == "running"


def test_up_takes_over_what_a_failed_up_left(world: World, tmp_path: Path) -> None:
    broken = {"db": a_service(), "web": {**a_service(), **world.break_service("web")}}
    with pytest.raises(RuntimeFailedError):
        run(world, a_project(tmp_path / "chat", "chat-0", broken))
    world.mend_service("web")

    mended = {"db": a_service(), "web": a_service(**{"x-hash": "2"})}
    run(world, a_project(tmp_path / "chat", "chat-0", mended))

    assert {name: one.state for name, one in by_service(world).items()} == {
        "db": "running",
        "web": "running",
    }


def test_down_clears_what_a_failed_up_left(world: World, tmp_path: Path) -> None:
    broken = {"db": a_service(), "web": {**a_service(), **world.break_service("web")}}
    project = a_project(tmp_path / "chat", "chat-0", broken)
    with pytest.raises(RuntimeFailedError):
        run(world, project)

    world.runtime.down(project.name)

    assert world.runtime.containers(NODE) == ()
    assert world.networks() == frozenset()


def test_what_is_not_ours_is_neither_listed_nor_touched(world: World, tmp_path: Path) -> None:
    project = a_project(tmp_path / "chat", "chat-0", {"web": a_service()})
    # Its name starts as ours do: only the labels may count.
    foreign = world.put_foreign(f"{project.name}", "more")

    run(world, project)
    listed = ids(world)
    world.runtime.down(project.name)

    assert foreign not in listed.values()
    assert world.still_there(foreign)


def test_containers_of_another_node_are_not_listed(world: World, tmp_path: Path) -> None:
    run(world, a_project(tmp_path / "chat", "chat-0", {"web": a_service()}))

    assert world.runtime.containers("gpu-10") == ()
    assert world.runtime.containers("gpu") == ()


def test_health_is_told(world: World, tmp_path: Path, eventually: Eventually) -> None:
    services = {"web": with_check(), "plain": a_service()}
    run(world, a_project(tmp_path / "chat", "chat-0", services))
    eventually(lambda: by_service(world)["web"].health == "healthy")

    world.fall_ill("web")

    eventually(lambda: by_service(world)["web"].health == "unhealthy")
    assert by_service(world)["plain"].health == ""


@pytest.mark.parametrize("code", [0, 3, 137])
def test_exit_codes_are_told(
    world: World, tmp_path: Path, eventually: Eventually, code: int
) -> None:
    run(world, a_project(tmp_path / "chat", "chat-0", {"job": a_service()}))
    assert by_service(world)["job"].exit_code is None

    world.end(by_service(world)["job"], code)

    eventually(lambda: by_service(world)["job"].state == "exited")
    assert by_service(world)["job"].exit_code == code


def test_present_images_are_told(world: World) -> None:
    assert IMAGE in world.runtime.images()
    assert ABSENT not in world.runtime.images()


def test_resolving_makes_paths_absolute(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "chat"
    project = a_project(folder, "chat-0", {"web": a_service(volumes=["./conf:/etc/conf:ro"])})

    resolved = world.runtime.resolve(folder, project.name)

    (volume,) = resolved["services"]["web"]["volumes"]  # type: ignore[index] # JSON has no types
    assert volume["source"] == str(folder / "conf")


def test_a_file_without_services_is_refused(world: World, tmp_path: Path) -> None:
    project = a_project(tmp_path / "chat", "chat-0", {})

    with pytest.raises(RuntimeFailedError):
        world.runtime.resolve(tmp_path / "chat", project.name)


def test_an_engine_that_hangs_is_down_and_never_empty(world: World, tmp_path: Path) -> None:
    project = a_project(tmp_path / "chat", "chat-0", {"web": a_service()})
    run(world, project)
    before = ids(world)

    with world.hung() as runtime:
        for call in (
            lambda: runtime.containers(NODE),
            lambda: runtime.pull(project),
            lambda: runtime.up(project),
            lambda: runtime.down(project.name),
        ):
            with pytest.raises(RuntimeDownError):
                call()
        error = runtime.report().error

    assert error
    assert ids(world) == before


def test_restarts_and_ends_are_told(world: World, tmp_path: Path, eventually: Eventually) -> None:
    again = a_service(restart="always", environment={"MODE": "test"})
    run(world, a_project(tmp_path / "chat", "chat-0", {"web": again}))
    container = by_service(world)["web"]
    before = world.runtime.details(container.id)

    world.fall(container, 3)

    eventually(lambda: world.runtime.details(container.id).restarts >= 1)
    assert (before.restarts, before.exit_code, before.out_of_memory) == (0, None, False)
    assert before.environment["MODE"] == "test"


def test_each_start_is_told_apart(world: World, tmp_path: Path, eventually: Eventually) -> None:
    project = a_project(tmp_path / "chat", "chat-0", {"job": a_service()})
    run(world, project)
    container = by_service(world)["job"]
    before = world.runtime.details(container.id)
    world.end(container, 4)
    eventually(lambda: by_service(world)["job"].state == "exited")
    ended = world.runtime.details(container.id)

    world.runtime.up(project)

    assert (ended.exit_code, ended.started) == (4, before.started)
    assert world.runtime.details(container.id).started != before.started


def test_the_last_lines_of_a_log_are_told(
    world: World, tmp_path: Path, eventually: Eventually
) -> None:
    lines = "\n".join(f"line {number}" for number in range(100))
    printing = world.print_lines("web", lines)
    run(world, a_project(tmp_path / "chat", "chat-0", {"web": {**a_service(), **printing}}))
    container = by_service(world)["web"].id

    eventually(lambda: world.runtime.logs(container).rstrip().endswith("line 99"))

    assert len(world.runtime.logs(container).splitlines()) <= LOG_LINES


def test_a_container_that_is_gone_has_no_details_and_no_log(world: World) -> None:
    for call in (world.runtime.details, world.runtime.logs):
        with pytest.raises(RuntimeFailedError):
            call("f" * 64)


def test_stopped_containers_stay_where_they_are_and_the_others_run(
    world: World, tmp_path: Path
) -> None:
    services = {name: a_service() for name in ("a", "b", "c")}
    run(world, a_project(tmp_path / "chat", "chat-0", services))
    before = ids(world)

    world.runtime.stop((before["a"], before["b"]))

    assert ids(world) == before
    states = {service: one.state for service, one in by_service(world).items()}
    assert states == {"a": "exited", "b": "exited", "c": "running"}


def test_stopping_what_is_stopped_or_gone_is_nothing(world: World, tmp_path: Path) -> None:
    run(world, a_project(tmp_path / "chat", "chat-0", {"web": a_service()}))
    (web,) = ids(world).values()
    world.runtime.stop((web,))

    world.runtime.stop((web,))
    world.runtime.remove(web)
    world.runtime.stop((web,))

    assert ids(world) == {}
