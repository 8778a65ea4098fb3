"""`plan`, `explain` and `status` against a real repository, and how every command ends."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.cli.codes import Code
from tests.unit.reconciler.cli.fleets import Remote, git
from tests.unit.reconciler.cli.screens import Shell

DEPLOYMENT = """apiVersion: miaas/v1
kind: Deployment
metadata:
  name: {name}
spec:
  template: http-echo
{extra}"""


@pytest.fixture
def remote(miaas: Shell) -> Remote:
    """A fleet that was pushed and whose node speaks; we are in its work tree."""
    made = Remote(miaas.folder)
    miaas("init", "edge")
    made.push(miaas.folder / "edge")
    made.speak("node-1")
    miaas.go(miaas.folder / "edge")
    return made


def write(name: str, extra: str = "") -> None:
    text = DEPLOYMENT.format(name=name, extra=extra)
    Path("deployments", f"{name}.yaml").write_text(text)


@pytest.mark.usefixtures("remote")
def test_a_plan_shows_what_a_push_would_do(miaas: Shell) -> None:
    planned = miaas("plan")

    assert planned.code == 0, planned.err
    assert planned.out.splitlines()[0].startswith("  + hello-0  on node-1")
    assert planned.out.endswith("Plan: 1 to add, 0 to change, 0 to remove.\n")


def test_a_plan_reads_the_work_tree_and_not_the_commit(miaas: Shell, remote: Remote) -> None:
    remote.decide()
    Path("deployments/hello.yaml").unlink()
    write("second")

    value = json.loads(miaas("plan", "-o", "json").out)

    assert [(c["replica"], c["fate"]) for c in value["changes"]] == [
        ("hello-0", "remove"),
        ("second-0", "add"),
    ]


def test_a_plan_can_be_asked_for_a_tree_elsewhere(miaas: Shell, remote: Remote) -> None:
    miaas.go(miaas.folder)

    planned = miaas("plan", "edge", "--state", remote.url)

    assert "1 to add" in planned.out


def test_a_plan_of_what_is_committed_needs_no_work_tree(miaas: Shell, remote: Remote) -> None:
    miaas.go(miaas.folder)

    assert "1 to add" in miaas("plan", "--desired", remote.url).out


@pytest.mark.usefixtures("remote")
def test_a_plan_says_why_something_fits_nowhere(miaas: Shell) -> None:
    write("huge", "  resources: {memory: 512GiB}\n")

    planned = miaas("plan")

    assert "huge-0\n    node-1: " in planned.out
    assert "512" in planned.out


@pytest.mark.usefixtures("remote")
@pytest.mark.parametrize(
    ("changed", "words", "code"),
    [
        pytest.param(False, (), Code.FINE, id="settled"),
        pytest.param(False, ("--detailed-exitcode",), Code.FINE, id="settled, detailed"),
        pytest.param(True, (), Code.FINE, id="pending"),
        pytest.param(True, ("--detailed-exitcode",), Code.PENDING, id="pending, detailed"),
    ],
)
def test_the_detailed_exit_code_tells_pending_changes(
    miaas: Shell, changed: bool, words: tuple[str, ...], code: Code
) -> None:
    if changed:
        write("second")
    else:
        Path("deployments/hello.yaml").unlink()

    assert miaas("plan", *words).code == code


@pytest.mark.usefixtures("remote")
def test_a_plan_over_broken_documents_shows_the_rest_and_ends_with_1(miaas: Shell) -> None:
    write("bad", "  replicas: lots\n")

    planned = miaas("plan")

    assert planned.code == Code.PROBLEMS
    assert "deployments/bad.yaml:7:" in planned.out
    assert "  + hello-0" in planned.out


@pytest.mark.usefixtures("remote")
def test_a_diff_shows_the_rendered_files(miaas: Shell) -> None:
    planned = miaas("plan", "--diff")

    assert "      +++ b/hello-0/compose.yaml\n" in planned.out
    assert miaas("plan", "--diff", "-o", "markdown").out.count("```diff") == 1


MANY = ("hello", "one", "two", "three", "four")
ALLOWED = "drop them\n\nMiaas-Allow-Removals: yes"


@pytest.fixture
def emptied(miaas: Shell, remote: Remote) -> Path:
    """A work tree from which all five deployments that run are taken, not committed."""
    tree = miaas.folder / "edge"
    for name in MANY[1:]:
        write(name, "  volumes: {onRemove: delete}\n")
    remote.push(tree)
    remote.decide()
    for name in MANY:
        Path("deployments", f"{name}.yaml").unlink()
    return tree


def test_a_committed_word_that_allows_removals_counts(miaas: Shell, emptied: Path) -> None:
    git("add", "-A", folder=emptied)
    git("commit", "-qm", ALLOWED, folder=emptied)

    planned = miaas("plan", "--detailed-exitcode")

    assert planned.code == Code.PENDING
    assert "Removals are held" not in planned.out
    assert planned.out.endswith("Plan: 0 to add, 0 to change, 5 to remove.\n")


def test_the_command_that_a_held_removal_names_allows_it(miaas: Shell, emptied: Path) -> None:
    git("add", "-A", folder=emptied)
    git("commit", "-qm", "drop them", folder=emptied)
    said = miaas("plan").out
    command = said[said.index("git commit") : said.index(" (do not amend")]

    git(*shlex.split(command)[1:], folder=emptied)

    assert miaas("plan").out.endswith("Plan: 0 to add, 0 to change, 5 to remove.\n")


@pytest.mark.usefixtures("emptied")
def test_what_is_not_committed_has_no_word_yet(miaas: Shell) -> None:
    """The word of the last commit was about that one, and the next one has to say its own."""
    folder = miaas.folder / "edge"
    git("commit", "-q", "--allow-empty", "-m", ALLOWED, folder=folder)

    planned = miaas("plan")

    assert "Removals are held: main removes 5 of 5 running deployments" in planned.out


@pytest.mark.parametrize(
    ("words", "code"), [((), Code.FINE), (("--detailed-exitcode",), Code.PENDING)]
)
@pytest.mark.usefixtures("emptied")
def test_held_removals_are_listed_and_are_no_problem(
    miaas: Shell, words: tuple[str, ...], code: Code
) -> None:
    planned = miaas("plan", *words)
    value = json.loads(miaas("plan", "-o", "json").out)

    assert planned.code == code
    assert "Nothing would change.\n\nIf the removals were allowed:\n  - four-0" in planned.out
    assert "What these documents say" not in planned.out
    assert (value["changes"], value["problems"]) == ([], [])
    gone = {one["replica"]: one["fate"] for one in value["ifRemovalsWereAllowed"]}
    assert gone == {f"{name}-0": "remove" for name in MANY}
    assert "**If the removals were allowed**\n" in miaas("plan", "-o", "markdown").out


@pytest.mark.usefixtures("emptied")
def test_what_waits_with_held_removals_is_listed_with_them(miaas: Shell) -> None:
    write("new")

    planned = miaas("plan").out

    assert "  + new-0    on node-1" in planned.partition("If the removals were allowed:")[2]


@pytest.mark.parametrize(
    "words", [("status",), ("status", "hello"), ("explain", "hello"), ("plan",)]
)
def test_a_leader_that_died_is_the_first_thing_that_is_said(
    miaas: Shell, remote: Remote, words: tuple[str, ...]
) -> None:
    with Path("fleet.yaml").open("a") as file:
        file.write("  leader: {lease: 60s}\n")
    remote.push(Path.cwd())
    remote.lead("one", datetime(2026, 1, 5, tzinfo=UTC))

    ran = miaas(*words)

    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[0] == (
        "Nobody decides: one led, and was last heard of at 2026-01-05 00:00:00 UTC (lease 1m)."
    )


def test_a_leader_that_died_is_the_first_blocker(miaas: Shell, remote: Remote) -> None:
    with Path("fleet.yaml").open("a") as file:
        file.write("  leader: {lease: 60s}\n")
    remote.push(Path.cwd())
    remote.lead("one", datetime(2026, 1, 5, tzinfo=UTC))

    value = json.loads(miaas("explain", "hello", "-o", "json").out)

    assert value["blockers"][0].startswith("Nobody decides: one led")


def test_a_plan_of_a_work_tree_says_first_that_main_was_rewound(
    miaas: Shell, remote: Remote
) -> None:
    tree = miaas.folder / "edge"
    write("second")
    remote.push(tree)
    remote.publish()
    git("reset", "-q", "--hard", "HEAD~1", folder=tree)
    git("push", "-qf", "origin", "main", folder=tree)

    planned = miaas("plan")
    elsewhere = miaas("plan", "--desired", remote.url)

    assert planned.code == 0, planned.err
    first, *rest = planned.out.splitlines()
    assert first.startswith("Nothing may change: the branch is at ")
    assert ", the last accepted commit. So it is on main as pushed. Fix: push that comm" in first
    assert "  - second-0  from node-1" in "\n".join(rest)
    assert json.loads(miaas("plan", "-o", "json").out)["remarks"] == [first]
    assert f"\n{first[:40]}" in miaas("plan", "-o", "markdown").out
    assert elsewhere.out.splitlines()[0].startswith("Nothing may change: the branch is at ")


def test_a_plan_of_a_mended_work_tree_says_that_main_is_broken(
    miaas: Shell, remote: Remote
) -> None:
    tree = miaas.folder / "edge"
    whole = Path("fleet.yaml").read_text()
    Path("fleet.yaml").write_text(f"{whole}  suspend: perhaps\n")
    remote.push(tree)

    broken = miaas("plan").out
    Path("fleet.yaml").write_text(whole)
    mended = miaas("plan").out

    assert [line for line in broken.splitlines() if line.startswith("Nothing may change")] == [
        "Nothing may change: fleet.yaml:13:12 is broken."
    ]
    assert mended.startswith(
        "Nothing may change: fleet.yaml:13:12 is broken. So it is on main as pushed. Fix: "
    )
    assert "  + hello-0  on node-1" in mended


def test_a_plan_beside_a_main_that_is_out_of_reach_says_so(miaas: Shell, remote: Remote) -> None:
    git("remote", "set-url", "origin", str(miaas.folder / "gone.git"), folder=Path.cwd())

    planned = miaas("plan", "--state", remote.url)

    assert planned.code == 0, planned.err
    assert planned.out.startswith("main was not read, so whether anything may change is unknown: ")
    assert "  + hello-0  on node-1" in planned.out


def test_a_plan_before_the_first_push_says_nothing_of_main(miaas: Shell) -> None:
    miaas("init", "new")
    miaas.go(miaas.folder / "new")
    remote = Remote(miaas.folder)

    planned = miaas("plan", "--desired", remote.url, ".")

    assert planned.code == 0, planned.err
    assert "main" not in planned.out
    assert planned.out.endswith("Plan: 0 to add, 0 to change, 0 to remove.\n")


def test_capacity_tells_what_is_left_and_what_cannot_be_lost(miaas: Shell, remote: Remote) -> None:
    remote.decide()

    asked = miaas("capacity")
    value = json.loads(miaas("capacity", "-o", "json").out)

    assert asked.code == 0, asked.err
    assert "  node-1: 1 replica would have no other place (hello-0)\n" in asked.out
    assert value["cannotLose"] == [
        {"node": "node-1", "noOtherPlace": ["hello-0"], "volumesOnlyThere": []}
    ]
    assert value["largest"]["memoryMib"]["node"] == "node-1"
    assert [one["deployment"] for one in value["more"]] == ["hello"]


@pytest.mark.usefixtures("remote")
def test_a_plan_proposes_moves_where_it_is_asked_to(miaas: Shell) -> None:
    plain, asked = miaas("plan"), miaas("plan", "--rebalance")
    value = json.loads(miaas("plan", "--rebalance", "-o", "json").out)

    assert "Rebalancing" not in plain.out
    assert "\nRebalancing: no move of what runs would gain enough" in asked.out
    assert value["rebalance"]["waitsFor"] == "other changes are pending"
    assert value["rebalance"]["moves"] == []


MACHINE = """apiVersion: miaas/v1
kind: Machine
metadata: {name: node-2}
spec: {like: node-1}
"""


def test_a_simulation_shows_where_what_a_lost_node_ran_would_go(
    miaas: Shell, remote: Remote
) -> None:
    remote.decide()
    Path("new.yaml").write_text(MACHINE)

    asked = miaas("simulate", "--lose", "node-1", "--add", "new.yaml")

    assert asked.code == 0, asked.err
    lines = asked.out.splitlines()
    assert lines[:2] == ["Supposed: node-1 lost, node-2 added.", ""]
    assert lines[2].startswith("-/+ hello-0  node-1 -> node-2")
    assert not any("node-2" in line for line in miaas("plan").out.splitlines())


def test_a_simulated_deployment_is_planned_and_a_broken_one_ends_with_1(
    miaas: Shell, remote: Remote
) -> None:
    remote.decide()
    Path("asked.yaml").write_text(DEPLOYMENT.format(name="asked", extra="  replicas: 2\n"))
    Path("odd.yaml").write_text(DEPLOYMENT.format(name="odd", extra="  parameters: {x: 1}\n"))

    good = json.loads(miaas("simulate", "--deploy", "asked.yaml", "-o", "json").out)
    odd = miaas("simulate", "--deploy", "odd.yaml")

    added = [change["replica"] for change in good["changes"] if change["fate"] == "add"]
    assert added == ["asked-0", "asked-1"]
    assert good["remarks"] == ["Supposed: asked deployed."]
    assert odd.code == Code.PROBLEMS
    assert "  odd.yaml:7:16: " in odd.out


@pytest.mark.usefixtures("remote")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "what is to be supposed? Give --lose NODE, --add FILE or --deploy FILE"),
        (("--lose", "node-3"), "there is no node 'node-3'. Did you mean node-1?"),
        (("--add", "nowhere.yaml"), "there is no file nowhere.yaml"),
    ],
)
def test_a_simulation_of_what_cannot_be_meant_says_so(
    miaas: Shell, words: tuple[str, ...], said: str
) -> None:
    asked = miaas("simulate", *words)

    assert asked.code == Code.USAGE
    assert said in asked.err


def test_status_follows_a_deployment_from_commit_to_decision(miaas: Shell, remote: Remote) -> None:
    before = miaas("status", "hello").out
    remote.decide()
    after = miaas("status", "hello").out

    assert "Missing: the reconciler has not placed it yet" in before
    assert "Progressing: hello-0: node-1 has not taken it up yet" in after


def test_status_tells_since_when_a_node_is_drained(miaas: Shell, remote: Remote) -> None:
    miaas("status")
    document = Path("nodes", "node-1.yaml")
    document.write_text(
        "apiVersion: miaas/v1\nkind: Node\nmetadata: {name: node-1}\nspec: {duty: draining}\n"
    )
    began = datetime.now(UTC).replace(microsecond=0)
    remote.push(Path.cwd())
    Path("README.md").write_text("main goes on")
    remote.push(Path.cwd())

    text = miaas("status", "node-1").out
    value = json.loads(miaas("status", "node-1", "-o", "json").out)["node"]
    told = {one["type"]: one for one in value["conditions"]}

    assert "  Draining=True for " in text
    assert began <= datetime.fromisoformat(told["Draining"]["since"]) <= datetime.now(UTC)
    assert told["Draining"]["observedRevision"]


@pytest.mark.usefixtures("remote")
def test_status_shows_tables_and_json(miaas: Shell) -> None:
    text = miaas("status")
    value = json.loads(miaas("status", "--output", "json").out)

    assert "DEPLOYMENT  SYNC" in text.out
    assert "node-1  Ready" in text.out
    assert [node["name"] for node in value["nodes"]] == ["node-1"]
    assert json.loads(miaas("status", "node-1", "-o", "json").out)["node"] == value["nodes"][0]


def test_explain_says_why_here_and_why_not_there(miaas: Shell, remote: Remote) -> None:
    write("pinned", "  placement: {pin: [node-1]}\n  resources: {memory: 512GiB}\n")
    remote.push(Path())
    remote.decide()

    assert "hello-0 is on node-1\n  because: " in miaas("explain", "hello").out
    assert miaas("explain", "hello-0").out == miaas("explain", "hello").out
    more = miaas("explain", "hello", "--node", "node-1").out
    assert more == "hello: hello-0 is on node-1; one more fits\n"
    assert "pinned: not on node-1: " in miaas("explain", "pinned", "--node", "node-1").out
    value = json.loads(miaas("explain", "pinned", "--node", "node-1", "-o", "json").out)
    assert value["node"]["objections"]
    assert [one["replica"] for one in value["unplaced"]] == ["pinned-0"]


def test_explain_asks_for_one_more_where_one_runs(miaas: Shell, remote: Remote) -> None:
    write("apart", "  placement: {apart: [{deployments: [apart]}]}\n")
    remote.push(Path())
    remote.decide()

    told = miaas("explain", "apart", "--node", "node-1").out
    value = json.loads(miaas("explain", "apart", "--node", "node-1", "-o", "json").out)

    reason = "must be apart from apart over miaas/node"
    assert told == f"apart: apart-0 is on node-1; no more: {reason}\n"
    assert (value["node"]["here"], value["node"]["objections"]) == (["apart-0"], [reason])


def test_explain_leaves_all_else_where_it_is(miaas: Shell, remote: Remote) -> None:
    """What no node takes any longer still has its room."""
    write("large", "  resources: {cpu: 10}\n")
    remote.push(Path())
    remote.decide()
    write("large", "  resources: {cpu: 10}\n  placement: {pin: [nix]}\n")
    write("other", "  resources: {cpu: 10}\n")
    remote.push(Path())

    assert "needs 10 CPUs" in miaas("explain", "other", "--node", "node-1").out


def test_explain_tells_what_was_decided_before(miaas: Shell, remote: Remote) -> None:
    remote.decide()
    write("second")
    remote.push(Path())
    remote.decide()

    now = miaas("explain", "second", "--at", "HEAD~0")
    before = miaas("explain", "second", "--at", "HEAD~1")
    asked = miaas("explain", "hello-0", "--at", "HEAD~1", "-o", "json")
    assert asked.code == 0, asked.err
    value = json.loads(asked.out)

    assert "second-0 was on node-1" in now.out, now.err
    assert before.code == Code.USAGE
    assert "nothing was decided on 'second' in " in before.err
    assert [(one["name"], one["node"]) for one in value["replicas"]] == [("hello-0", "node-1")]
    assert value["verdict"] == "placed"


@pytest.mark.parametrize("words", [("status",), ("status", "hello"), ("explain", "hello")])
def test_an_empty_revision_names_no_decision(
    miaas: Shell, remote: Remote, words: tuple[str, ...]
) -> None:
    remote.decide()

    ran = miaas(*words, "--at", "")

    assert (ran.code, ran.out) == (Code.USAGE, "")
    assert "'' is no revision" in ran.err


@pytest.mark.usefixtures("remote")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("status", "helo"), "there is no node or deployment 'helo'. Did you mean hello?"),
        (("explain", "helo"), "there is no deployment or replica 'helo'. Did you mean hello?"),
        (
            ("explain", "hello", "--node", "node-2"),
            "there is no node 'node-2'. Did you mean node-1",
        ),
    ],
)
def test_a_misspelt_name_gets_a_suggestion(miaas: Shell, words: tuple[str, ...], said: str) -> None:
    ran = miaas(*words)

    assert (ran.code, ran.out) == (Code.USAGE, "")
    assert said in ran.err


def test_from_nowhere_it_says_where_to_look(miaas: Shell) -> None:
    for command in (("plan",), ("status",), ("explain", "x"), ("serve", "--port", "0")):
        ran = miaas(*command)
        assert (ran.code, ran.out) == (Code.USAGE, ""), command
        assert "miaas init" in ran.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(("--version",), Code.FINE, "miaas ", id="version"),
        pytest.param(("--help",), Code.FINE, "exit codes:", id="help"),
        pytest.param(("plan", "--help"), Code.FINE, "10  changes are pending", id="help of one"),
        pytest.param((), Code.USAGE, "required: COMMAND", id="nothing"),
        pytest.param(("pln",), Code.USAGE, "Did you mean plan?", id="misspelt command"),
        pytest.param(("status", "-o", "jsn"), Code.USAGE, "Did you mean json?", id="format"),
        pytest.param(("plan", "--dif"), Code.USAGE, "--dif", id="no abbreviations"),
        pytest.param(("serve", "--port", "70000"), Code.USAGE, "0 to 65535", id="port"),
        pytest.param(
            ("serve", "--port", "x"), Code.USAGE, "--port: 'x' is no whole number", id="no port"
        ),
        pytest.param(
            ("history", "--limit", "x"), Code.USAGE, "--limit: 'x' is no whole number", id="limit"
        ),
        pytest.param(
            ("status", "--desired", "ext::sh -c id"), Code.WORLD, "unknown scheme", id="scheme"
        ),
        pytest.param(
            ("status", "--desired", "/nowhere/fleet.git"), Code.WORLD, "nowhere", id="unreachable"
        ),
        pytest.param(
            ("serve", "--desired", "/x", "--every", "soon"), Code.USAGE, "no duration", id="every"
        ),
        pytest.param(
            ("serve", "--desired", "/x", "--every", "0s"), Code.USAGE, "at least 1s", id="too often"
        ),
    ],
)
def test_every_end_has_its_code_and_no_traceback(
    miaas: Shell, words: tuple[str, ...], code: Code, said: str
) -> None:
    ran = miaas(*words)

    assert ran.code == code, ran.err
    assert said in ran.out + ran.err
    assert "Traceback" not in ran.err


def test_what_the_reconciler_wrote_and_nobody_can_read_is_a_problem_with_a_place(
    miaas: Shell, remote: Remote
) -> None:
    remote.decide()
    remote.spoil("decision.json")

    ran = miaas("status")

    assert ran.code == Code.PROBLEMS
    assert ran.err.startswith("assignments:decision.json:1:1 (commit ")
