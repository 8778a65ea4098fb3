"""Which images go, and which never do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.runtime.port import Image
from agent.sweep import (
    KEEP_SECONDS,
    MOST_IN_A_PASS,
    RemoveImages,
    familiar,
    may_sweep,
    noted,
    still_known,
    sweep,
    unneeded_since,
)


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("redis", "redis:latest"),
        ("redis:7", "redis:7"),
        ("docker.io/library/redis:7", "redis:7"),
        ("index.docker.io/redis", "redis:latest"),
        ("docker.io/vllm/vllm-openai:v1", "vllm/vllm-openai:v1"),
        ("127.0.0.1:5000/a", "127.0.0.1:5000/a:latest"),
        ("ghcr.io/a/b:1", "ghcr.io/a/b:1"),
        ("a@sha256:00", "a@sha256:00"),
        ("docker.io/library/redis:7@sha256:00", "redis@sha256:00"),
        ("127.0.0.1:5000/a:1@sha256:00", "127.0.0.1:5000/a@sha256:00"),
        ("sha256:00", "sha256:00"),
    ],
)
def test_an_image_has_one_name(reference: str, name: str) -> None:
    assert familiar(reference) == name


OLD = Image(id="sha256:1", tags=("old:1",))
BY_DIGEST = Image(id="sha256:2", digests=("a@sha256:f",))


@pytest.mark.parametrize(
    ("image", "brought", "since"),
    [
        pytest.param(OLD, {"old:1": 5.0}, 5.0, id="brought and not needed"),
        pytest.param(OLD, {"old:1": 5.0, "sha256:1": 9.0}, 9.0, id="the later of both counts"),
        pytest.param(OLD, {"old:1": None}, None, id="needed by name"),
        pytest.param(OLD, {"old:1": 5.0, "sha256:1": None}, None, id="needed by id"),
        pytest.param(OLD, {}, None, id="not brought by us"),
        pytest.param(OLD, {"sha256:1": 5.0}, None, id="its name is somebody else's"),
        pytest.param(
            Image(id="sha256:1", tags=("old:1", "mine:1")), {"old:1": 5.0}, None, id="a name more"
        ),
        pytest.param(Image(id="sha256:1"), {"sha256:1": 5.0}, 5.0, id="its name moved on"),
        pytest.param(Image(id="sha256:1"), {"old:1": 5.0}, None, id="nameless and unknown"),
        pytest.param(BY_DIGEST, {"a@sha256:f": 5.0}, 5.0, id="by digest, not needed"),
        pytest.param(BY_DIGEST, {"a@sha256:f": None, "sha256:2": 5.0}, None, id="needed by digest"),
        pytest.param(BY_DIGEST, {"a@sha256:e": 5.0}, None, id="by a digest that is another's"),
    ],
)
def test_only_what_we_brought_and_nothing_needs_may_go(
    image: Image, brought: dict[str, float | None], since: float | None
) -> None:
    assert unneeded_since(image, brought) == since


def test_under_pressure_the_longest_unneeded_go_first_and_few_at_a_time() -> None:
    stored = tuple(Image(id=f"sha256:{n}", tags=(f"i:{n}",)) for n in range(9))
    brought = {f"i:{n}": float(100 - n) for n in range(9)}

    (act,) = sweep(stored, brought, 200.0, frozenset(), pressed=True)

    assert [image.id for image in act.images] == [f"sha256:{n}" for n in (8, 7, 6, 5, 4)]
    assert len(act.images) == MOST_IN_A_PASS
    assert act.reason == "the disk is nearly full, and nothing needs them"


@pytest.mark.parametrize(
    ("age", "goes"), [(KEEP_SECONDS - 1, False), (KEEP_SECONDS, True), (KEEP_SECONDS + 1, True)]
)
def test_without_pressure_only_the_old_go(age: float, goes: bool) -> None:
    brought: dict[str, float | None] = {"old:1": 0.0}
    act = RemoveImages(images=(OLD,), reason="nothing has needed them for 7 days")

    assert sweep((OLD,), brought, age, frozenset(), pressed=False) == ((act,) if goes else ())
    assert may_sweep(brought, age, pressed=False) is goes


def test_a_name_that_came_to_mean_another_image_leaves_the_old_one_ours() -> None:
    first = noted({"i:1": None}, {"i:1"}, {"sha256:a": "i:1"}, 10.0)
    then = noted(first, {"i:1"}, {"sha256:b": "i:1"}, 20.0)

    assert then == {"i:1": None, "sha256:a": 20.0, "sha256:b": None}
    stored = (Image(id="sha256:a"), Image(id="sha256:b", tags=("i:1",)))
    (act,) = sweep(stored, then, 30.0, frozenset(), pressed=True)
    assert act.images == (Image(id="sha256:a"),)


def test_what_was_here_before_us_is_never_noted() -> None:
    assert noted({}, {"i:1"}, {"sha256:a": "i:1"}, 10.0) == {}


def test_what_is_needed_again_starts_anew() -> None:
    needed = noted({"i:1": 5.0}, {"docker.io/library/i:1"}, {}, 10.0)

    assert needed == {"i:1": None}
    assert noted(needed, (), {}, 20.0) == {"i:1": 20.0}


def test_what_is_gone_and_not_needed_is_forgotten() -> None:
    brought = {"old:1": 1.0, "gone:1": 2.0, "coming:1": None, "sha256:1": 3.0}

    assert still_known(brought, (OLD,)) == {"old:1": 1.0, "coming:1": None, "sha256:1": 3.0}


NAMES = st.sampled_from(["a:1", "b:1", "c:1", "d:1"])
IDS = st.sampled_from(["sha256:1", "sha256:2", "sha256:3"])
STORED = st.lists(
    st.builds(Image, id=IDS, tags=st.lists(NAMES, unique=True, max_size=3).map(tuple)),
    unique_by=lambda image: image.id,
).map(tuple)
BROUGHT = st.dictionaries(NAMES | IDS, st.none() | st.floats(0, 1e6))


@given(STORED, BROUGHT, st.frozensets(NAMES), st.dictionaries(IDS, NAMES), st.booleans())
def test_nothing_needed_and_nothing_foreign_ever_goes(
    stored: tuple[Image, ...],
    brought: dict[str, float | None],
    needed: frozenset[str],
    ids: dict[str, str],
    pressed: bool,
) -> None:
    known = noted(brought, needed, ids, 2e6)

    gone = [
        image
        for act in sweep(stored, known, 3e6, {*ids, *needed}, pressed=pressed)
        for image in act.images
    ]

    for image in gone:
        assert image.id not in ids
        assert needed.isdisjoint(image.tags)
        assert set(image.tags) <= brought.keys()
        assert image.tags or image.id in brought


def test_an_image_that_is_used_under_an_older_name_stays() -> None:
    renamed = Image(id="sha256:1", tags=("b:1",))

    assert sweep((renamed,), {"b:1": 0.0}, 3e6, {"sha256:1"}, pressed=True) == ()


def test_an_image_that_is_needed_under_a_name_that_nobody_pulled_stays() -> None:
    both = Image(id="sha256:1", tags=("a:1",), digests=("a@sha256:f",))

    assert sweep((both,), {"a:1": 0.0}, 3e6, {"a@sha256:f"}, pressed=True) == ()
