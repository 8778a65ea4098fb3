"""A page over a look that was made by hand, asked without a network."""

from __future__ import annotations

from datetime import datetime, timedelta
from html.parser import HTMLParser

from flask.testing import FlaskClient

from reconciler.web.app import create_app
from reconciler.web.facts import Facts
from reconciler.web.latest import Latest
from reconciler.web.overview import fleet_view
from tests.unit.reconciler.web.fleets import NOW


def a_page(facts: Facts | None, *, age: timedelta = timedelta(0), error: str = "") -> FlaskClient:
    """Make a page whose last look was `age` ago; None: there was none."""
    view = fleet_view(facts) if facts is not None else None
    looked_at = NOW - age if view else None
    latest = Latest(view=view, looked_at=looked_at, error=error)
    return create_app(lambda: latest, _now, "0.1.0").test_client()


def _now() -> datetime:
    return NOW


class Seen(HTMLParser):
    """What a reader of a page meets: elements with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        """All text, with single blanks."""
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def seen(page: FlaskClient, path: str) -> Seen:
    """Read a page that has to be there."""
    answer = page.get(path)
    assert answer.status_code == 200, answer.text
    return Seen(answer.text)
