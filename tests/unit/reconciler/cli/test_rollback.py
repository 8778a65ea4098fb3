"""`history`, `rollback`, `accept-rewind` and `status --at` against real repositories."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from reconciler.cli.codes import Code
from reconciler.observing.trailers import values_of
from tests.unit.reconciler.cli.fleets import Remote, git
from tests.unit.reconciler.cli.screens import Shell

FILE = "deployments/chat.yaml"
WEB = "templates/web/template.yaml"


def deployment(text: str, *, name: str = "chat", template: str = "http-echo") -> None:
    Path("deployments", f"{name}.yaml").write_text(
        f"apiVersion: miaas/v1\nkind: Deployment\nmetadata: {{name: {name}}}\n"
        f"spec:\n  template: {template}\n  parameters: {{text: {text}}}\n"
    )


def spoil(path: str) -> None:
    Path(path).write_text(Path(path).read_text() + "  replicas: lots\n")


def template(note: str, *, also: str = "") -> None:
    """also: one more parameter that this version knows."""
    known = f", {also}: {{type: string}}" if also else ""
    Path(WEB).parent.mkdir(parents=True, exist_ok=True)
    Path(WEB).write_text(
        f"apiVersion: miaas/v1\nkind: Template\nmetadata: {{name: web}}\nspec:\n"
        f"  description: {note}\n  parameters:\n    type: object\n"
        "    additionalProperties: false\n"
        f"    properties: {{text: {{type: string}}{known}}}\n"
    )
    Path(WEB).with_name("compose.yaml.j2").write_text(
        f"services:\n  web:\n    image: example.org/web:{note}\n"
    )


class Fleet:
    """A remote, and the work tree that we are in."""

    def __init__(self, miaas: Shell) -> None:
        self.miaas = miaas
        self.remote = Remote(miaas.folder)
        miaas("init", "edge")
        self.tree = miaas.folder / "edge"
        self.remote.push(self.tree)
        self.remote.speak("node-1")
        miaas.go(self.tree)

    def push(self) -> str:
        self.remote.push(self.tree)
        return self.head()

    def head(self, branch: str = "main") -> str:
        return self.git("rev-parse", branch)

    def git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", f"--git-dir={self.remote.url}", *words], capture_output=True, check=True
        )
        return done.stdout.decode().strip()

    def shown(self, path: str, branch: str = "main") -> str:
        return self.git("show", f"{branch}:{path}") + "\n"

    def pull(self) -> None:
        git("pull", "-q", "origin", "main", folder=self.tree)

    def rewind(self, to: str) -> None:
        self.git("update-ref", "refs/heads/main", to)


@pytest.fixture
def fleet(miaas: Shell) -> Fleet:
    made = Fleet(miaas)
    for name, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org")):
        miaas.set(f"GIT_AUTHOR_{name}", value)
    return made


def test_a_rollback_brings_back_what_was_before_the_newest_change(fleet: Fleet) -> None:
    deployment("one")
    before = fleet.push()
    one = Path(FILE).read_text()
    deployment("two")
    fleet.push()
    Path("README.md").write_text("words")
    parent = fleet.push()

    ran = fleet.miaas("rollback", "chat")

    assert ran.code == 0, ran.err
    assert f"chat as it was in {before[:12]}" in ran.out
    assert "-  parameters: {text: two}" in ran.out
    assert "+  parameters: {text: one}" in ran.out
    assert ran.out.endswith(f"pushed {fleet.head()[:12]} to main\n")
    assert fleet.shown(FILE) == one
    assert fleet.git("rev-parse", "main^") == parent
    assert fleet.git("log", "-1", "--format=%an <%ae>: %s", "main") == (
        f"Ada <ada@example.org>: Roll back chat to {before[:12]}"
    )


def test_a_rollback_can_be_shown_alone_or_go_onto_a_branch(fleet: Fleet) -> None:
    deployment("none")
    first = fleet.push()
    deployment("one")
    fleet.push()
    one = Path(FILE).read_text()
    deployment("two")
    head = fleet.push()

    shown = fleet.miaas("rollback", "chat", "--dry-run")
    assert (shown.code, fleet.head()) == (0, head)
    ran = fleet.miaas("rollback", "chat", "--onto", "back")
    again = fleet.miaas("rollback", "chat", "--to", first, "--onto", "back")

    assert ran.out.startswith(shown.out)
    assert (fleet.head(), fleet.shown(FILE, "back")) == (head, one)
    assert again.code == Code.WORLD
    assert "there is a branch back already: nothing was pushed" in again.err


def test_a_rollback_goes_as_far_back_as_it_is_asked(fleet: Fleet) -> None:
    deployment("one")
    first = fleet.push()
    one = Path(FILE).read_text()
    for text in ("two", "three"):
        deployment(text)
        fleet.push()

    assert fleet.miaas("rollback", "chat", "--to", first[:8]).code == 0
    assert fleet.shown(FILE) == one
    assert "three" in fleet.miaas("rollback", "chat", "--to", "HEAD~1", "--dry-run").out


def test_a_pull_of_one_person_hides_no_version_of_the_branch(fleet: Fleet) -> None:
    deployment("one")
    fleet.push()
    git("clone", "-q", fleet.remote.url, "bob", folder=fleet.miaas.folder)
    deployment("two")
    two, text = fleet.push(), Path(FILE).read_text()
    deployment("three")
    fleet.push()
    bob = fleet.miaas.folder / "bob"
    git("commit", "-q", "--allow-empty", "-m", "Bob's own", folder=bob)
    git("pull", "-q", "--no-rebase", "--no-edit", "origin", "main", folder=bob)
    git("push", "-q", "origin", "main", folder=bob)

    named = fleet.miaas("rollback", "chat", "--to", two[:12], "--dry-run")
    ran = fleet.miaas("rollback", "chat")

    assert fleet.git("log", "-1", "--format=%s", "main^^").startswith("Bob's own")
    assert (named.code, ran.code) == (0, 0), named.err + ran.err
    assert f"chat as it was in {two[:12]}" in named.out
    assert f"chat as it was in {two[:12]}" in ran.out
    assert fleet.shown(FILE) == text


def test_what_a_pull_request_passed_through_never_ran_and_is_not_gone_back_to(fleet: Fleet) -> None:
    deployment("one")
    one = fleet.push()
    git("checkout", "-q", "-b", "change", folder=fleet.tree)
    for text in ("draft", "two"):
        deployment(text)
        git("commit", "-qam", text, folder=fleet.tree)
    git("checkout", "-q", "main", folder=fleet.tree)
    git("merge", "-q", "--no-ff", "--no-edit", "change", folder=fleet.tree)
    git("push", "-q", "origin", "main", folder=fleet.tree)

    ran = fleet.miaas("rollback", "chat", "--dry-run")

    assert ran.code == 0, ran.err
    assert f"chat as it was in {one[:12]}" in ran.out
    assert (
        "+  parameters: {text: draft}"
        in fleet.miaas(
            "rollback", "chat", "--to", fleet.git("rev-parse", "main^2^"), "--dry-run"
        ).out
    )


def test_a_removed_deployment_comes_back_where_it_was(fleet: Fleet) -> None:
    deployment("one")
    fleet.push()
    one = Path(FILE).read_text()
    Path(FILE).unlink()
    fleet.push()

    assert fleet.miaas("rollback", "chat").code == 0
    assert fleet.shown(FILE) == one


def test_a_file_that_moved_goes_back_to_its_folder(fleet: Fleet) -> None:
    deployment("one")
    first = fleet.push()
    Path("deployments/sub").mkdir()
    Path(FILE).rename("deployments/sub/chat.yaml")
    fleet.push()

    assert fleet.miaas("rollback", "chat", "--to", first).code == 0
    files = fleet.git("ls-tree", "-r", "--name-only", "main", "deployments").split()
    assert files == [FILE, "deployments/hello.yaml"]


def test_a_template_of_the_repository_goes_back_with_its_only_deployment(fleet: Fleet) -> None:
    template("v1")
    deployment("one", template="web")
    fleet.push()
    template("v2")
    fleet.push()

    ran = fleet.miaas("rollback", "chat")

    assert ran.code == 0, ran.err
    assert "description: v1" in fleet.shown(WEB)


def test_a_template_that_others_use_goes_back_only_when_that_is_said(fleet: Fleet) -> None:
    template("v1")
    deployment("one", template="web")
    deployment("one", template="web", name="other")
    first = fleet.push()
    template("v2")
    deployment("two", template="web")
    head = fleet.push()

    refused = fleet.miaas("rollback", "chat", "--to", first)

    assert (refused.code, fleet.head()) == (Code.USAGE, head)
    assert "the template web changed since then, too, and other would go back" in refused.err
    kept = fleet.miaas("rollback", "chat", "--to", first, "--template", "keep")
    assert kept.code == 0, kept.err
    assert "description: v2" in fleet.shown(WEB)
    fleet.miaas("rollback", "chat", "--to", first, "--template", "restore")
    assert "description: v1" in fleet.shown(WEB)


def test_who_cannot_be_read_may_use_the_template_too(fleet: Fleet) -> None:
    template("v1")
    deployment("one", template="web")
    deployment("one", template="web", name="other")
    deployment("one", template="web", name="third")
    fleet.push()
    template("v2")
    deployment("two", template="web")
    spoil("deployments/other.yaml")
    fleet.push()

    refused = fleet.miaas("rollback", "chat")
    Path("deployments/third.yaml").unlink()
    head = fleet.push()
    alone = fleet.miaas("rollback", "chat")

    assert (refused.code, alone.code, fleet.head()) == (Code.USAGE, Code.USAGE, head)
    assert (
        "too, and third would go back with it, and other may use it, and cannot be read today. Fix:"
        in refused.err
    )
    assert "too, and other may use it, and cannot be read today. Fix: say" in alone.err
    assert fleet.miaas("rollback", "chat", "--template", "restore").code == 0


def test_what_would_hold_another_deployment_is_not_pushed(fleet: Fleet) -> None:
    template("v1")
    deployment("one", template="web")
    deployment("one", template="web", name="other")
    fleet.push()
    template("v2", also="color")
    deployment("two", template="web")
    deployment("one, color: red", template="web", name="other")
    head = fleet.push()

    ran = fleet.miaas("rollback", "chat", "--template", "restore")

    assert (ran.code, fleet.head()) == (Code.PROBLEMS, head)
    first, problem, fix = ran.err.splitlines()
    assert first.startswith("with chat as it was in ")
    assert first.endswith(", other would be held:")
    assert problem.startswith("deployments/other.yaml:6:27: spec.parameters.color is not known")
    assert fix.startswith("Nothing was pushed. Fix: say --template keep to leave the template")
    assert fleet.miaas("rollback", "chat", "--template", "keep").code == 0


def test_what_is_held_already_keeps_nobody_from_going_back(fleet: Fleet) -> None:
    deployment("one")
    fleet.push()
    deployment("two")
    deployment("one", template="none", name="other")
    fleet.push()

    ran = fleet.miaas("rollback", "chat")

    assert ran.code == 0, ran.err


def test_what_no_older_text_would_mend_is_told_as_that(fleet: Fleet) -> None:
    deployment("one")
    fleet.push()
    deployment("two")
    Path("deployments/sub").mkdir()
    Path("deployments/sub/chat.yaml").write_text(Path(FILE).read_text())
    head = fleet.push()

    ran = fleet.miaas("rollback", "chat")

    assert (ran.code, fleet.head()) == (Code.PROBLEMS, head)
    assert ran.err.startswith(f"chat is held today, and would still be:\n{FILE}: the same ")


def test_a_problem_of_an_older_text_says_of_which(fleet: Fleet) -> None:
    deployment("one")
    fleet.push()
    spoil(FILE)
    broken = fleet.push()
    deployment("two")
    head = fleet.push()

    ran = fleet.miaas("rollback", "chat")

    assert (ran.code, fleet.head()) == (Code.PROBLEMS, head)
    assert ran.err.startswith(f"chat as it was in {broken[:12]}:\n{FILE}:7:13: ")
    assert ran.err.endswith("\nNothing was pushed. Fix: name another commit with --to\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("chta",), "there is no deployment 'chta'. Did you mean chat?"),
        (("hello",), "hello never changed since the first commit"),
        (("chat",), "chat was not there before, in"),
        (("chat", "--to", "HEAD~1"), "there was no deployment 'chat' in"),
        (("chat", "--to", "HEAD~0"), "chat is today as it was in"),
        (("chat", "--to", "HEAD~9"), "the branch has 2 commits, so none is HEAD~9"),
        (("chat", "--to", "0000000"), "'0000000' names no commit of the branch"),
    ],
)
def test_what_cannot_be_taken_back_is_told(fleet: Fleet, words: tuple[str, ...], said: str) -> None:
    deployment("one")
    head = fleet.push()

    ran = fleet.miaas("rollback", *words)

    assert (ran.code, fleet.head()) == (Code.USAGE, head), ran.err
    assert said in ran.err


def test_what_would_only_be_held_is_not_pushed(fleet: Fleet) -> None:
    template("v1")
    deployment("one", template="web")
    first = fleet.push()
    deployment("two")
    Path(WEB).unlink()
    Path(WEB).with_name("compose.yaml.j2").unlink()
    head = fleet.push()

    ran = fleet.miaas("rollback", "chat", "--to", first, "--template", "keep")

    assert (ran.code, fleet.head()) == (Code.PROBLEMS, head)
    assert "there is no template 'web'" in ran.err


def test_nobody_commits_without_a_name(fleet: Fleet) -> None:
    fleet.miaas.set("GIT_AUTHOR_NAME", "")
    fleet.miaas.set("HOME", str(fleet.miaas.folder))
    fleet.miaas.set("GIT_CONFIG_NOSYSTEM", "1")
    fleet.miaas.set("XDG_CONFIG_HOME", str(fleet.miaas.folder))

    ran = fleet.miaas("rollback", "hello")

    assert ran.code == Code.USAGE
    assert "git does not know who you are" in ran.err


def test_a_name_that_is_no_utf_8_is_told(fleet: Fleet) -> None:
    head = fleet.head()
    settings = fleet.miaas.folder / "gitconfig"
    settings.write_bytes(b"[user]\nname = J\xf6rg\n")
    fleet.miaas.set("GIT_CONFIG_GLOBAL", str(settings))

    fleet.miaas.set("GIT_AUTHOR_NAME", os.fsdecode(b"Bj\xf6rn"))
    variable = fleet.miaas("rollback", "hello")
    fleet.miaas.set("GIT_AUTHOR_NAME", "")
    setting = fleet.miaas("rollback", "hello")

    assert (variable.code, setting.code, fleet.head()) == (Code.USAGE, Code.USAGE, head)
    assert r"GIT_AUTHOR_NAME is 'Bj\xf6rn', which is not UTF-8. Fix: write it" in variable.err
    assert r"git's user.name is 'J\xf6rg', which is not UTF-8. Fix: write it" in setting.err


def decided(fleet: Fleet) -> None:
    """Decide as the reconciler does, trailers and all."""
    fleet.remote.publish()


def test_history_tells_what_became_of_a_name(fleet: Fleet) -> None:
    decided(fleet)
    deployment("one")
    second = fleet.push()
    decided(fleet)
    deployment("two")
    third = fleet.push()
    decided(fleet)

    ran = fleet.miaas("history", "chat")
    value = json.loads(fleet.miaas("history", "chat", "-o", "json").out)
    short = fleet.miaas("history", "--limit", "2")

    assert ran.code == 0, ran.err
    assert (
        "  changed: chat-0 on node-1\n  rolling: chat\n  because chat or its template changed"
        in ran.out
    )
    assert [one["source"] for one in value] == [third, second]
    assert [e for one in value for e in one["events"]] == [
        {"what": "changed", "text": "chat-0 on node-1"},
        {"what": "rolling", "text": "chat"},
        {"what": "placed", "text": "chat-0 on node-1"},
        {"what": "rolling", "text": "chat"},
    ]
    assert [line for line in short.out.splitlines() if line.startswith("  ")] == [
        "  chat: change chat-0 on node-1",
        "  chat: place chat-0 on node-1",
    ]
    assert len(json.loads(fleet.miaas("history", "node-1", "-o", "json").out)) == 3
    assert "no decision says anything of 'chta'" in fleet.miaas("history", "chta").err


def test_status_tells_what_was_decided_at_a_revision(fleet: Fleet) -> None:
    first = fleet.head()
    decided(fleet)
    deployment("one")
    fleet.push()
    decided(fleet)

    now = fleet.miaas("status", "--at", "HEAD~0")
    then = fleet.miaas("status", "--at", first[:9])
    value = json.loads(fleet.miaas("status", "node-1", "--at", "HEAD~0", "-o", "json").out)

    assert "chat        placed   1/1       node-1" in now.out
    assert f"from {first[:12]}" in then.out
    assert "hello" in then.out
    assert "chat" not in then.out
    assert [one["name"] for one in value["deployments"]] == ["chat", "hello"]
    assert value["nodes"] == [{"name": "node-1", "replicas": ["chat-0", "hello-0"]}]
    assert fleet.miaas("status", "chat", "--at", first[:9]).code == Code.USAGE


def test_a_rewind_is_accepted_by_a_commit_on_top(fleet: Fleet) -> None:
    first = fleet.head()
    deployment("one")
    left = fleet.push()
    decided(fleet)
    fleet.rewind(first)
    decided(fleet)
    assert f"which does not follow {left}" in fleet.miaas("status").out

    printed = fleet.miaas("accept-rewind", "--print")
    assert fleet.head() == first
    ran = fleet.miaas("accept-rewind")

    assert ran.code == 0, ran.err
    assert f"Left behind:\n  {left[:12]}  " in printed.out
    assert f"-m 'Miaas-Accept-Rewind: {left}'" in printed.out
    assert ran.out.endswith(f"accepted: main is at {fleet.head()[:12]}\n")
    message = fleet.git("log", "-1", "--format=%B", "main")
    assert values_of(message, "Miaas-Accept-Rewind") == (left,)
    assert fleet.git("rev-parse", "main^", "main^{tree}") == "\n".join(
        (first, fleet.git("rev-parse", f"{first}^{{tree}}"))
    )
    decided(fleet)
    assert "does not follow" not in fleet.miaas("status").out
    assert "nothing to accept" in fleet.miaas("accept-rewind").out


def run_printed(fleet: Fleet, printed: str) -> None:
    commands = printed.partition("in any clone:\n")[2]
    names = {"GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org"}
    for name, value in names.items():
        fleet.miaas.set(name, value)
    subprocess.run(["sh", "-ec", commands], cwd=fleet.tree, check=True, capture_output=True)


def test_the_printed_commands_accept_a_rewind(fleet: Fleet) -> None:
    first = fleet.head()
    deployment("one")
    fleet.push()
    decided(fleet)
    fleet.rewind(first)
    printed = fleet.miaas("accept-rewind", "--print").out

    run_printed(fleet, printed)

    assert "nothing to accept" in fleet.miaas("accept-rewind").out


MANY = ("a", "b", "c", "d", "e")
ALLOWED = "drop them\n\nMiaas-Allow-Removals: yes"


def running(fleet: Fleet) -> set[str]:
    listed = json.loads(fleet.miaas("status", "--output", "json").out)["deployments"]
    return {one["name"] for one in listed if one["placed"]}


def run_many(fleet: Fleet) -> None:
    for name in MANY:
        deployment("one", name=name)
    fleet.push()
    decided(fleet)
    assert running(fleet) == {"hello", *MANY}


def drop_many(fleet: Fleet) -> str:
    for name in MANY:
        Path("deployments", f"{name}.yaml").unlink()
    return fleet.push()


@pytest.mark.parametrize("by_hand", [False, True], ids=["pushed", "printed"])
def test_a_word_that_was_amended_in_holds_once_the_rewind_is_accepted(
    fleet: Fleet, by_hand: bool
) -> None:
    run_many(fleet)
    left = drop_many(fleet)
    decided(fleet)
    assert running(fleet) == {"hello", *MANY}
    git("commit", "-q", "--amend", "-m", ALLOWED, folder=fleet.tree)
    git("push", "-qf", "origin", "main", folder=fleet.tree)
    amended = fleet.head()

    if by_hand:
        said = fleet.miaas("accept-rewind", "--print").out
        run_printed(fleet, said)
    else:
        said = fleet.miaas("accept-rewind").out

    message = fleet.git("log", "-1", "--format=%B", "main")
    assert (
        f"`Miaas-Allow-Removals: yes` of {amended[:12]} holds for the commit that accepts it"
        in said
    )
    assert values_of(message, "Miaas-Accept-Rewind") == (left,)
    assert values_of(message, "Miaas-Allow-Removals") == ("yes",)
    decided(fleet)
    assert running(fleet) == {"hello"}


def test_a_word_of_an_earlier_fleet_does_not_count_again_for_what_came_since(fleet: Fleet) -> None:
    run_many(fleet)
    drop_many(fleet)
    git("commit", "-q", "--allow-empty", "-m", ALLOWED, folder=fleet.tree)
    git("push", "-q", "origin", "main", folder=fleet.tree)
    allowed = fleet.head()
    decided(fleet)
    run_many(fleet)
    fleet.rewind(allowed)

    said = fleet.miaas("accept-rewind").out

    message = fleet.git("log", "-1", "--format=%B", "main")
    assert f"`Miaas-Allow-Removals: yes` of {allowed[:12]} does not count again" in said
    assert values_of(message, "Miaas-Allow-Removals") == ()
    decided(fleet)
    assert running(fleet) == {"hello", *MANY}
