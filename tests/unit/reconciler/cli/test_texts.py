"""What people read, word for word: read the diff of the golden files before committing it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from reconciler.cli.capacity_texts import capacity_json, capacity_text
from reconciler.cli.explain_texts import explanation
from reconciler.cli.past import Past
from reconciler.cli.past_texts import past_json, past_text, remembered
from reconciler.cli.plan_json import as_json
from reconciler.cli.plan_markdown import as_markdown
from reconciler.cli.plan_texts import Previewed, as_text, summary
from reconciler.cli.proposal_texts import (
    Proposal,
    proposal_json,
    proposal_markdown,
    proposal_text,
)
from reconciler.cli.status_texts import deployment_text, fleet_text, node_text
from reconciler.cli.steps import Meanwhile, Step
from reconciler.cli.terminal import safe
from reconciler.placing.capacity import MORE_MAX, Capacity, LargestFit
from reconciler.placing.rebalance import Move
from reconciler.preview import Fate, FileChange, Preview, ReplicaChange
from reconciler.web.overview import fleet_view
from reconciler.web.plain import dumps
from schemas.assignment import (
    Decision,
    DeploymentDecision,
    Hold,
    Reason,
    Refusal,
    RunnerUp,
    ScoreTerm,
    Verdict,
    Why,
)
from schemas.fleet import RebalanceBudget
from schemas.names import DeploymentName, NodeName, ReplicaName, split_replica
from schemas.problem import Place, Problem
from schemas.resources import Resources
from tests.builders import GIB, a_placement, a_share, an_assigned_replica, an_assignment
from tests.unit.reconciler.cli.pasts import a_commit
from tests.unit.reconciler.cli.screens import a_terminal
from tests.unit.reconciler.web.fleets import (
    NOW,
    a_busy_fleet,
    a_hold,
    a_rolling_fleet,
    an_observed,
    facts_of,
)

Golden = Callable[[str, Mapping[str, bytes]], None]

VIEW = fleet_view(a_busy_fleet())
BEFORE = b"services:\n  web:\n    image: example.org/web:1.0\n"
AFTER = b"services:\n  web:\n    image: example.org/web:2.0\n"


def a_change(replica: str, fate: Fate, **fields: object) -> ReplicaChange:
    deployment, _ = split_replica(replica)
    name = ReplicaName(replica)
    return ReplicaChange(replica=name, deployment=deployment, fate=fate, **fields)  # type: ignore[arg-type]  # fields of the class


def a_previewed(*, with_files: bool = False, why: str = "best of 3 nodes") -> Previewed:
    alpha, beta = NodeName("alpha"), NodeName("beta")
    new = FileChange(path="compose.yaml", before=None, after=AFTER)
    changed = FileChange(path="compose.yaml", before=BEFORE, after=AFTER)
    gone = FileChange(path="compose.yaml", before=BEFORE, after=None)
    changes = (
        a_change("chat-0", Fate.ADD, goes_to=alpha, files=(new,), why=why),
        a_change("code-assistant-0", Fate.CHANGE, was_on=beta, goes_to=beta, files=(changed,)),
        a_change("ports-0", Fate.CHANGE, was_on=beta, goes_to=beta),
        a_change("store-0", Fate.MOVE, was_on=alpha, goes_to=beta, why="alpha is draining"),
        a_change(
            "web-0", Fate.REMOVE, was_on=alpha, files=(gone,), volumes=("miaas-alpha-web-0_data",)
        ),
    )
    refusal = Refusal(
        replica=ReplicaName("huge-0"),
        reasons=(Reason(text="needs 80 GiB on one GPU, 46 GiB free", nodes=(alpha, beta)),),
        hint="ask for 46 GiB",
    )
    problem = Problem(Place("deployments/bad.yaml", 3, 7), "unknown key 'tmplate'", "use template")
    return Previewed(
        preview=Preview(replicas=changes, nodes=(alpha, beta), problems=(problem,)),
        refusals=(refusal,),
        with_files=with_files,
    )


def test_what_people_read_of_a_plan(golden: Golden) -> None:
    terminal = a_terminal()
    nothing = Previewed(preview=Preview(replicas=(), nodes=(), problems=()), refusals=())
    removed = tuple(c for c in a_previewed().preview.replicas if c.fate is Fate.REMOVE)
    held = replace(nothing, remarks=("Removals are held: too many.",), waiting=removed)

    golden(
        "cli/plan",
        {
            "plan.txt": as_text(a_previewed(), terminal).encode(),
            "plan-diff.txt": as_text(a_previewed(with_files=True), terminal).encode(),
            "plan-diff.md": as_markdown(a_previewed(with_files=True)).encode(),
            "plan-diff.json": as_json(a_previewed(with_files=True)).encode(),
            "nothing.txt": as_text(nothing, terminal).encode(),
            "nothing.md": as_markdown(nothing).encode(),
            "held.txt": as_text(held, terminal).encode(),
            "held.md": as_markdown(held).encode(),
            "held.json": as_json(held).encode(),
        },
    )


def test_what_people_read_of_a_fleet(golden: Golden) -> None:
    terminal = a_terminal()
    empty = fleet_view(facts_of(an_observed()))
    deployments = VIEW.deployments_by_name

    golden(
        "cli/status",
        {
            "fleet.txt": fleet_text(VIEW, NOW, terminal).encode(),
            "empty.txt": fleet_text(empty, NOW, terminal).encode(),
            "node.txt": node_text(VIEW.nodes_by_name["alpha"], NOW, terminal).encode(),
            "deployment.txt": deployment_text(deployments["chat"], NOW, terminal).encode(),
            "broken.txt": deployment_text(deployments["broken"], NOW, terminal).encode(),
        },
    )


def test_what_people_read_of_a_reason(golden: Golden) -> None:
    terminal = a_terminal()
    replicas = {
        "chat": {"chat-0", "chat-1"},
        "chat-1": {"chat-1"},
        "huge": {"huge-0"},
        "broken": set(),
        "past": {"past-0"},
        "zero": set(),
    }

    golden(
        "cli/explain",
        {
            f"{asked}.txt": explanation(
                VIEW, VIEW.deployments_by_name[asked.partition("-")[0]], frozenset(names), terminal
            ).encode()
            for asked, names in replicas.items()
        },
    )


def test_what_people_read_of_rollouts_and_of_what_waits(golden: Golden) -> None:
    terminal = a_terminal()
    view = fleet_view(a_rolling_fleet())
    of = view.deployments_by_name
    everyone = {
        name: frozenset((*(r.name for r in one.replicas), *(r.name for r in one.absent)))
        for name, one in of.items()
    }

    golden(
        "cli/rollouts",
        {
            "fleet.txt": fleet_text(view, NOW, terminal).encode(),
            **{
                f"{name}.txt": node_text(view.nodes_by_name[name], NOW, terminal).encode()
                for name in ("beta", "delta", "gamma", "omega")
            },
            **{
                f"{name}.txt": deployment_text(one, NOW, terminal).encode()
                for name, one in of.items()
            },
            **{
                f"explain-{name}.txt": explanation(view, one, everyone[name], terminal).encode()
                for name, one in of.items()
            },
        },
    )


def test_how_a_merge_comes_in_is_said_in_every_form() -> None:
    step = Step(
        deployment=DeploymentName("chat"),
        first=(ReplicaName("chat-0"),),
        meanwhile=(Meanwhile(replica=ReplicaName("chat-3"), text="at once, for a while"),),
        holds=(a_hold("gate", "waits for chat-0 to be ready", "chat-1", "chat-2"),),
    )
    said = (
        "chat: chat-0 at once; chat-3 at once, for a while; "
        "chat-1, chat-2 wait for chat-0 to be ready"
    )
    shown = replace(a_previewed(), steps=(step,))

    assert f"How it comes in:\n  {said}\n" in as_text(shown, a_terminal())
    assert f"**How it comes in**\n\n- {said}\n" in as_markdown(shown)
    assert json.loads(as_json(shown))["mayLandElsewhere"] == []
    assert json.loads(as_json(shown))["steps"] == [
        {
            "deployment": "chat",
            "first": ["chat-0"],
            "meanwhile": [{"replica": "chat-3", "text": "at once, for a while"}],
            "holds": [
                {
                    "reason": "gate",
                    "text": "waits for chat-0 to be ready",
                    "replicas": ["chat-1", "chat-2"],
                }
            ],
        }
    ]


@pytest.mark.parametrize(
    ("replica", "others", "named"),
    [
        pytest.param("store-0", True, ["store-0"], id="moves"),
        pytest.param("chat-0", True, ["chat-0"], id="is new"),
        pytest.param("ports-0", True, [], id="stays on its node"),
        pytest.param("web-0", True, [], id="goes"),
        pytest.param("store-0", False, [], id="nobody else changes"),
    ],
)
def test_a_plan_says_whose_place_may_be_taken_before_its_turn(
    replica: str, others: bool, named: list[str]
) -> None:
    name = ReplicaName(replica)
    waits = Hold(reason="gate", text="waits for x-0 to be ready", replicas=(name,))
    step = Step(deployment=split_replica(name)[0], first=(), holds=(waits,))
    preview = a_previewed().preview
    changes = tuple(one for one in preview.replicas if others or one.replica == name)
    shown = Previewed(preview=replace(preview, replicas=changes), refusals=(), steps=(step,))

    text = f"No room is kept for {replica}: by then it may be another node"

    assert json.loads(as_json(shown))["mayLandElsewhere"] == named
    assert (text in as_text(shown, a_terminal())) is bool(named)
    assert (text in as_markdown(shown)) is bool(named)


def a_capacity() -> Capacity:
    alpha, beta = NodeName("alpha"), NodeName("beta")
    free = Resources(cpu_milli=7_500, memory_mib=48 * GIB, disk_mib=1_500 * GIB)
    return Capacity(
        largest=(
            LargestFit(model="A10", shared_mib=0, shared_node=None, gpus=0, gpus_node=None),
            LargestFit(model="L40S", shared_mib=20_000, shared_node=beta, gpus=3, gpus_node=alpha),
        ),
        roomiest=(alpha, free),
        roomiest_cpu=(beta, free),
        roomiest_disk=(alpha, free),
        room={DeploymentName("chat"): 0, DeploymentName("web"): MORE_MAX},
        critical=(
            (alpha, tuple(map(ReplicaName, ("chat-0", "chat-1", "store-0")))),
            (beta, (ReplicaName("chat-2"),)),
        ),
        tied=frozenset({ReplicaName("store-0")}),
    )


def test_what_people_read_of_what_is_left(golden: Golden) -> None:
    terminal = a_terminal()
    nothing = Capacity(
        largest=(),
        roomiest=None,
        roomiest_cpu=None,
        roomiest_disk=None,
        room={},
        critical=(),
        tied=frozenset(),
    )

    golden(
        "cli/capacity",
        {
            "some.txt": capacity_text(a_capacity(), terminal).encode(),
            "some.json": capacity_json(a_capacity()).encode(),
            "nothing.txt": capacity_text(nothing, terminal).encode(),
            "nothing.json": capacity_json(nothing).encode(),
        },
    )


def a_proposal(*, waits_for: str | None = None, a_pass: int = 2) -> Proposal:
    alpha, beta = NodeName("alpha"), NodeName("beta")
    moves = tuple(
        Move(
            replica=ReplicaName(f"{name}-0"),
            was_on=alpha,
            to=a_placement(name, node=beta),
            gain=gain,
            why=why,
        )
        for name, gain, why in (
            ("chat", 0.5, "makes room for huge-0"),
            ("code-assistant", 0.4231, "room for 0.42 more replicas of what is asked for"),
        )
    )
    budget = RebalanceBudget(moves_per_pass=a_pass, moves_per_hour=6)
    return Proposal(moves, budget, waits_for)


def test_what_people_read_of_a_proposal(golden: Golden) -> None:
    terminal = a_terminal()
    shown = replace(a_previewed(), rebalance=a_proposal())
    none = Proposal((), RebalanceBudget(), None)

    golden(
        "cli/rebalance",
        {
            "plan.txt": as_text(shown, terminal).encode(),
            "plan.md": as_markdown(shown).encode(),
            "plan.json": as_json(shown).encode(),
            "waits.txt": proposal_text(
                a_proposal(waits_for="other changes are pending"), terminal
            ).encode(),
            "by-hand.txt": proposal_text(a_proposal(a_pass=0), terminal).encode(),
            "nothing.txt": proposal_text(none, terminal).encode(),
            "nothing.md": proposal_markdown(none).encode(),
            "nothing.json": json.dumps(proposal_json(none)).encode(),
        },
    )


def a_past() -> Past:
    placed = an_assigned_replica("chat", 0, why=a_why(), gpus=(a_share(),), ports={"http": 20000})
    refusal = a_previewed().refusals[0]
    verdict = DeploymentDecision(
        name=DeploymentName("huge"),
        template="web",
        replicas=1,
        verdict=Verdict.UNPLACED,
        refusals=(refusal,),
    )
    return Past(
        a_commit("chat: place chat-0 on alpha"),
        {NodeName("alpha"): an_assignment(replicas=(placed,))},
        Decision(deployments=(verdict,)),
    )


def a_why() -> Why:
    terms = (
        ScoreTerm(name="packing", value=0.951, weight=10.0),
        ScoreTerm(name="order", value=0.6, weight=0.25),
        ScoreTerm(name="order", value=0.5, weight=0.001),
        ScoreTerm(name="something new", value=1.0, weight=1.0),
    )
    runners = (RunnerUp(node=NodeName("beta"), score=9.638123456789),)
    return Why(text="packs the fleet best", score=10.66, terms=terms, runners_up=runners)


def test_what_people_read_of_the_past(golden: Golden) -> None:
    past, terminal = a_past(), a_terminal()
    found = {name: remembered(past, name) for name in ("chat", "chat-0", "huge", "huge-0")}

    assert remembered(past, "nobody") is None
    assert remembered(past, "huge-1") is None
    golden(
        "cli/past",
        {
            **{
                f"{n}.txt": past_text(past, one, terminal).encode()
                for n, one in found.items()
                if one
            },
            **{
                f"{n}.json": dumps(past_json(past, one)).encode() for n, one in found.items() if one
            },
        },
    )


@pytest.mark.parametrize(
    ("fates", "said"),
    [
        ((), "0 to add, 0 to change, 0 to remove"),
        ((Fate.ADD, Fate.ADD, Fate.CHANGE), "2 to add, 1 to change, 0 to remove"),
        ((Fate.MOVE,), "0 to add, 0 to change, 1 to move, 0 to remove"),
        ((Fate.REMOVE,), "0 to add, 0 to change, 1 to remove"),
    ],
)
def test_a_plan_is_counted(fates: tuple[Fate, ...], said: str) -> None:
    changes = tuple(
        ReplicaChange(
            replica=ReplicaName(f"chat-{number}"), deployment=DeploymentName("chat"), fate=fate
        )
        for number, fate in enumerate(fates)
    )

    assert summary(Preview(replicas=changes, nodes=(), problems=())) == said


def test_colours_add_nothing_but_colours() -> None:
    plain = as_text(a_previewed(with_files=True), a_terminal())
    painted = as_text(a_previewed(with_files=True), a_terminal(coloured=True))

    assert "\x1b[32m" in painted
    assert "\x1b" not in plain
    assert _without_colours(painted) == plain


def test_colours_do_not_shift_the_columns_of_a_table() -> None:
    plain = fleet_text(VIEW, NOW, a_terminal())

    assert _without_colours(fleet_text(VIEW, NOW, a_terminal(coloured=True))) == plain


def _without_colours(text: str) -> str:
    for code in ("32", "33", "31", "2", "1", "0"):
        text = text.replace(f"\x1b[{code}m", "")
    return text


def test_what_could_steer_a_terminal_is_taken_out() -> None:
    assert safe("a\x1b[2Jb\x07\r\u202ec\td\ne") == "a\ufffd[2Jb\ufffd\ufffd\ufffdc\td\ne"
    assert "\x1b" not in as_text(a_previewed(why="\x1b[2J"), a_terminal())


def test_text_of_a_document_stays_text_in_a_comment() -> None:
    written = as_markdown(a_previewed(why="<img src=x> | [a](http://b) `c` @all\n# head"))

    row = next(line for line in written.splitlines() if "chat-0" in line)
    assert "\\<img src=x\\> \\| \\[a\\](http://b) \\`c\\` \\@all \\# head" in row


def test_no_file_can_end_its_block_in_a_comment() -> None:
    tricky = FileChange(path="notes.md", before=None, after=b"````\n</details>\n")
    change = a_change("chat-0", Fate.ADD, goes_to=NodeName("alpha"), files=(tricky,))
    shown = Previewed(
        preview=Preview(replicas=(change,), nodes=(), problems=()), refusals=(), with_files=True
    )

    assert "`````diff\n" in as_markdown(shown)


def test_a_comment_is_never_longer_than_forges_take() -> None:
    long = FileChange(path="compose.yaml", before=None, after=b"x\n" * 60_000)
    changes = tuple(
        a_change(f"chat-{n}", Fate.ADD, goes_to=NodeName("alpha"), files=(long,)) for n in range(9)
    )
    shown = Previewed(
        preview=Preview(replicas=changes, nodes=(), problems=()), refusals=(), with_files=True
    )

    written = as_markdown(shown)
    assert len(written) < 65_536
    assert written.count("| `+` |") == 9
    assert written.endswith("run `miaas plan --diff`.\n")


def test_json_of_a_plan_has_no_files_unless_asked() -> None:
    value = json.loads(as_json(a_previewed()))

    assert value["summary"] == {"add": 1, "change": 2, "move": 1, "remove": 1}
    assert "diff" not in value["changes"][0]
    assert value["changes"][0]["files"] == ["compose.yaml"]
