"""Moving refs: all or none, from where they are expected, and what history then says."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest

from fleet.port import (
    Commit,
    RefUpdate,
    RejectedError,
    Repository,
    RepositoryError,
    StaleError,
    UnreachableError,
)
from schemas.names import CommitId
from tests.contract.fleet.conftest import AT, MAIN, NODES, STATE, World, committed, planted

OTHER = "refs/heads/other"


def test_several_refs_are_born_moved_and_deleted_in_one_push(world: World) -> None:
    client = world.client()
    one, two = committed(client, {"a": b"1"}), committed(client, {"a": b"2"})
    client.push((RefUpdate(MAIN, one, None), RefUpdate(STATE, one, None)))

    client.push(
        (RefUpdate(MAIN, two, one), RefUpdate(STATE, None, one), RefUpdate(OTHER, one, None))
    )

    assert world.refs() == {MAIN: two, OTHER: one}


@pytest.mark.parametrize("stale", ["elsewhere", "born", "gone"])
def test_one_stale_ref_stops_all(world: World, stale: str) -> None:
    client, other = world.client(), world.client()
    one, two = committed(client, {"a": b"1"}), committed(client, {"a": b"2"})
    client.push((RefUpdate(MAIN, one, None), RefUpdate(STATE, one, None)))
    three = committed(other, {"a": b"3"})
    update = {
        "elsewhere": RefUpdate(STATE, two, three),
        "born": RefUpdate(STATE, two, None),
        "gone": RefUpdate(OTHER, two, one),
    }[stale]
    before = world.refs()

    with pytest.raises(StaleError):
        client.push((RefUpdate(MAIN, two, one), update))

    assert world.refs() == before


@pytest.mark.parametrize("expected", ["elsewhere", "gone"])
def test_a_delete_of_what_is_not_there_is_stale(world: World, expected: str) -> None:
    client = world.client()
    one, two = committed(client, {"a": b"1"}), committed(client, {"a": b"2"})
    client.push((RefUpdate(MAIN, one, None),))
    update = RefUpdate(MAIN if expected == "elsewhere" else OTHER, None, two)

    with pytest.raises(StaleError):
        client.push((update,))

    assert world.refs() == {MAIN: one}


def test_a_ref_that_is_already_there_counts_as_moved(world: World) -> None:
    client = world.client()
    one, two = committed(client, {"a": b"1"}), committed(client, {"a": b"2"})
    client.push((RefUpdate(MAIN, one, None),))

    client.push((RefUpdate(MAIN, one, two), RefUpdate(STATE, two, None)))

    assert world.refs() == {MAIN: one, STATE: two}


def test_after_a_push_the_pusher_reads_what_it_pushed(world: World) -> None:
    client = world.client()
    one = committed(client, {"a": b"1"})
    client.push((RefUpdate(MAIN, one, None),))

    assert client.fetch(MAIN) == {MAIN: one}
    assert set(client.tree(one).files) == {"a"}


def test_a_hook_may_refuse(world: World) -> None:
    client = world.client()
    one = committed(client, {"a": b"1"})
    world.refuse()

    with pytest.raises(RejectedError, match="the branch is protected"):
        client.push((RefUpdate(MAIN, one, None),))
    with pytest.raises(RejectedError, match="the branch is protected"):
        client.push_own(MAIN, one)

    assert world.refs() == {}


def test_pushing_to_nobody_is_unreachable(world: World) -> None:
    client = world.client()
    one = committed(client, {"a": b"1"})
    world.vanish()

    with pytest.raises(UnreachableError):
        client.push((RefUpdate(MAIN, one, None),))
    with pytest.raises(UnreachableError):
        client.push_own(MAIN, one)


def test_an_own_ref_moves_wherever_it_is(world: World) -> None:
    client, other = world.client(), world.client()
    ref = f"{NODES}one"
    client.push_own(ref, committed(client, {"heartbeat.json": b"1"}))
    other.push_own(ref, committed(other, {"heartbeat.json": b"2"}))
    last = committed(client, {"heartbeat.json": b"3"})

    client.push_own(ref, last)

    assert world.refs() == {ref: last}


def test_a_child_of_a_shallow_commit_can_be_pushed(world: World) -> None:
    tip = None
    for number in range(5):
        tip = planted(world, STATE, [("100644", b"a", b"%d" % number)], parent=tip)
    assert tip is not None
    client = world.client()
    assert client.fetch(STATE) == {STATE: tip}

    child = committed(client, {"a": b"new"}, parent=tip)
    client.push((RefUpdate(STATE, child, tip),))

    assert world.refs() == {STATE: child}
    assert world.client().fetch_history(STATE) == child


def test_history_comes_whole_when_asked(world: World) -> None:
    commits: list[CommitId] = []
    for number in range(6):
        above = commits[-1] if commits else None
        commits.append(planted(world, MAIN, [("100644", b"a", b"%d" % number)], parent=above))
    client = world.client()
    client.fetch(MAIN)
    assert len(client.log(commits[-1], 10)) == 1

    assert client.fetch_history(MAIN) == commits[-1]

    assert [one.id for one in client.log(commits[-1], 10)] == commits[::-1]
    assert [one.id for one in client.log(commits[-1], 2)] == commits[:-3:-1]
    assert client.descends(commits[-1], commits[0])
    assert client.descends(commits[0], commits[0])
    assert not client.descends(commits[0], commits[-1])
    assert client.fetch_history(STATE) is None


def test_what_moves_on_after_the_first_fetch_is_followed_with_its_history(world: World) -> None:
    client = world.client()
    commits = [planted(world, MAIN, [("100644", b"a", b"0")])]
    client.fetch(MAIN)
    for number in range(1, 5):
        commits.append(planted(world, MAIN, [("100644", b"a", b"%d" % number)], parent=commits[-1]))

    client.fetch(MAIN)

    assert client.descends(commits[-1], commits[0])
    assert not client.descends(commits[-1], CommitId("1" * 40))
    assert not client.descends(CommitId("1" * 40), commits[0])


def test_a_commit_that_was_left_behind_can_be_had_while_the_remote_has_it(world: World) -> None:
    root = planted(world, MAIN, [("100644", b"a", b"0")])
    lost = planted(world, MAIN, [("100644", b"a", b"1")], parent=root)
    world.set_ref(MAIN, planted(world, MAIN, [("100644", b"a", b"2")]))
    client = world.client()
    client.fetch(MAIN)

    assert client.fetch_lost(lost)
    assert [one.id for one in client.log(lost, 9)] == [lost, root]
    assert not client.fetch_lost(CommitId("1" * 40))
    world.vanish()
    with pytest.raises(UnreachableError):
        client.fetch_lost(CommitId("2" * 40))


def test_what_one_history_has_and_another_has_not(world: World) -> None:
    client = world.client()
    root = committed(client, {"a": b"0"})
    left = committed(client, {"a": b"1"}, parent=root)
    right = [committed(client, {"a": b"2"}, parent=root)]
    right.append(committed(client, {"a": b"3"}, parent=right[0]))

    def ids(newer: CommitId, older: CommitId, limit: int = 9) -> list[CommitId]:
        return [one.id for one in client.since(newer, older, limit)]

    assert ids(right[1], left) == right[::-1]
    assert ids(right[1], left, 1) == [right[1]]
    assert ids(left, right[1]) == [left]
    assert ids(left, left) == ids(root, left) == []
    assert ids(left, CommitId("1" * 40)) == [left, root]


def test_what_a_merge_brought_is_part_of_its_history(world: World) -> None:
    root = planted(world, MAIN, [("100644", b"a", b"0")])
    side = planted(world, OTHER, [("100644", b"a", b"1")], parent=root)
    first = planted(world, OTHER, [("100644", b"a", b"2")], parent=root)
    client = world.client()
    tree = world.store("tree", b"")
    who = b"a <a@b> 1767323045 +0000"
    parents = b"parent %s\nparent %s" % (first.encode(), side.encode())
    lines = (b"tree " + tree.encode(), parents, b"author " + who, b"committer " + who, b"", b"x\n")
    merge = CommitId(world.store("commit", b"\n".join(lines)))
    world.set_ref(MAIN, merge)
    client.fetch_history(MAIN)

    found = [one.id for one in client.since(merge, root, 9)]

    assert found[0] == merge
    assert sorted(found[1:]) == sorted([first, side])
    whole = [one.id for one in client.history(merge, 9)]
    assert whole == [*found, root]
    assert [one.id for one in client.history(merge, 2)] == whole[:2]
    assert [one.id for one in client.log(merge, 9)] == [merge, first, root]
    assert client.show(merge).parents == (first, side)


def test_the_log_tells_all_of_a_commit(world: World) -> None:
    client = world.client()
    one = committed(client, {"a": b"1"})
    tree = client.write(None, {"a": b"2"})
    zone = timezone(timedelta(hours=2))
    says = "Place chat-0 on two\n\nThe node came back: größer.\n\nSource: 123\nReason: node ready"
    at = datetime(2026, 5, 6, 9, 8, 7, 999_999, tzinfo=zone)
    two = client.commit(tree, parent=one, message=says, at=at)
    client.push((RefUpdate(MAIN, two, None),))

    assert client.log(two, 1) == (client.show(two),)
    assert client.log(two, 1) == (
        Commit(
            id=two,
            tree=tree,
            parents=(one,),
            author="miaas <miaas@localhost>",
            at=datetime(2026, 5, 6, 7, 8, 7, tzinfo=UTC),
            message=f"{says}\n",
        ),
    )


def test_a_commit_was_made_when_its_committer_says(world: World) -> None:
    client = world.client()
    tree = client.write(None, {"a": b"1"})
    client.push((RefUpdate(MAIN, client.commit(tree, parent=None, message="x", at=AT), None),))
    rebased = (
        f"tree {tree}\nauthor a <a@b> 1767323045 +0000\n"
        "committer c <c@d> 1767326645 +0200\n\nwritten an hour before\n"
    )
    world.set_ref(MAIN, world.store("commit", rebased.encode()))
    found = client.show(client.fetch(MAIN)[MAIN])

    assert (found.author, found.at) == ("a <a@b>", AT + timedelta(hours=1))


def test_the_same_commit_has_the_same_id_in_any_client(world: World) -> None:
    first, second = world.client(), world.client()

    assert committed(first, {"a": b"1"}) == committed(second, {"a": b"1"})
    assert committed(first, {"a": b"1"}) != committed(first, {"a": b"1"}, says="y")


@pytest.mark.parametrize(
    "at",
    [datetime(2026, 1, 1), datetime(1969, 1, 1, tzinfo=UTC)],  # noqa: DTZ001  # the point of it
    ids=["no zone", "before 1970"],
)
def test_a_commit_needs_a_time(world: World, at: datetime) -> None:
    client = world.client()

    with pytest.raises(RepositoryError):
        client.commit(client.write(None, {}), parent=None, message="x", at=at)


def test_a_message_with_a_nul_is_refused(world: World) -> None:
    client = world.client()

    with pytest.raises(RepositoryError):
        client.commit(client.write(None, {}), parent=None, message="a\0b", at=AT)


@pytest.mark.parametrize(
    "updates",
    [
        pytest.param((RefUpdate(MAIN, None, None),), id="delete what must not exist"),
        pytest.param((RefUpdate("main", CommitId("1" * 40), None),), id="no ref"),
        pytest.param((RefUpdate(MAIN, CommitId("HEAD"), None),), id="no id"),
        pytest.param((RefUpdate(MAIN, CommitId("1" * 40), CommitId("x")),), id="no expected id"),
        pytest.param((RefUpdate(MAIN, None, CommitId("1" * 40)),) * 2, id="twice"),
    ],
)
def test_a_push_without_sense_is_refused(world: World, updates: tuple[RefUpdate, ...]) -> None:
    with pytest.raises(RepositoryError):
        world.client().push(updates)


def test_pushing_nothing_asks_nobody(world: World) -> None:
    client = world.client()
    world.vanish()

    client.push(())


def test_eight_writers_on_their_own_refs_all_succeed(world: World) -> None:
    clients = [world.client() for _ in range(8)]

    def beat(number: int) -> CommitId:
        made = committed(clients[number], {"heartbeat.json": b"%d" % number})
        clients[number].push_own(f"{NODES}n{number}", made)
        return made

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(beat, range(8)))

    assert world.refs() == {f"{NODES}n{number}": made[number] for number in range(8)}


def test_of_writers_on_one_ref_exactly_one_wins(world: World) -> None:
    base = planted(world, STATE, [("100644", b"a", b"0")])
    clients = [world.client() for _ in range(4)]
    start = threading.Barrier(len(clients))

    def publish(number: int) -> CommitId | None:
        client: Repository = clients[number]
        client.fetch(STATE)
        made = committed(client, {"a": b"writer %d" % number}, parent=base)
        start.wait(timeout=60)
        try:
            client.push((RefUpdate(STATE, made, base), RefUpdate(f"{NODES}n{number}", made, None)))
        except StaleError:
            return None
        return made

    with ThreadPoolExecutor(len(clients)) as pool:
        made = list(pool.map(publish, range(len(clients))))

    winners = [number for number, one in enumerate(made) if one is not None]
    assert len(winners) == 1
    assert world.refs() == {STATE: made[winners[0]], f"{NODES}n{winners[0]}": made[winners[0]]}


def test_one_client_serves_many_threads(world: World) -> None:
    client = world.client()
    tip = planted(world, MAIN, [("100644", b"f%d" % i, b"%d" % i) for i in range(40)])

    def look(_number: int) -> int:
        tree = client.tree(client.fetch(MAIN)[MAIN])
        return len(client.read(file.blob for file in tree.files.values()))

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(look, range(12))) == {40}
    assert client.fetch(MAIN) == {MAIN: tip}
