from __future__ import annotations

import io

import pytest

from reconciler.cli.suggest import hint
from reconciler.cli.terminal import Paint, Terminal


class Screen(io.StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "coloured"),
    [
        pytest.param(Screen(), {}, True, id="terminal"),
        pytest.param(Screen(), {"NO_COLOR": "1"}, False, id="no colour wanted"),
        pytest.param(Screen(), {"NO_COLOR": ""}, True, id="empty means unset"),
        pytest.param(Screen(), {"TERM": "dumb"}, False, id="dumb"),
        pytest.param(io.StringIO(), {}, False, id="pipe"),
    ],
)
def test_colours_are_for_people_at_a_terminal_who_want_them(
    stream: io.StringIO, environ: dict[str, str], coloured: bool
) -> None:
    terminal = Terminal.of(stream, io.StringIO(), environ)

    assert (terminal.paint("x", Paint.GOOD) != "x") is coloured


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("chta", " Did you mean chat?"),
        ("stroe", " Did you mean store?"),
        ("zzz", ""),
    ],
)
def test_near_names_are_suggested(name: str, said: str) -> None:
    assert hint(name, ("chat", "store")) == said
