"""The bounded child: what a template may cost, and that nothing else pays for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from reconciler.observing.snapshot import TemplateBundle
from reconciler.rendering.child import Child, KilledError
from reconciler.rendering.pool import KILLS_MAX, BoundedRenderer
from reconciler.rendering.port import Rendered, RenderJob, Unrendered
from schemas.given import Given
from schemas.names import ReplicaName
from tests.builders import a_template

FINE = "services:\n  web:\n    image: {{ params.image }}\n"


@pytest.fixture(scope="module")
def renderer() -> Iterator[BoundedRenderer]:
    renderer = BoundedRenderer()
    yield renderer
    renderer.close()


def a_job(compose: str = FINE, *, replica: str = "chat-0", **more: Any) -> RenderJob:
    files = {"template.yaml": b"", "compose.yaml.j2": compose.encode(), **more.pop("files", {})}
    return RenderJob(
        replica=ReplicaName(replica),
        bundle=TemplateBundle(template=a_template("web"), files=files),
        context={"params": {"image": "example.org/web:1.0", **more}},
    )


def told(outcome: object) -> str:
    assert isinstance(outcome, Unrendered)
    return "\n".join(map(str, outcome.problems))


BOMBS = [
    pytest.param("a: {{ 9 ** (9 ** 9) }}", "processor time", id="power"),
    pytest.param("a: {{ 'x'.center(10 ** 9) }}", "too much memory", id="center"),
    pytest.param("a: {{ 'x' * 10 ** 9 }}", "too much memory", id="times"),
    pytest.param("a: {{ ('x' * 10 ** 6) }}", "more than 262144 bytes", id="large output"),
    pytest.param(
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "processor time",
        id="nested ranges",
    ),
    pytest.param("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "without end", id="recursion"),
    pytest.param("{% include 'compose.yaml.j2' %}", "without end", id="includes itself"),
    pytest.param("a: {{ range(10 ** 9) | list }}", "too big", id="range"),
    pytest.param("a: {{ '%099999999999d' | format(1) }}", "memory", id="format"),
]


@pytest.mark.parametrize(("source", "words"), BOMBS)
def test_a_bomb_is_an_outcome_and_the_next_one_is_rendered(
    renderer: BoundedRenderer, source: str, words: str
) -> None:
    bad, good = renderer.render((a_job(source), a_job(replica="fine-0")))

    assert words in told(bad)
    assert "templates/web" in told(bad)
    assert isinstance(good, Rendered)


def test_a_template_that_keeps_dying_is_given_up_for_this_time() -> None:
    child = Dying()
    renderer = BoundedRenderer(child)
    jobs = tuple(a_job(replica=f"chat-{n}", number=n) for n in range(KILLS_MAX + 5))

    outcomes = renderer.render(jobs)

    assert child.asked == KILLS_MAX
    assert "not tried again" in told(outcomes[-1])
    renderer.render(jobs)
    assert child.asked == 2 * KILLS_MAX


class Dying(Child):
    """A child that never survives a request."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def ask(self, request: object) -> Any:
        del request
        self.asked += 1
        raise KilledError("the template was stopped")


class Lying(Child):
    """Answers what whoever broke out of the sandbox makes it answer."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def ask(self, request: object) -> Any:
        del request
        return self.answer


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        {"files": [], "problems": []},
        {"files": {"../../beta/assignment.json": "{}"}, "problems": []},
        {"files": {"compose.yaml.j2": 1}, "problems": []},
        {"files": {}, "problems": [["a", 1]]},
        {"files": {}, "problems": [["a", "b", 1, "c", "d"]]},
    ],
)
def test_an_answer_that_makes_no_sense_is_no_file(answer: Any) -> None:
    outcome = BoundedRenderer(Lying(answer)).render((a_job(),))

    assert "makes no sense" in told(outcome[0])


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ("depends_on: [db]", "5: services.web.depends_on[0]: there is no service 'db'"),
        ("networks: [inner]", "5: services.web.networks[0]: there is no network 'inner'"),
        ("env_file: ./none.env", "5: there is no file './none.env'"),
    ],
)
def test_what_compose_would_refuse_is_found_before_it_is_published(
    renderer: BoundedRenderer, service: str, words: str
) -> None:
    (outcome,) = renderer.render((a_job(f"# ours\n{FINE}    {service}\n"),))

    line, _, what = words.partition(": ")
    assert f"templates/web/compose.yaml as rendered for chat-0:{line}:" in told(outcome)
    assert what in told(outcome)


def test_an_env_file_is_found_among_what_is_rendered_and_what_is_copied(
    renderer: BoundedRenderer,
) -> None:
    compose = f"{FINE}    env_file: [./a.env, ./conf/b.env]\n"
    files = {"a.env.j2": b"IMAGE={{ params.image }}\n", "conf/b.env": b"B=1\n"}

    (outcome,) = renderer.render((a_job(compose, files=files),))

    assert isinstance(outcome, Rendered)


def test_the_same_job_is_rendered_once() -> None:
    renderer = BoundedRenderer()
    first = renderer.render((a_job(),))
    renderer.close()
    # A closed renderer would start a child anew; what is remembered needs none.
    renderer = _without_child(renderer)

    assert renderer.render((a_job(replica="other-0"),)) == first


def _without_child(renderer: BoundedRenderer) -> BoundedRenderer:
    renderer._child = Dying()
    return renderer


def test_a_child_that_falls_silent_is_stopped() -> None:
    child = Child(wall_seconds=0.2)
    request = {"folder": "templates/web", "sources": {"a.j2": _SLOW}, "context": {}}

    with pytest.raises(KilledError, match=r"after 0\.2 seconds"):
        child.ask(request)

    child.close()


_SLOW = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


def test_nothing_of_our_environment_reaches_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIAAS_TEST_CANARY", "secret")
    child = Child()
    child.start()
    process = child._process
    assert process is not None
    with open(f"/proc/{process.pid}/environ", "rb") as stream:  # noqa: PTH123
        found = stream.read()
    child.close()

    assert b"CANARY" not in found


def test_files_are_rendered_copied_or_left_behind_by_their_names(
    renderer: BoundedRenderer,
) -> None:
    files = {
        "run.sh": b"\x00binary\xff",
        "conf/app.conf.j2": b"image={{ params.image }}\n",
        "_part.j2": b"never by itself",
        "README.md": b"for people",
    }

    outcome = renderer.render((a_job(files=files),))[0]

    assert isinstance(outcome, Rendered)
    assert outcome.files == {
        "compose.yaml": b'services:\n  web:\n    image: "example.org/web:1.0"\n',
        "conf/app.conf": b"image=example.org/web:1.0\n",
        "run.sh": b"\x00binary\xff",
    }


@pytest.mark.parametrize(
    ("files", "words"),
    [
        pytest.param({"compose.yaml": b"services: {}"}, "overwrite", id="two of a name"),
        pytest.param({"x.sh.j2": b"\xff"}, "byte 0 is not UTF-8", id="no text"),
        pytest.param({"big": b"x" * 1024 * 1024}, "1048576 are allowed", id="too large"),
        pytest.param({f"f{n}": b"" for n in range(64)}, "65 files", id="too many"),
    ],
)
def test_a_folder_that_cannot_be_used_says_why(
    renderer: BoundedRenderer, files: dict[str, bytes], words: str
) -> None:
    assert words in told(renderer.render((a_job(files=files),))[0])


def test_the_policy_has_the_last_word_on_the_rendered_file(renderer: BoundedRenderer) -> None:
    source = "services:\n  web:\n    image: example.org/web:1.0\n    privileged: true\n"

    text = told(renderer.render((a_job(source),))[0])

    assert "privileged" in text
    assert "templates/web/compose.yaml as rendered for chat-0:4:" in text


def test_what_the_planner_did_not_give_is_not_taken(renderer: BoundedRenderer) -> None:
    source = """\
services:
  web:
    image: example.org/web:1.0
    env_file: ./gpu.env
    ports: ["22:22", "8080:80"]
"""
    job = a_job(source, files={"gpu.env.j2": b"{% if True %}NVIDIA_VISIBLE_DEVICES=all{% endif %}"})

    text = told(renderer.render((replace(job, given=Given(ports=frozenset({8080}))),))[0])

    assert "the host port 22 was not given to this replica" in text
    assert "port 8080" not in text
    assert "templates/web/gpu.env:1:1: NVIDIA_VISIBLE_DEVICES would take GPUs" in text


def test_the_same_file_is_judged_anew_where_less_is_given(renderer: BoundedRenderer) -> None:
    job = a_job("services:\n  web:\n    image: i\n    ports: ['8080:80']\n")
    given = replace(job, given=Given(ports=frozenset({8080})))

    first, second = renderer.render((given, job))

    assert isinstance(first, Rendered)
    assert "the host port 8080" in told(second)
