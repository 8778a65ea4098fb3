"""What is said of deployments that do not run as main asks for a fault that is not the file's."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest

from reconciler.cli.explain import answer_at
from reconciler.cli.explain_texts import explanation
from reconciler.cli.looked import Looked
from reconciler.cli.past import Past
from reconciler.cli.past_fleet_texts import all_of, fleet_past_text
from reconciler.cli.past_texts import past_json, remembered
from reconciler.cli.plan_output import written
from reconciler.cli.plan_texts import Previewed
from reconciler.cli.status_texts import deployment_text, fleet_text, node_text
from reconciler.conditions.condition import Condition, ConditionType, Status
from reconciler.observing.causes import REMOVALS_FIX
from reconciler.preview import preview_of_aim
from reconciler.web.deployments import held_by
from reconciler.web.facts import Facts
from reconciler.web.looking import facts_of
from reconciler.web.overview import fleet_view
from reconciler.web.views import FleetView, Health
from schemas.assignment import Phase
from schemas.heartbeat import ReplicaState
from tests.unit.reconciler.cli.pasts import a_commit
from tests.unit.reconciler.cli.screens import a_terminal
from tests.unit.reconciler.web.fleets import NOW
from tests.unit.reconciler.web.pages import a_page, seen
from tests.unit.reconciler.world import deployment
from tests.unit.rolling.fleet import Fleet, a_fleet_of

CHAT = "deployments/search/chat.yaml"
BROKEN = "nodes/alpha.yaml:1:1"
TERMINAL = a_terminal()


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a fleet: the facts, and all that is shown of them."""

    facts: Facts
    view: FleetView

    def page(self, path: str) -> str:
        """The words of a page."""
        return seen(a_page(self.facts), path).text


def look(fleet: Fleet) -> Look:
    facts = facts_of(fleet.world.decide())
    return Look(facts, fleet_view(facts))


def a_fleet_with_a_broken_node(replicas: int = 4) -> Fleet:
    """Chat runs twice, on alpha; then alpha's document breaks, and chat asks for more at once."""
    fleet = a_fleet_of("alpha", chat=deployment("chat", replicas=2))
    fleet.world.commit(
        {
            "nodes/alpha.yaml": "x: 1\n",
            "deployments/chat.yaml": None,
            CHAT: deployment("chat", replicas=replicas),
        }
    )
    fleet.rest(2)
    return fleet


def condition(conditions: tuple[Condition, ...], kind: ConditionType) -> tuple[str, str, str]:
    (found,) = (one for one in conditions if one.type is kind)
    return found.status.value, found.reason, found.message


@pytest.mark.parametrize("output", ["text", "markdown", "json"])
def test_a_plan_names_who_is_held_by_a_broken_node(output: str) -> None:
    result = a_fleet_with_a_broken_node().world.decide()
    shown = Previewed(preview=preview_of_aim(result), refusals=(), holds=held_by(result.held))

    told = written(shown, output, TERMINAL)

    if output == "json":
        assert {tuple(one["holds"]) for one in json.loads(told)["problems"]} == {("chat",)}
    else:
        assert "(holds chat)" in told


def test_nobody_is_said_to_have_cordoned_a_node_whose_document_is_broken() -> None:
    text = look(a_fleet_with_a_broken_node()).page("/")

    assert "alpha document broken" in text
    assert "cordoned" not in text


def test_what_a_broken_node_holds_is_shown_as_main_has_it() -> None:
    chat = look(a_fleet_with_a_broken_node()).view.deployments_by_name["chat"]

    assert (chat.source, chat.wanted, chat.placed) == (CHAT, 4, 2)
    assert chat.sync.why == f"held by {BROKEN}: it stays as it last was"
    assert chat.health.state is Health.PROGRESSING
    assert chat.health.why == f"2 of 4 replicas have no node: held by {BROKEN}"
    assert chat.last_error == f"held by {BROKEN}: apiVersion is missing"


@pytest.mark.parametrize("kind", [ConditionType.HELD, ConditionType.PENDING])
def test_conditions_name_the_node_and_not_the_deployment(kind: ConditionType) -> None:
    chat = look(a_fleet_with_a_broken_node()).view.deployments_by_name["chat"]
    told = (Status.TRUE, "NodeNotUnderstood", f"held by {BROKEN}: apiVersion is missing")

    assert condition(chat.conditions, kind) == told
    assert [one.name for one in chat.absent] == ["chat-2", "chat-3"]
    assert condition(chat.absent[0].conditions, kind) == told


def test_one_that_asks_for_fewer_is_ready_and_held() -> None:
    chat = look(a_fleet_with_a_broken_node(replicas=1)).view.deployments_by_name["chat"]

    assert (chat.wanted, chat.placed) == (1, 2)
    assert condition(chat.conditions, ConditionType.PENDING)[0] == Status.FALSE
    assert condition(chat.conditions, ConditionType.HELD)[0] == Status.TRUE


def test_a_node_says_that_its_document_is_broken_and_where() -> None:
    alpha = look(a_fleet_with_a_broken_node()).view.nodes_by_name["alpha"]
    text = node_text(alpha, NOW, TERMINAL)

    assert alpha.duty_text == (
        f"its document is broken: {BROKEN}: apiVersion is missing; keeps what it has, takes "
        "nothing new"
    )
    assert alpha.to_mend[0].holds == ("chat",)
    assert condition(alpha.conditions, ConditionType.CORDONED) == (
        Status.TRUE,
        "DocumentUnusable",
        f"it takes nothing new: {BROKEN}: apiVersion is missing",
    )
    assert f"  {BROKEN}: apiVersion is missing. Fix: " in text
    assert "cordoned: keeps" not in text


def test_pages_name_the_file_that_holds() -> None:
    found = look(a_fleet_with_a_broken_node())

    chat, alpha = found.page("/deployments/chat"), found.page("/nodes/alpha")

    assert CHAT in chat
    assert "no file any more" not in chat
    assert "its newest version is everywhere" not in chat
    assert f"held by {BROKEN}" in chat
    assert f"its document is broken: {BROKEN}" in alpha
    assert "To mend in its document" in alpha


def test_explain_names_the_file_that_holds() -> None:
    found = look(a_fleet_with_a_broken_node()).view
    chat = found.deployments_by_name["chat"]

    text = explanation(found, chat, frozenset(one.name for one in chat.replicas), TERMINAL)

    assert text.startswith(
        f"chat: 4 wanted, 2 placed\n  held by {BROKEN}: apiVersion is missing. Fix: "
    )


def test_a_problem_that_holds_many_is_counted_once_and_names_them() -> None:
    fleet = a_fleet_of("alpha", chat=deployment("chat"), code=deployment("code"))
    fleet.world.commit({"nodes/alpha.yaml": "x: 1\n"})

    found = look(fleet)

    of_the_file = fleet.world.decide().observed.broken_nodes
    assert len(found.view.problems) == sum(map(len, of_the_file.values()))
    assert {one.holds for one in found.view.problems} == {("chat", "code")}
    assert found.view.verdict.text == (
        f"2 of 2 deployments not well, {len(found.view.problems)} problems in documents."
    )
    assert found.page("/problems").count("apiVersion is missing") == 1


def test_what_a_machine_wrote_is_no_problem_of_a_document() -> None:
    fleet = a_fleet_of("alpha", chat=deployment("chat"))
    fleet.world.push_heartbeat("alpha", b"{}")

    found = look(fleet).view

    assert found.problems == ()
    assert found.notices
    assert found.deployments_by_name["chat"].sync.why.startswith("held by refs/miaas/nodes/alpha")


def test_texts_of_the_fleet_name_the_file_that_holds() -> None:
    found = look(a_fleet_with_a_broken_node())

    table = fleet_text(found.view, NOW, TERMINAL)
    chat = deployment_text(found.view.deployments_by_name["chat"], NOW, TERMINAL)

    assert f"held by {BROKEN}: apiVersion is missing" in table
    assert f"  written in  {CHAT}\n" in chat
    assert f"  held by {BROKEN}: apiVersion is missing. Fix: " in chat


WHY = "main removes 4 of 5 running deployments, and guards.maxRemovals (30%) allows 3"
GONE = tuple(f"d{number}" for number in range(4))


def a_fleet_with_removals_held(**more: str) -> Fleet:
    """Five deployments, of which main removes four at once; and adds some."""
    texts = {name: deployment(name) for name in (*GONE, "stays")}
    fleet = a_fleet_of("alpha", fleet="  guards: {maxRemovals: 30%}\n", **texts)
    gone = {f"deployments/{name}.yaml": None for name in GONE}
    new = {f"deployments/team/{name}.yaml": text for name, text in more.items()}
    fleet.world.commit({**gone, **new})
    fleet.rest(2)
    return fleet


def test_removals_that_are_held_have_a_reason_of_their_own_and_no_file() -> None:
    found = look(a_fleet_with_removals_held())
    gone = found.view.deployments_by_name["d0"]
    told = (Status.TRUE, "RemovalsHeld", WHY)

    assert condition(gone.conditions, ConditionType.HELD) == told
    assert gone.source == ""
    assert [one.place for one in gone.problems] == [""]
    assert gone.last_error == WHY
    assert "deployments/d0.yaml" not in found.page("/deployments/d0")
    assert "deployments/d0.yaml" not in deployment_text(gone, NOW, TERMINAL)


def test_removals_that_are_held_are_no_problem_of_documents() -> None:
    found = look(a_fleet_with_removals_held()).view

    assert found.problems == ()
    assert found.verdict.text == "4 of 5 deployments not well."
    assert [one.text for one in found.banners] == [
        f"Removals are held: {WHY}. If that is meant, push a commit that says so: git commit "
        "--allow-empty -m 'This is meant' -m 'Miaas-Allow-Removals: yes' (do not amend one that "
        "was pushed). Or raise guards.maxRemovals."
    ]


def test_what_waits_beside_held_removals_keeps_its_file_and_what_it_asks_for() -> None:
    found = look(a_fleet_with_removals_held(new=deployment("new", replicas=3)))
    new = found.view.deployments_by_name["new"]

    assert (new.source, new.wanted, new.placed) == ("deployments/team/new.yaml", 3, 0)
    assert new.health.state is Health.MISSING
    assert new.health.why == "too much would be removed at once, and it never ran"
    assert condition(new.conditions, ConditionType.READY)[1] == "RemovalsHeld"


def test_explain_of_a_node_says_what_holds_it() -> None:
    found = look(a_fleet_with_removals_held())
    gone = found.view.deployments_by_name["d0"]
    looked = Looked(found.facts, found.view, NOW)

    assert answer_at(looked, gone, "alpha").text.startswith("d0-0 is on alpha")
    elsewhere = replace(gone, replicas=())
    assert answer_at(looked, elsewhere, "alpha").text == (
        f"not on alpha: it stays as it last was: {WHY}"
    )


def test_a_past_decision_says_what_held_it() -> None:
    observed = a_fleet_with_removals_held().world.decide().observed
    past = Past(a_commit(), observed.assignments, observed.decision)

    assert f"d0: stays as it last was: {WHY}\n" in fleet_past_text(all_of(past), TERMINAL)
    (then,) = (one for one in [remembered(past, "d0")] if one is not None)
    assert past_json(past, then)["problems"] == [f"{WHY}. Fix: {REMOVALS_FIX}"]


def test_what_was_rolled_back_is_written_where_main_has_it() -> None:
    fleet = a_fleet_of("alpha", chat=deployment("chat"))
    moved = {"deployments/chat.yaml": None, CHAT: deployment("chat", parameters="{text: two}")}
    fleet.states["chat-0"] = ReplicaState.FAILED
    fleet.world.commit(moved)
    fleet.rest(6)

    found = look(fleet)
    chat = found.view.deployments_by_name["chat"]

    assert chat.rollout.phase is Phase.ROLLED_BACK
    assert chat.source == CHAT
    assert "versions/chat" not in found.page("/deployments/chat")
