"""No secret leaves the host with a log."""

from __future__ import annotations

import base64
import string
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.masking import masked, secret_values, tail

NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("loading with hf_abcdefghijklmnopqrstuvwxyz012345", "hf_abcdefghij"),
        ("key sk-proj-Ab12Cd34Ef56Gh78 is wrong", "sk-proj-Ab12Cd34Ef56Gh78"),
        ("remote: ghp_0123456789abcdefghij0123456789abcdef", "ghp_0123456789"),
        ("id AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ("cookie eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJhbGciOiJIUzI1NiJ9"),
        ("Authorization: Bearer abc.def-123", "abc.def-123"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("cannot reach postgres://app:s3cr3t@db:5432/x", "s3cr3t"),
        ("POSTGRES_PASSWORD=hunter2", "hunter2"),
        ('{"password": "two words", "user": "x"}', "two words"),
        ("{'api_key': 'abc123'}", "abc123"),
        ("starting with --api-key topsecret --port 80", "topsecret"),
        ("client_secret: qwertz", "qwertz"),
        ("token = 'x y z'", "x y z"),
        ("AGE-SECRET-KEY-1QQQQQQQQQQQQQQ", "AGE-SECRET-KEY-1QQ"),
        ("x-api-key: 99887766554433", "99887766554433"),
    ],
)
def test_forms_that_only_secrets_have(line: str, secret: str) -> None:
    assert secret in line
    assert secret not in masked(line, NONE)


@pytest.mark.parametrize(
    "line",
    [
        "INFO: Avg prompt throughput: 12.3 tokens/s, Running: 3 reqs",
        "max_tokens=4096, prompt tokens: 512",
        "n_token = 512",
        "GET http://host:8000/v1/models 200",
        "author: me, keys: 3, monkey: yes",
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
    ],
)
def test_what_a_server_of_models_prints_stays_readable(line: str) -> None:
    assert masked(line, NONE) == line


def test_values_of_secret_keys_are_known_by_value() -> None:
    environment = {
        "DB_PASSWORD": "correct horse",
        "HF_TOKEN": "abcd1234",
        "OPENAI_API_KEY": "zzzz9999",
        "DATABASE_URL": "postgres://app:inurl77@db/x",
        "MODE": "production",
        "TOKENIZERS_PARALLELISM": "false",
        "SHORT_SECRET": "abc",
    }

    found = secret_values(environment, ["file secret\nsecond line\n"])

    assert found == {
        "correct horse",
        "abcd1234",
        "zzzz9999",
        "inurl77",
        "file secret\nsecond line",
        "file secret",
        "second line",
    }


WORDS = st.text(string.printable, min_size=4, max_size=40).map(str.strip)


@given(WORDS.filter(lambda word: len(word) > 3))
def test_a_known_secret_is_masked_in_every_spelling(secret: str) -> None:
    code = base64.b64encode(secret.encode()).decode().rstrip("=")
    spellings = (secret, quote(secret, safe=""), code)
    text = "\n".join(f"got > {one} <" for one in spellings)

    shown = masked(text, secret_values({"MY_PASSWORD": secret}, []))

    for one in spellings:
        assert f"> {one} <" not in shown


KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----"
BODY = "\n".join("b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ" for _ in range(4))


def test_private_keys_go_whole_and_cut_off() -> None:
    whole = f"before\n{KEY.format(body=BODY)}\nafter"

    assert masked(whole, NONE) == "before\n****\nafter"
    assert masked(whole[60:], NONE) == "****\nafter"
    assert "b3Blbn" not in masked(whole[:-60], NONE)


def test_nothing_steers_a_terminal() -> None:
    text = "\x1b[31mred\x1b[0m \x1b]0;title\x07bell\x07 \x00nul\rover\x9b31m"

    shown = masked(text, NONE)

    assert shown.replace("\n", "").isprintable()
    assert "red" in shown


def test_a_tail_is_whole_lines_from_the_end() -> None:
    assert tail("one\ntwo\nthree", 9) == "three"
    assert tail("one\ntwo", 100) == "one\ntwo"
    assert tail("x" * 50, 10) == "x" * 10


@given(st.text(max_size=2000))
def test_any_text_at_all_is_masked_in_time_and_in_bounds(text: str) -> None:
    lines = masked(text, frozenset({"secret"})).splitlines()

    assert all(len(line) <= 500 for line in lines)


@pytest.mark.parametrize("unit", ["password", "a-", "://a:", "token ", "eyJ", "A" * 16 + "\n"])
def test_hostile_lines_cost_no_more_than_others(unit: str) -> None:
    text = (unit * 65536)[:65536]

    assert len(masked(text, NONE)) <= 65536 + 4
