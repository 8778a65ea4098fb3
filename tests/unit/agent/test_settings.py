"""Settings: file, environment, flags, and clear words about each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.settings import DEFAULTS, BadSettingsError, _is_name, read_settings
from schemas.names import is_name

NEEDED = 'node = "alpha"\nstate_url = "https://git.example.org/state.git"\n'


def _file(folder: Path, text: str) -> str:
    path = folder / "agent.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_reads_a_file(tmp_path: Path) -> None:
    settings = read_settings(_file(tmp_path, NEEDED + '# a word\nruntime = "simulated"\n'), {}, {})

    assert settings.node == "alpha"
    assert settings.state_url == "https://git.example.org/state.git"
    assert settings.runtime == "simulated"
    assert settings.state_dir == DEFAULTS["state_dir"]


@pytest.mark.parametrize(
    "line",
    [
        "state_dir = '/x'",
        'state_dir = """/x"""',
        'state_dir = "/x" # here',
        'state_dir = "\\u002fx"',
    ],
)
def test_reads_all_of_toml(tmp_path: Path, line: str) -> None:
    assert read_settings(_file(tmp_path, f"{NEEDED}{line}\n"), {}, {}).state_dir == "/x"


def test_the_environment_is_over_the_file_and_flags_are_over_both(tmp_path: Path) -> None:
    path = _file(tmp_path, NEEDED)
    environment = {"MIAAS_NODE": "beta", "MIAAS_STATE_DIR": "/beta", "NODE": "gamma"}

    settings = read_settings(path, {"node": "delta", "state_dir": None}, environment)

    assert (settings.node, settings.state_dir) == ("delta", "/beta")


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    assert read_settings("", {}, {"MIAAS_CONFIG": _file(tmp_path, NEEDED)}).node == "alpha"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param('node = "a"\n', "'state_url' is not set", id="missing"),
        pytest.param(NEEDED + 'nodes = "x"\n', "'nodes' is no setting", id="unknown"),
        pytest.param(NEEDED + "runtime = 3\n", "'runtime' is not text", id="number"),
        pytest.param(NEEDED + 'runtime = "podman"\n', "use one of docker, simulated", id="runtime"),
        pytest.param(NEEDED.replace("alpha", "Alpha"), "is not a name", id="name"),
        pytest.param("node = alpha\n", "Fix: write lines like", id="no quotes"),
        pytest.param(NEEDED + 'node = "twice"\n', "Cannot overwrite a value", id="twice"),
    ],
)
def test_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadSettingsError, match=message):
        read_settings(_file(tmp_path, text), {}, {})


def test_a_file_that_was_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(BadSettingsError, match="does not exist"):
        read_settings(str(tmp_path / "none.toml"), {"node": "a", "state_url": "/x"}, {})


@given(st.text(st.sampled_from("abz09-AZ_.ß٣"), max_size=42))
def test_the_light_check_of_names_is_the_same_as_the_full_one(text: str) -> None:
    assert _is_name(text) is is_name(text)


@pytest.mark.parametrize("told", ["", "5", "3601", "-6", "1.5", "many", "٦"])
def test_a_budget_that_is_none_is_refused_with_the_bounds(tmp_path: Path, told: str) -> None:
    path = _file(tmp_path, f'{NEEDED}pushes_per_hour = "{told}"\n')

    with pytest.raises(BadSettingsError, match="is no number from 6 to 3600"):
        read_settings(path, {}, {})
