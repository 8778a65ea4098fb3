"""What the agent decides to do, for every kind of change and drift."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acts import Act, Down, Pull, RemoveContainer, RemoveVolumes, Up
from agent.converge import Remembered, acts
from agent.drift import Stranger
from agent.holding import NOTHING, Holding
from agent.runtime.port import Container, Limits
from schemas.layout import project_name
from schemas.names import ReplicaName, TreeId
from schemas.resources import Drift
from tests.agent_builders import CHAT, CODE, NODE, TREE, a_container, a_service, a_want

RUNS = Remembered(present={CHAT: TREE}, held={CHAT: NOTHING})


def _renewal(reason: str, replica: ReplicaName = CHAT) -> tuple[Act, ...]:
    return (
        Pull(replica=replica, tree=TREE, reason=reason),
        Up(replica=replica, tree=TREE, reason=reason),
    )


def _removal(replica: ReplicaName) -> Down:
    reason = "the replica is no longer assigned"
    return Down(replica=replica, project=project_name(NODE, replica), reason=reason)


def test_starts_what_is_newly_assigned_and_pulls_before() -> None:
    assert acts(NODE, (a_want(),), (), Remembered()) == _renewal("the replica is newly assigned")


def test_leaves_alone_what_is_as_it_should_be() -> None:
    assert acts(NODE, (a_want(),), (a_container(),), RUNS) == ()


@pytest.mark.parametrize(
    ("containers", "reason"),
    [
        pytest.param((), "service web is missing", id="removed"),
        pytest.param(
            (a_container(state="exited", exit_code=0),),
            "service web is exited with code 0",
            id="stopped",
        ),
        pytest.param(
            (a_container(state="exited", exit_code=137),),
            "service web is exited with code 137",
            id="killed",
        ),
        pytest.param((a_container(state="created"),), "service web is created", id="never started"),
        pytest.param(
            (a_container(content_hash="old"),), "content of service web changed", id="changed"
        ),
        pytest.param(
            (a_container(content_hash=""),), "content of service web changed", id="label gone"
        ),
        pytest.param(
            (a_container(), a_container("old")),
            "service old is no longer part of it",
            id="service left",
        ),
        pytest.param(
            (a_container(), a_container(id="left over by a killed up")),
            "service web has 2 containers, 1 wanted",
            id="one too many",
        ),
    ],
)
def test_heals_drift_and_says_why(containers: tuple[Container, ...], reason: str) -> None:
    assert acts(NODE, (a_want(),), containers, RUNS) == _renewal(reason)


NETWORK = "miaas-alpha-chat-0_default"
GIB = 2**30
LIMITED = Limits(memory_bytes=GIB, cpu_milli=2000, restart="always")


def _anew(reason: str, container: Container) -> tuple[Act, ...]:
    """One container is removed and made again."""
    return (
        Pull(replica=CHAT, tree=TREE, reason=reason),
        RemoveContainer(replica=CHAT, tree=TREE, container=container.id, reason=reason),
        Up(replica=CHAT, tree=TREE, reason=reason),
    )


@pytest.mark.parametrize(
    ("web", "reason"),
    [
        pytest.param(a_container(state="paused"), "is paused", id="paused"),
        pytest.param(a_container(state="dead"), "is dead", id="dead"),
        pytest.param(a_container(state="removing"), "is removing", id="removing"),
        pytest.param(
            a_container(networks=()), f"is cut off from the network {NETWORK}", id="cut off"
        ),
        pytest.param(
            a_container(limits=replace(LIMITED, memory_bytes=GIB // 2)),
            "has 512 MiB, 1 GiB wanted",
            id="memory",
        ),
        pytest.param(
            a_container(limits=replace(LIMITED, memory_bytes=0)),
            "has no limit of memory, 1 GiB wanted",
            id="no limit",
        ),
        pytest.param(
            a_container(limits=replace(LIMITED, cpu_milli=500)),
            "has 0.5 cores, 2 cores wanted",
            id="cpu",
        ),
        pytest.param(
            a_container(limits=replace(LIMITED, cpu_milli=2002)),
            "has 2.002 cores, 2 cores wanted",
            id="cpu, one above what rounding makes",
        ),
        pytest.param(
            a_container(limits=replace(LIMITED, pids=10)),
            "has 10 processes, no limit of processes wanted",
            id="processes",
        ),
        pytest.param(
            a_container(limits=replace(LIMITED, cpus="0-1")),
            "is kept to the cores 0-1, any wanted",
            id="cores",
        ),
        pytest.param(
            a_container(limits=replace(LIMITED, restart="no")),
            "has the restart policy no, always wanted",
            id="restart policy",
        ),
    ],
)
def test_makes_anew_what_compose_would_leave_and_nothing_else(web: Container, reason: str) -> None:
    services = (a_service("web", networks=(NETWORK,), limits=LIMITED), a_service("db"))

    found = acts(NODE, (a_want(services=services),), (web, a_container("db")), RUNS)

    assert found == _anew(f"service web {reason}", web)


@pytest.mark.parametrize(
    "fine",
    [
        pytest.param(a_container(limits=LIMITED, networks=(NETWORK,)), id="as wanted"),
        pytest.param(
            a_container(limits=replace(LIMITED, cpu_milli=2001), networks=(NETWORK,)),
            id="a thousandth of a core more",
        ),
        pytest.param(
            a_container(limits=replace(LIMITED, cpu_milli=1999), networks=(NETWORK,)),
            id="a thousandth of a core less",
        ),
        pytest.param(a_container(), id="nobody looked, and the engine names no networks"),
        pytest.param(a_container(networks=("by-hand", NETWORK)), id="one network more"),
        pytest.param(
            a_container(limits=Limits(memory_bytes=None, cpu_milli=None, restart="always")),
            id="the engine keeps no such limits",
        ),
    ],
)
def test_leaves_alone_what_is_limited_and_connected_as_wanted(fine: Container) -> None:
    want = a_want(services=(a_service(networks=(NETWORK,), limits=LIMITED),))

    assert acts(NODE, (want,), (fine,), RUNS) == ()


def test_a_changed_service_is_left_to_compose_whatever_its_limits() -> None:
    web = a_container(content_hash="old", limits=Limits(), networks=())
    want = a_want(services=(a_service(networks=(NETWORK,), limits=LIMITED),))

    assert acts(NODE, (want,), (web,), RUNS) == _renewal("content of service web changed")


STRANGER = Stranger(id="5" * 64, project=project_name(NODE, CHAT), image="evil:1")


def test_removes_what_was_put_into_a_project_by_hand_and_leaves_the_rest() -> None:
    found = acts(NODE, (a_want(),), (a_container(),), replace(RUNS, strangers=(STRANGER,)))

    reason = "container 555555555555 of evil:1 was put into the project by hand"
    assert found == (
        RemoveContainer(replica=CHAT, tree=TREE, container=STRANGER.id, reason=reason),
    )


@pytest.mark.parametrize(
    "project", ["miaas-alpha-chat-01", "miaas-alpha-chat", "by-hand", project_name(NODE, CODE)]
)
def test_a_container_in_any_other_project_is_none_of_ours(project: str) -> None:
    stranger = replace(STRANGER, project=project)

    assert acts(NODE, (a_want(),), (a_container(),), replace(RUNS, strangers=(stranger,))) == ()


DRIFTED = (
    pytest.param((a_container(state="paused"),), id="paused"),
    pytest.param((a_container(state="exited", exit_code=137),), id="killed"),
    pytest.param((), id="removed"),
    pytest.param((a_container(networks=()),), id="cut off"),
    pytest.param((a_container(), a_container("old")), id="one more"),
)


@pytest.mark.parametrize("containers", DRIFTED)
def test_drift_that_is_only_told_is_left_alone(containers: tuple[Container, ...]) -> None:
    want = a_want(services=(a_service(networks=(NETWORK,)),), drift=Drift.REPORT)

    assert acts(NODE, (want,), containers, replace(RUNS, strangers=(STRANGER,))) == ()


@pytest.mark.parametrize("containers", DRIFTED)
def test_a_new_commit_is_applied_in_full_though_drift_is_only_told(
    containers: tuple[Container, ...],
) -> None:
    services = (a_service(hash="new", networks=(NETWORK,)),)
    want = a_want(services=services, drift=Drift.REPORT, tree=TreeId("2" * 40))
    healing = replace(want, drift=Drift.HEAL)
    remembered = replace(RUNS, strangers=(STRANGER,))

    found = acts(NODE, (want,), containers, remembered)

    assert found == acts(NODE, (healing,), containers, remembered)
    assert isinstance(found[-1], Up)


EXITED = a_container(state="exited", exit_code=137)
DONE = a_container(state="exited", exit_code=0)


@pytest.mark.parametrize(
    ("epoch", "container", "is_left"),
    [
        pytest.param(None, EXITED, True, id="not fenced: somebody may have stopped it"),
        pytest.param(3, EXITED, False, id="fenced: nobody knows who stopped it"),
        pytest.param(3, a_container(state="paused"), True, id="paused by hand"),
        pytest.param(3, None, True, id="removed by hand"),
        pytest.param(4, None, False, id="not there yet under a new grant"),
        pytest.param(4, a_container(state="paused"), True, id="paused, and a new grant"),
        pytest.param(None, replace(EXITED, stop_after=60), False, id="fenced until just now"),
    ],
)
def test_what_is_fenced_is_started_though_drift_is_only_told(
    epoch: int | None, container: Container | None, is_left: bool
) -> None:
    want = a_want(drift=Drift.REPORT, epoch=epoch)
    containers = () if container is None else (container,)
    remembered = replace(RUNS, epochs={CHAT: 3})

    assert (acts(NODE, (want,), containers, remembered) == ()) is is_left


def test_what_ended_well_is_not_started_again_though_it_is_fenced() -> None:
    services = (a_service(finishes=True), a_service("db"))
    want = a_want(services=services, drift=Drift.REPORT, epoch=3)

    assert acts(NODE, (want,), (DONE,), replace(RUNS, epochs={CHAT: 3})) == ()


def test_a_start_that_did_not_go_well_is_taken_up_though_drift_is_only_told() -> None:
    remembered = replace(RUNS, halfway=frozenset({CHAT}))
    container = a_container(content_hash="of another version")

    found = acts(NODE, (a_want(drift=Drift.REPORT),), (container,), remembered)

    assert found == _renewal("content of service web changed")


def test_an_interrupted_act_is_ended_though_drift_is_only_told() -> None:
    remembered = replace(RUNS, interrupted=frozenset({CHAT}))

    found = acts(NODE, (a_want(drift=Drift.REPORT),), (a_container(),), remembered)

    assert found == _renewal("the last act on it was interrupted")


def test_volumes_go_after_their_replica_and_with_the_word_alone() -> None:
    removable = replace(RUNS, removable=frozenset({CHAT}))
    project = project_name(NODE, CHAT)
    reason = "the replica is no longer assigned, and was with `onRemove: delete`"
    removal = RemoveVolumes(replica=CHAT, project=project, reason=reason)

    assert acts(NODE, (), (a_container(),), removable) == (_removal(CHAT), removal)
    assert acts(NODE, (), (), Remembered(removable=frozenset({CHAT}))) == (removal,)
    assert acts(NODE, (a_want(),), (a_container(),), removable) == ()
    assert acts(NODE, (), (a_container(),), replace(removable, waiting=frozenset({CHAT}))) == ()


@pytest.mark.parametrize(
    ("state", "health"),
    [
        pytest.param("running", "unhealthy", id="unhealthy is for the status"),
        pytest.param("running", "starting", id="starting needs time"),
        pytest.param("restarting", "", id="docker is healing already"),
    ],
)
def test_does_not_fight_with_docker(state: str, health: str) -> None:
    container = a_container(state=state, health=health)

    assert acts(NODE, (a_want(),), (container,), RUNS) == ()


@pytest.mark.parametrize(
    ("code", "is_done"), [pytest.param(0, True, id="done"), pytest.param(1, False, id="failed")]
)
def test_a_service_that_may_end_is_left_alone_when_it_ended_well(code: int, is_done: bool) -> None:
    want = a_want(services=(a_service(finishes=True),))

    found = acts(NODE, (want,), (a_container(state="exited", exit_code=code),), RUNS)

    assert (found == ()) is is_done


def test_names_every_fault_of_a_replica() -> None:
    want = a_want(services=(a_service("web"), a_service("worker"), a_service("cache")))
    containers = (a_container("web", content_hash="old"), a_container("cache"))

    found = acts(NODE, (want,), containers, RUNS)

    assert found == _renewal("content of service web changed; service worker is missing")


def test_removes_before_it_starts_so_that_ports_and_gpus_are_free() -> None:
    found = acts(NODE, (a_want(CODE),), (a_container(),), RUNS)

    assert found == (_removal(CHAT), *_renewal("the replica is newly assigned", CODE))


def test_removes_the_last_replica() -> None:
    assert acts(NODE, (), (a_container(),), RUNS) == (_removal(CHAT),)


def test_removes_what_only_memory_knows_since_its_network_may_be_left() -> None:
    assert acts(NODE, (), (), RUNS) == (_removal(CHAT),)


def test_removes_what_only_labels_know_since_memory_may_be_lost() -> None:
    assert acts(NODE, (), (a_container(),), Remembered()) == (_removal(CHAT),)


def test_a_new_tree_with_the_same_content_is_no_reason_to_act() -> None:
    want = a_want(tree=TreeId("2" * 40))

    assert acts(NODE, (want,), (a_container(),), RUNS) == ()


def test_a_start_tells_of_containers_of_which_nobody_knows_what_they_hold() -> None:
    changed = (a_container(content_hash="old"),)
    forgotten = replace(RUNS, held={})

    adopts = {
        name: [act.adopts for act in acts(NODE, (a_want(),), found, known) if isinstance(act, Up)]
        for name, found, known in (
            ("known", changed, RUNS),
            ("forgotten", changed, forgotten),
            ("new", (), Remembered()),
        )
    }

    assert adopts == {"known": [False], "forgotten": [True], "new": [False]}


def test_who_runs_from_its_files_starts_again_whatever_others_hold() -> None:
    """It has all that it needs already, so nobody can be in its way."""
    chat = a_want(holding=Holding(ports=(80,)))
    code = a_want(CODE, holding=Holding(ports=(81,)))
    fell = a_container(replica=CODE, state="exited", exit_code=1)
    forgotten = Remembered(waiting=frozenset({CHAT}))

    found = acts(NODE, (chat, code), (a_container(content_hash="old"), fell), forgotten)
    new = acts(NODE, (chat, code), (a_container(content_hash="old"),), forgotten)

    assert [act.replica for act in found if isinstance(act, Up)] == [CODE]
    assert [act.replica for act in new if isinstance(act, Up)] == []


def test_an_interrupted_act_is_done_again_though_all_looks_well() -> None:
    remembered = replace(RUNS, interrupted=frozenset({CHAT}))

    found = acts(NODE, (a_want(),), (a_container(),), remembered)

    assert found == _renewal("the last act on it was interrupted")


@pytest.mark.parametrize("assigned", [True, False])
def test_a_replica_that_waits_is_left_alone(assigned: bool) -> None:
    remembered = replace(RUNS, waiting=frozenset({CHAT}))
    wants = (a_want(),) if assigned else ()

    assert acts(NODE, wants, (a_container(state="created"),), remembered) == ()


def test_a_replica_whose_files_are_refused_stays_as_it_is() -> None:
    assert acts(NODE, (a_want(services=None),), (a_container(content_hash="x"),), RUNS) == ()


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(a_container(project="by-hand"), id="labels copied by hand"),
        pytest.param(a_container(project=project_name(NODE, CODE)), id="another's project"),
        pytest.param(a_container(project=""), id="no project"),
        pytest.param(
            a_container(replica=ReplicaName("Odd"), project="miaas-alpha-Odd"),
            id="no name of a replica",
        ),
        pytest.param(a_container(deployment="code"), id="another deployment"),
    ],
)
def test_never_touches_a_container_whose_project_is_not_ours(foreign: Container) -> None:
    assert acts(NODE, (), (foreign,), Remembered()) == ()


REPLICAS = [ReplicaName(f"{name}-{index}") for name in ("chat", "code") for index in range(2)]
SERVICES = ["web", "worker"]
STATES = ["running", "exited", "paused", "created", "restarting", "dead"]


@st.composite
def _worlds(draw: st.DrawFn) -> tuple[Any, Any, Remembered]:
    wants = tuple(
        a_want(
            replica,
            services=tuple(
                a_service(name, finishes=draw(st.booleans()))
                for name in draw(st.lists(st.sampled_from(SERVICES), unique=True, min_size=1))
            ),
        )
        for replica in draw(st.lists(st.sampled_from(REPLICAS), unique=True))
    )
    containers = tuple(
        a_container(
            draw(st.sampled_from(SERVICES)),
            replica,
            id=f"c{index}",
            state=draw(st.sampled_from(STATES)),
            exit_code=draw(st.sampled_from([None, 0, 1])),
            content_hash=draw(st.sampled_from(["hash-of-web", "hash-of-worker", "old"])),
            project=draw(st.sampled_from([project_name(NODE, replica), "by-hand"])),
        )
        for index, replica in enumerate(draw(st.lists(st.sampled_from(REPLICAS), max_size=6)))
    )
    present = dict.fromkeys(draw(st.lists(st.sampled_from(REPLICAS), unique=True)), TREE)
    return wants, containers, Remembered(present=present)


def _applied(
    decided: tuple[Act, ...], wants: Any, containers: tuple[Container, ...], before: Remembered
) -> tuple[tuple[Container, ...], Remembered]:
    """What a faultless engine makes of acts."""
    present = dict(before.present)
    by_replica = {want.replica: want for want in wants}
    for act in decided:
        if isinstance(act, Pull):
            continue
        if isinstance(act, RemoveContainer):
            containers = tuple(one for one in containers if one.id != act.container)
            continue
        project = project_name(NODE, act.replica)
        containers = tuple(one for one in containers if one.project != project)
        present.pop(act.replica, None)
        if isinstance(act, Up):
            present[act.replica] = act.tree
            containers += tuple(
                a_container(one.name, act.replica, content_hash=one.hash)
                for one in by_replica[act.replica].services
            )
    return containers, Remembered(present=present)


@given(_worlds())
def test_a_second_pass_has_nothing_to_do(world: tuple[Any, Any, Remembered]) -> None:
    wants, containers, remembered = world

    decided = acts(NODE, wants, containers, remembered)
    after = _applied(decided, wants, containers, remembered)

    assert acts(NODE, wants, *after) == ()


@given(_worlds(), st.randoms())
def test_the_order_of_a_listing_does_not_matter(
    world: tuple[Any, Any, Remembered], rng: Any
) -> None:
    wants, containers, remembered = world
    shuffled = list(containers)
    rng.shuffle(shuffled)

    found = acts(NODE, tuple(reversed(wants)), tuple(shuffled), remembered)

    assert found == acts(NODE, wants, containers, remembered)


@given(_worlds())
def test_every_act_is_on_a_replica_that_is_assigned_or_was_ours(
    world: tuple[Any, Any, Remembered],
) -> None:
    wants, containers, remembered = world
    ours = {one.replica for one in containers if one.project != "by-hand"}

    for act in acts(NODE, wants, containers, remembered):
        assert act.reason
        assert act.replica in {want.replica for want in wants} | ours | set(remembered.present)
        if isinstance(act, Down):
            assert act.project == project_name(NODE, act.replica)
