"""Every way in which a push is known to end, as git 2.39 words it."""

from __future__ import annotations

import pytest

from fleet.push_report import Outcome, read_report

HEAD = "To /srv/state.git\n"
MOVED = "*\tabc:refs/heads/b\t[new branch]\n"


@pytest.mark.parametrize(
    ("code", "out", "err", "outcome"),
    [
        pytest.param(0, HEAD + MOVED + "Done\n", "", Outcome.MOVED, id="moved"),
        pytest.param(0, HEAD + "=\ta:refs/heads/a\t[up to date]\n", "", Outcome.MOVED, id="same"),
        pytest.param(
            1, HEAD + "!\ta:refs/heads/a\t[rejected] (stale info)\n", "", Outcome.STALE, id="lease"
        ),
        pytest.param(
            1,
            HEAD
            + "!\ta:refs/heads/a\t[rejected] (atomic push failed)\n"
            + "!\tb:refs/heads/b\t[rejected] (stale info)\n",
            "",
            Outcome.STALE,
            id="lease of another ref",
        ),
        pytest.param(
            1,
            HEAD + "!\ta:refs/heads/a\t[remote rejected] (atomic transaction failed)\n",
            "error: cannot lock ref 'refs/heads/a': is at 111 but expected 222\n",
            Outcome.STALE,
            id="lost the race on the server",
        ),
        pytest.param(
            1,
            HEAD + "!\ta:refs/heads/a\t[remote rejected] (failed to update ref)\n",
            "remote: error: cannot lock ref 'refs/heads/a': reference already exists\n",
            Outcome.STALE,
            id="lost the race on a remote server",
        ),
        pytest.param(
            1,
            HEAD + "!\ta:refs/heads/a\t[remote rejected] (failed to update ref)\n",
            "remote: error: cannot lock ref 'refs/heads/a': Unable to create "
            "'/srv/refs/heads/a.lock': File exists.\n",
            Outcome.STALE,
            id="another push holds the lock",
        ),
        pytest.param(
            1,
            HEAD + "!\ta:refs/heads/a/b\t[remote rejected] (atomic transaction failed)\n",
            "error: cannot lock ref 'refs/heads/a/b': 'refs/heads/a' exists; cannot create\n",
            Outcome.REJECTED,
            id="a ref stands where a folder should",
        ),
        pytest.param(
            1,
            HEAD + "!\ta:refs/heads/a\t[remote rejected] (pre-receive hook declined)\n",
            "remote: but expected a ticket number: reference already exists\n",
            Outcome.REJECTED,
            id="a hook that talks like git",
        ),
        pytest.param(
            1,
            HEAD + "!\ta:refs/heads/a\t[remote rejected] (unpacker error)\n",
            "remote: fatal: write error: No space left on device\n",
            Outcome.REJECTED,
            id="no space",
        ),
        pytest.param(
            1,
            "",
            "error: unable to delete 'x': remote ref does not exist\n",
            Outcome.STALE,
            id="gone",
        ),
        pytest.param(
            128,
            "",
            "fatal: the receiving end does not support --atomic push\n",
            Outcome.REJECTED,
            id="not atomic",
        ),
        pytest.param(128, "", "fatal: unable to access 'https://x/'\n", Outcome.UNCLEAR, id="away"),
        pytest.param(124, "", "no answer within 60 s", Outcome.UNCLEAR, id="timed out"),
    ],
)  # fmt: skip
def test_each_end_of_a_push_is_told_from_the_others(
    code: int, out: str, err: str, outcome: Outcome
) -> None:
    assert read_report(code, out, err)[0] is outcome


def test_a_refusal_repeats_what_the_hook_said_and_no_more_than_fits() -> None:
    out = "!\ta:refs/heads/a\t[remote rejected] (pre-receive hook declined)\n"
    err = "remote: nodes may only move their own ref\nremote: \n" + "remote: x\n" * 500

    _, why = read_report(1, out, err)

    assert why.startswith(
        "[remote rejected] (pre-receive hook declined); nodes may only move their own ref; x; x"
    )
    assert len(why) < 400
