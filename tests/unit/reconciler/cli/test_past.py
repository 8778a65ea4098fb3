"""Which decision a revision names."""

from __future__ import annotations

import io

import pytest

from reconciler.cli.codes import UsageError
from reconciler.cli.past import Past, named
from reconciler.cli.past_fleet_texts import all_of, fleet_past_text, some_of
from reconciler.cli.terminal import Terminal
from schemas.heartbeat import ReplicaState
from tests.unit.reconciler.cli.pasts import a_commit
from tests.unit.reconciler.world import deployment
from tests.unit.rolling.fleet import a_fleet_of, spread

LOG = (
    a_commit("newest", id="aaaa1", source="5001"),
    a_commit("middle", id="aaaa2", source="5000"),
    a_commit("oldest", id="bbbb", source="5000"),
)


@pytest.mark.parametrize(
    ("revision", "subject"),
    [
        pytest.param("HEAD~0", "newest", id="the newest"),
        pytest.param("HEAD~2", "oldest", id="the first"),
        pytest.param("~1", "middle", id="short for HEAD"),
        pytest.param("HEAD", "newest", id="HEAD"),
        pytest.param("HEAD^", "middle", id="before HEAD"),
        pytest.param("HEAD^^", "oldest", id="two before HEAD"),
        pytest.param("aaaa2", "middle", id="first digits"),
        pytest.param("bbbb".ljust(40, "0"), "oldest", id="a whole id"),
        pytest.param("5001", "newest", id="what it was made from"),
        pytest.param("5000", "middle", id="the last that was made from it"),
    ],
)
def test_a_revision_names_one_decision(revision: str, subject: str) -> None:
    assert named(LOG, revision).message.startswith(f"{subject}\n")


@pytest.mark.parametrize(
    ("revision", "said"),
    [
        ("HEAD~3", "there are 3 decisions, so none is HEAD~3"),
        ("aaaa", "2 decisions begin with aaaa. Give more digits"),
        ("500", "'500' is no revision."),
        ("HEAD^^^", "there are 3 decisions, so none is HEAD^^^"),
        ("cccc", "cccc is no decision, and none was made from it"),
        ("abc", "'abc' is no revision. Give the first digits of a commit"),
        ("main", "'main' is no revision."),
        ("", "'' is no revision."),
    ],
)
def test_what_names_none_is_told(revision: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        named(LOG, revision)

    assert str(error.value).startswith(said)


def test_first_digits_of_several_commits_of_main_name_none() -> None:
    log = (a_commit("newest", id="aaaa1", source="50011"), a_commit("older", source="50012"))

    with pytest.raises(UsageError, match=r"2 commits begin with 5001\. Give more digits"):
        named(log, "5001")


def test_what_was_held_then_and_why_is_told() -> None:
    fleet = a_fleet_of(base=deployment("base", replicas=0), chat=spread(3))
    fleet.change("late", dependsOn="[base]")
    fleet.change("huge", resources="{memory: 900GiB}")
    fleet.states["chat-0"] = ReplicaState.FAILED
    fleet.world.commit({"deployments/chat.yaml": spread(3, "two")})
    fleet.rest(4)
    observed = fleet.world.decide().observed
    past = Past(a_commit(), observed.assignments, observed.decision)

    told = fleet_past_text(all_of(past), Terminal(io.StringIO(), io.StringIO()))

    assert "chat: rolledBack: chat-0 failed: it is ill\n" in told
    assert "late: late-0 waits for base (which asks for no replicas) to be ready\n" in told
    assert "huge: huge-0 has no node: " in told


def test_what_is_shown_of_one_name_is_shown_whole() -> None:
    fleet = a_fleet_of("alpha", "beta", chat=spread(2), other=deployment("other"))
    observed = fleet.world.decide().observed
    past = Past(a_commit(), observed.assignments, observed.decision)
    chat = ["chat", "placed", "2/2", "alpha,", "beta"]
    other = ["other", "placed", "1/1", "alpha"]
    alpha = ["alpha", "2", "chat-0,", "other-0"]
    beta = ["beta", "1", "chat-1"]

    def rows(name: str) -> list[list[str]]:
        shown = some_of(past, name)
        assert shown is not None
        text = fleet_past_text(shown, Terminal(io.StringIO(), io.StringIO()))
        return [
            row for row in map(str.split, text.splitlines()) if row in (chat, other, alpha, beta)
        ]

    assert rows("alpha") == [chat, other, alpha]
    assert rows("beta") == [chat, beta]
    assert rows("chat") == [chat, alpha, beta]
    assert rows("other") == [other, alpha]
    assert some_of(past, "gamma") is None
