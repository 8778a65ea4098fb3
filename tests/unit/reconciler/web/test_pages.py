from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import reconciler.web
from reconciler.web.app import create_app
from reconciler.web.filters import tone, word
from reconciler.web.latest import Latest
from reconciler.web.overview import fleet_view
from reconciler.web.views import Health, Level, NodeState, Sync
from tests.unit.reconciler.web.fleets import (
    HOSTILE,
    NOW,
    a_busy_fleet,
    a_hostile_fleet,
    a_large_fleet,
    a_quiet_fleet,
    an_observed,
    facts_of,
)
from tests.unit.reconciler.web.pages import a_page, seen

EVERY_PAGE = (
    "/",
    "/?q=alpha",
    "/nodes/alpha",
    "/nodes/stray",
    "/deployments/chat",
    "/deployments/huge",
    "/deployments/broken",
    "/problems",
    "/docs",
)


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_every_page_stands_alone(path: str) -> None:
    page = seen(a_page(a_busy_fleet()), path)

    assert [len(page.all(tag)) for tag in ("title", "h1", "main")] == [1, 1, 1]
    assert page.all("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all(
        "meta"
    )


@pytest.mark.parametrize("path", ["/", "/nodes/alpha", "/deployments/chat", "/problems"])
def test_hostile_text_stays_text(path: str) -> None:
    page = seen(a_page(a_hostile_fleet()), path)

    assert HOSTILE in "".join(page.words) or path == "/"
    assert [script["src"] for script in page.all("script")] == ["/static/page.js?v=0.1.0"]
    assert "49" not in page.text
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert "style" not in attributes
        assert not (attributes.get("href") or "").startswith("javascript:")


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_nothing_comes_from_elsewhere_and_nothing_is_inline(path: str) -> None:
    page = seen(a_page(a_busy_fleet()), path)

    loaded = [a.get("src") or a.get("href") or "" for a in page.all("script") + page.all("link")]
    assert loaded
    assert all(url.startswith("/static/") for url in loaded)
    assert not page.all("style")
    assert not page.all("iframe")


def test_the_answers_carry_the_headers_that_browsers_obey() -> None:
    page = a_page(a_quiet_fleet())

    for path in ("/", "/api/v1/nodes", "/static/style.css", "/nowhere"):
        with page.get(path) as answer:
            headers = answer.headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("kind", [Sync, Health, NodeState, Level])
def test_every_state_has_a_tone_and_a_word(kind: Any) -> None:
    for state in kind:
        assert tone(state) in ("good", "busy", "bad", "unknown")
        assert word(state)[0].isupper() or kind is Level


def test_an_unknown_state_is_never_good() -> None:
    assert tone("Splendid") == "unknown"


def test_every_badge_is_an_icon_that_is_silent_and_a_word() -> None:
    page = a_page(a_busy_fleet()).get("/").text

    badges = page.split('<span class="badge ')[1:]
    assert badges
    for badge in badges:
        inside = badge.partition("</span>")[0]
        assert 'aria-hidden="true"' in inside
        assert inside.rpartition("</svg>")[2].strip()


def test_the_verdict_comes_before_the_exceptions_and_they_before_the_rest() -> None:
    text = seen(a_page(a_busy_fleet()), "/").text

    order = [text.index(words) for words in ("not well,", "Not as it should be", "Deployments 10")]
    assert order == sorted(order)


def test_moments_are_relative_with_the_absolute_beside() -> None:
    page = seen(a_page(a_quiet_fleet()), "/nodes/alpha")

    assert {"datetime": "2026-01-05T12:00:00Z", "title": "2026-01-05 12:00:00 UTC"} in page.all(
        "time"
    )
    assert "30 seconds ago" in page.text


def test_a_deployment_shows_where_why_and_how_to_reach_it() -> None:
    text = seen(a_page(a_busy_fleet()), "/deployments/chat").text

    for words in (
        "chat-0 on alpha",
        "fits tightest: 1 of 2 cards stays whole",
        "Score 0.81",
        "0.90 of 1 for fit",
        "next best: beta 0.66",
        "curl -fsS 'http://192.0.2.10:20000/'",
        "NVIDIA L40S",
        "alpha still runs an older version of it",
    ):
        assert words in text


def test_the_log_of_what_fails_is_shown_line_by_line() -> None:
    page = seen(a_page(a_busy_fleet()), "/deployments/crash")

    assert "Last lines of crash" in page.text
    assert "key **** refused" in page.text


def test_a_deployment_that_fits_nowhere_shows_why_and_what_would_help() -> None:
    text = seen(a_page(a_busy_fleet()), "/deployments/huge").text

    assert "needs 4 GPUs of 80000 MiB, the largest has 46068 MiB on alpha , delta" in text
    assert "What would help: ask for 46068 MiB a GPU" in text


def test_problems_show_their_place_and_fix() -> None:
    text = seen(a_page(a_busy_fleet()), "/problems").text

    assert "deployments/broken.yaml:7:13" in text
    assert "Fix: use a whole number of replicas" in text
    assert "nodes/eps.yaml:3:1" in text


def test_empty_states_name_the_next_command() -> None:
    page = a_page(facts_of(an_observed()))

    assert "miaas validate" in seen(page, "/").text
    assert "miaas-agent run" in seen(page, "/").text
    assert "miaas validate" in seen(page, "/problems").text


def test_a_search_shows_what_matches_and_says_when_nothing_does() -> None:
    page = a_page(a_busy_fleet())

    tables = page.get("/?q=cordoned+lost").text.partition('role="search"')[2]
    assert "/nodes/beta" in tables
    assert "/nodes/alpha" not in tables
    assert "No node matches “zzz”." in seen(page, "/?q=zzz").text
    assert "No deployment matches “zzz”." in seen(page, "/?q=zzz").text


def test_old_data_is_shown_as_old() -> None:
    page = a_page(a_quiet_fleet(), age=timedelta(minutes=12), error="connection refused")

    text = seen(page, "/").text
    assert "This may be old." in text
    assert "12 minutes ago" in text
    assert "connection refused" in text


def test_fresh_data_carries_no_warning() -> None:
    assert "This may be old." not in seen(a_page(a_quiet_fleet()), "/").text


def test_before_the_first_look_the_page_says_why_there_is_nothing() -> None:
    answer = a_page(None, error="cannot reach ssh://git@example.org/fleet").get("/")

    assert answer.status_code == 503
    assert "cannot reach ssh://git@example.org/fleet" in answer.text


@pytest.mark.parametrize("path", ["/nodes/none", "/deployments/none", "/none", "/nodes/a/b"])
def test_what_is_not_there_is_404_in_html(path: str) -> None:
    answer = a_page(a_quiet_fleet()).get(path)

    assert answer.status_code == 404
    assert answer.mimetype == "text/html"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/nodes/alpha", "/api/v1/nodes", "/none", "/static/x"])
def test_writing_is_refused_everywhere_and_says_how_to_change_things(
    method: str, path: str
) -> None:
    answer = a_page(a_quiet_fleet()).open(path, method=method)

    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert "make a pull request" in answer.text


def test_head_answers_as_get_without_a_body() -> None:
    page = a_page(a_quiet_fleet())

    head, get = page.head("/"), page.get("/")

    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(get.data))


def test_a_large_fleet_is_shown_whole() -> None:
    page = seen(a_page(a_large_fleet(500)), "/")

    assert len([a for a in page.all("a") if "/nodes/node-" in (a["href"] or "")]) >= 500


def test_colours_meet_the_contrast_that_people_need() -> None:
    style = Path(reconciler.web.__file__).with_name("static") / "style.css"
    light, dark = schemes(style.read_text())

    for scheme in (light, {**light, **dark}):
        for text, ground in (
            *((name, "ground") for name in ("text", "soft", "link", "bad")),
            *((name, "raised") for name in ("text", "soft", "link")),
            *((name, f"{name}-ground") for name in ("good", "busy", "bad", "unknown")),
            ("soft", "unknown-ground"),
        ):
            assert contrast(scheme[text], scheme[ground]) >= 4.5, (text, ground)
        assert contrast(scheme["focus"], scheme["ground"]) >= 3


def schemes(css: str) -> tuple[dict[str, str], dict[str, str]]:
    """The colours of the light scheme, and those that the dark one replaces."""
    blocks = [part.partition("}")[0] for part in css.split(":root {")[1:3]]
    light, dark = (
        {
            name.strip().removeprefix("--"): value.strip()
            for name, _, value in (entry.partition(":") for entry in block.split(";"))
            if value.strip().startswith("#")
        }
        for block in blocks
    )
    return light, dark


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, as the guidelines for accessible pages define it."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_one_request_shows_one_view_from_beginning_to_end() -> None:
    asked: list[Latest] = []

    def latest() -> Latest:
        asked.append(Latest(view=fleet_view(a_quiet_fleet()), looked_at=NOW))
        return asked[-1]

    create_app(latest, lambda: NOW, "0.1.0").test_client().get("/")

    assert len(asked) == 1
