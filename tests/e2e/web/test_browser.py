"""The pages in a real browser: wide and narrow, light and dark, with and without scripts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.web.chrome import Chrome, chromium
from tests.e2e.web.served import served

pytestmark = pytest.mark.e2e

PAGES = ("/", "/nodes/alpha", "/deployments/chat", "/deployments/huge", "/problems", "/docs")
ROLLING = (
    "/",
    "/deployments/chat",
    "/deployments/old",
    *("/nodes/beta", "/nodes/delta", "/nodes/gamma", "/nodes/omega"),
)
# Where the pictures go that people look at; unset: nowhere.
PICTURES = os.environ.get("MIAAS_PICTURES", "")  # noqa: TID251 - how the person asks for them
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser."""
    program = chromium()
    if program is None:
        pytest.skip("no Chromium on this machine")
    with closing(Chrome(program, tmp_path_factory.mktemp("profile"))) as made:
        yield made


@pytest.fixture(scope="module")
def busy() -> Iterator[str]:
    """A page with one of everything that can go wrong."""
    with served("tests.e2e.web.made_page", "busy") as (url, _):
        yield url


@pytest.fixture(scope="module")
def rolling() -> Iterator[str]:
    """A page with one of everything that is on its way, or waits."""
    with served("tests.e2e.web.made_page", "rolling") as (url, _):
        yield url


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ROLLING)
def test_what_is_on_its_way_fits_every_screen(
    browser: Chrome, rolling: str, path: str, scheme: str, width: int
) -> None:
    browser.resize(width)
    browser.prefer(scheme)

    browser.go(f"{rolling}{path}")

    assert browser.complaints == []
    assert browser.value(OVERFLOW) <= 0
    _keep(browser, f"rolling-{path.strip('/').replace('/', '-') or 'overview'}-{scheme}-{width}")
    browser.prefer("light")


@pytest.mark.parametrize("path", PAGES)
def test_the_browser_has_nothing_to_complain_of(browser: Chrome, busy: str, path: str) -> None:
    browser.resize(1280)

    browser.go(f"{busy}{path}")

    assert browser.complaints == []
    assert browser.value("document.querySelectorAll('h1').length") == 1
    assert browser.value("getComputedStyle(document.body).maxWidth") == "none"


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
@pytest.mark.parametrize("path", PAGES)
def test_no_page_is_wider_than_its_screen(
    browser: Chrome, busy: str, path: str, width: int
) -> None:
    browser.resize(width)

    browser.go(f"{busy}{path}")

    assert browser.value(OVERFLOW) <= 0
    _keep(browser, f"{path.strip('/').replace('/', '-') or 'overview'}-{width}")


def test_on_a_phone_a_table_becomes_cards(browser: Chrome, busy: str) -> None:
    display = "getComputedStyle(document.querySelector('table.cards tr:last-child td')).display"
    shown = []
    for width in (1280, 390):
        browser.resize(width)
        browser.go(f"{busy}/")
        shown.append(browser.value(display))

    assert shown == ["table-cell", "grid"]


def test_the_dark_scheme_follows_the_person(browser: Chrome, busy: str) -> None:
    browser.resize(1280)
    grounds = []
    for scheme in ("light", "dark"):
        browser.prefer(scheme)
        browser.go(f"{busy}/")
        grounds.append(browser.value("getComputedStyle(document.body).backgroundColor"))
        _keep(browser, f"overview-{scheme}")
    browser.prefer("light")

    assert grounds == ["rgb(255, 255, 255)", "rgb(18, 22, 29)"]


def test_the_first_tab_stop_skips_to_the_content_and_can_be_seen(
    browser: Chrome, busy: str
) -> None:
    browser.resize(1280)
    browser.go(f"{busy}/")
    for kind in ("keyDown", "keyUp"):
        key = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
        browser.ask("Input.dispatchKeyEvent", type=kind, **key)

    assert browser.value("document.activeElement.className") == "skip"
    assert browser.value("document.activeElement.getBoundingClientRect().left") >= 0
    assert browser.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_hostile_text_runs_nowhere(browser: Chrome) -> None:
    with served("tests.e2e.web.made_page", "hostile") as (url, _):
        for path in ("/", "/nodes/alpha", "/deployments/chat", "/problems"):
            browser.go(f"{url}{path}")
            assert browser.complaints == []
            assert browser.value("document.querySelectorAll('main script').length") == 0


def test_without_scripts_the_page_is_whole(browser: Chrome, busy: str) -> None:
    browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.go(f"{busy}/")
        text = browser.ask("DOM.getDocument", depth=-1, pierce=True)
    finally:
        browser.ask("Emulation.setScriptExecutionDisabled", value=False)

    assert "Not as it should be" in str(text)
    assert "crash-0 on alpha" in str(text)


def test_updates_can_be_paused_and_say_so(browser: Chrome, busy: str) -> None:
    browser.go(f"{busy}/")

    pressed = browser.value(
        "(() => { const b = document.getElementById('pause'); b.click();"
        " return [b.hidden, b.textContent, b.getAttribute('aria-pressed')]; })()"
    )

    assert pressed == [False, "Updates paused", "true"]


def test_a_fleet_of_500_nodes_is_one_page(browser: Chrome) -> None:
    with served("tests.e2e.web.made_page", "large") as (url, _):
        browser.resize(1280)
        browser.go(f"{url}/")

        assert browser.value("document.querySelectorAll('tbody tr').length") == 1000
        assert browser.complaints == []


def _keep(browser: Chrome, name: str) -> None:
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        Path(PICTURES, f"{name}.png").write_bytes(browser.screenshot())
