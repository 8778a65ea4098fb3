"""Where refs stand: fetching, missing refs, prefixes, unreachable remotes."""

from __future__ import annotations

import pytest

from fleet.port import RefUpdate, Refused, RepositoryError, UnreachableError
from schemas.names import CommitId
from tests.contract.fleet.conftest import MAIN, NODES, STATE, World, committed, planted


def test_an_empty_remote_answers_nothing_and_is_no_error(world: World) -> None:
    assert world.client().fetch(MAIN, STATE, NODES) == {}


def test_an_unreachable_remote_never_looks_empty(world: World) -> None:
    client = world.client()
    planted(world, MAIN, [("100644", b"a", b"1")])
    client.fetch(MAIN)
    world.vanish()

    with pytest.raises(UnreachableError):
        client.fetch(MAIN)
    with pytest.raises(UnreachableError):
        client.fetch(NODES)
    with pytest.raises(UnreachableError):
        client.fetch_history(MAIN)


def test_fetch_says_where_exact_refs_and_prefixes_stand(world: World) -> None:
    at = {
        ref: planted(world, ref, [("100644", b"a", ref.encode())])
        for ref in (MAIN, f"{NODES}one", f"{NODES}two", "refs/heads/other")
    }

    found = world.client().fetch(MAIN, NODES)

    assert found == {ref: at[ref] for ref in (MAIN, f"{NODES}one", f"{NODES}two")}


def test_a_prefix_does_not_match_names_that_only_begin_alike(world: World) -> None:
    one = planted(world, "refs/miaas/nodes/a", [("100644", b"a", b"1")])
    planted(world, "refs/miaas/nodes-of-old/a", [("100644", b"a", b"2")])

    assert world.client().fetch(NODES) == {"refs/miaas/nodes/a": one}


def test_an_exact_ref_does_not_match_a_longer_one(world: World) -> None:
    planted(world, f"{NODES}node-10", [("100644", b"a", b"1")])
    other = planted(world, MAIN, [("100644", b"a", b"2")])
    client = world.client()

    for _ in range(3):
        assert client.fetch(f"{NODES}node-1", MAIN) == {MAIN: other}


@pytest.mark.parametrize("asked", [(STATE,), (MAIN, STATE), (STATE, NODES), (STATE, MAIN, NODES)])
def test_a_missing_ref_is_missing_until_it_is_born(world: World, asked: tuple[str, ...]) -> None:
    main = planted(world, MAIN, [("100644", b"a", b"1")])
    client = world.client()
    there = {MAIN: main} if MAIN in asked else {}

    assert client.fetch(*asked) == there
    assert client.fetch(*asked) == there
    born = planted(world, STATE, [("100644", b"a", b"2")])
    assert client.fetch(*asked) == there | {STATE: born}


@pytest.mark.parametrize("asked", [(STATE,), (MAIN, STATE), (STATE, NODES)])
def test_a_deleted_ref_is_missing_at_the_next_fetch(world: World, asked: tuple[str, ...]) -> None:
    client = world.client()
    main = planted(world, MAIN, [("100644", b"a", b"1")])
    state = planted(world, STATE, [("100644", b"a", b"2")])
    client.fetch(*asked)
    world.client().push((RefUpdate(STATE, None, state),))

    assert client.fetch(*asked) == ({MAIN: main} if MAIN in asked else {})


def test_a_prefix_forgets_what_was_deleted_and_leaves_other_refs_alone(world: World) -> None:
    client = world.client()
    one = planted(world, f"{NODES}one", [("100644", b"a", b"1")])
    two = planted(world, f"{NODES}two", [("100644", b"a", b"2")])
    main = planted(world, MAIN, [("100644", b"a", b"3")])
    client.fetch(MAIN, NODES)
    world.client().push((RefUpdate(f"{NODES}one", None, one),))

    assert client.fetch(NODES) == {f"{NODES}two": two}
    assert client.fetch(MAIN) == {MAIN: main}


def test_a_ref_that_moved_backwards_or_aside_is_followed(world: World) -> None:
    client = world.client()
    first = planted(world, MAIN, [("100644", b"a", b"1")])
    second = planted(world, MAIN, [("100644", b"a", b"2")], parent=first)
    client.fetch(MAIN)

    world.set_ref(MAIN, first)
    assert client.fetch(MAIN) == {MAIN: first}
    aside = planted(world, MAIN, [("100644", b"a", b"3")])
    assert client.fetch(MAIN) == {MAIN: aside}
    world.set_ref(MAIN, second)
    assert client.fetch(MAIN) == {MAIN: second}
    assert set(client.tree(second).files) == {"a"}


def test_a_ref_that_is_no_commit_counts_as_missing(world: World) -> None:
    blob = world.store("blob", b"not a commit")
    world.set_ref(f"{NODES}evil", blob)
    good = planted(world, f"{NODES}good", [("100644", b"a", b"1")])

    assert world.client().fetch(NODES) == {f"{NODES}good": good}


def test_a_commit_with_an_odd_tree_does_not_hide_the_others(world: World) -> None:
    evil = planted(world, f"{NODES}evil", [("100644", b"..", b"1"), ("100644", b".git", b"2")])
    good = planted(world, f"{NODES}good", [("100644", b"a", b"1")])

    assert world.client().fetch(NODES) == {f"{NODES}evil": evil, f"{NODES}good": good}


def test_fetching_nothing_asks_nobody(world: World) -> None:
    client = world.client()
    world.vanish()

    assert client.fetch() == {}


@pytest.mark.parametrize(
    "ref",
    [
        "--upload-pack=touch /tmp/x",
        "main",
        "refs/heads",
        "refs/heads/../x",
        "refs/heads/a b",
        "refs/heads/a:refs/heads/b",
        "refs/heads/*",
        "refs/heads/a.lock",
        "refs/heads/.a",
        "refs/heads//a",
        "refs/heads/a\n",
        "refs/heads/@{1}",
        "",
        "/",
    ],
)
def test_what_is_no_ref_is_refused(world: World, ref: str) -> None:
    client = world.client()

    with pytest.raises(RepositoryError):
        client.fetch(ref)
    with pytest.raises(RepositoryError):
        client.push_own(ref, committed(client, {"a": b"1"}))


def test_refs_that_stand_at_no_commit_are_left_out_and_told(world: World) -> None:
    client = world.client()
    good = planted(world, f"{NODES}good", [("100644", b"a", b"1")])
    blob = world.store("blob", b"no commit")
    world.set_ref(f"{NODES}odd", blob)

    assert client.fetch(MAIN, NODES) == {f"{NODES}good": good}
    assert client.refused() == {f"{NODES}odd": Refused(CommitId(blob), "it stands at no commit")}

    world.set_ref(f"{NODES}odd", good)
    client.fetch(MAIN)
    assert set(client.refused()) == {f"{NODES}odd"}
    assert client.fetch(NODES) == {f"{NODES}good": good, f"{NODES}odd": good}
    assert client.refused() == {}
