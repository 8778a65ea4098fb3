"""Machines' documents: strict, bounded, and light to read."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from schemas.assignment import (
    Decision,
    dump_assignment,
    dump_decision,
    parse_assignment,
    parse_decision,
)
from schemas.heartbeat import GpuReport, Heartbeat, RuntimeReport, dump_heartbeat, parse_heartbeat
from schemas.leader import Leader, dump_leader, parse_leader
from schemas.names import GpuUuid, NodeName
from schemas.problem import BadDocumentError
from tests import builders


def refused(text: str) -> str:
    with pytest.raises(BadDocumentError) as caught:
        parse_decision(text, path="decision.json")
    return str(caught.value)


HEAD = '"apiVersion": "miaas/v1", "kind": "Decision"'


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "decision.json:1:1: this is not JSON: Expecting value"),
        ("{\n 'a': 1}", "decision.json:2:2: this is not JSON"),
        ("[]", "decision.json: the document is an empty list, and has to be a map"),
        ("null", "the document is empty, and has to be a map"),
        ("{}", "apiVersion is missing"),
        (
            '{"apiVersion": "miaas/v2", "kind": "Decision"}',
            "apiVersion is 'miaas/v2', not 'miaas/v1'",
        ),
        (
            '{"apiVersion": "miaas/v1", "kind": "Assignment"}',
            "kind is 'Assignment', not 'Decision'",
        ),
        (
            f'{{{HEAD}, "extra": 1}}',
            "extra is not known. Fix: written by a newer miaas? Upgrade this one",
        ),
        (
            f'{{{HEAD}, "problem": []}}',
            "problem is not known. Fix: written by a newer miaas? Upgrade this one",
        ),
        (f'{{{HEAD}, "problems": NaN}}', "NaN is no number of JSON"),
        (f'{{{HEAD}, "problems": [], "problems": []}}', "a key stands twice in one map"),
        (f'{{{HEAD}, "problems": {"[" * 100_000}', "this cannot be read as JSON"),
        (f'{{{HEAD}, "problems": {"9" * 10_000}}}', "this cannot be read as JSON"),
        (f'{{{HEAD}, "problems": ["\\ud800"]}}', "problems[0] is '\\ud800', and has to be a map"),
        (
            f'{{{HEAD}, "problems": [{{"place": {{"path": "\\ud800"}}, "what": "", "fix": ""}}]}}',
            "problems[0].place.path is not Unicode text",
        ),
        (" " * (16 * 1024 * 1024 + 1), "the document has 16777217 characters"),
    ],
    ids=range(16),
)
def test_what_is_not_the_document_is_told(text: str, what: str) -> None:
    assert what in refused(text)


def test_what_equals_its_default_is_not_written_so_that_new_fields_change_no_old_document() -> None:
    text = dump_heartbeat(builders.a_heartbeat())

    assert "generation" not in text
    assert "observed" not in text


def test_moments_are_written_in_utc() -> None:
    east = timezone(timedelta(hours=2))
    beat = builders.a_heartbeat(sent_at=datetime(2026, 1, 5, 14, 0, 0, 5, tzinfo=east))

    text = dump_heartbeat(beat)

    assert '"sentAt": "2026-01-05T12:00:00.000005Z"' in text
    assert parse_heartbeat(text, path="x").sent_at == datetime(2026, 1, 5, 12, 0, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "moment", ["2026-13-01T00:00:00Z", "2026-01-01T00:00:00", "now", "2026-01-01T00:00:00+02:00"]
)
def test_moments_that_are_none_or_not_in_utc_are_refused(moment: str) -> None:
    text = dump_heartbeat(builders.a_heartbeat()).replace("2026-01-05T12:00:00Z", moment)

    with pytest.raises(BadDocumentError) as caught:
        parse_heartbeat(text, path="x")

    assert "sentAt" in str(caught.value)


@pytest.mark.parametrize(
    "beat",
    [
        builders.a_heartbeat(node=NodeName("../x")),
        builders.a_heartbeat(sequence=-1),
    ],
    ids=["name", "sequence"],
)
def test_what_nobody_could_read_is_never_written(beat: Heartbeat) -> None:
    with pytest.raises(AssertionError):
        dump_heartbeat(beat)


def test_an_essay_of_an_engine_is_cut_so_that_the_heartbeat_goes_out() -> None:
    runtime = RuntimeReport(error="x" * 9000)
    beat = builders.a_heartbeat(runtime=runtime, problems=("caf\udce9", "y" * 2000))

    found = parse_heartbeat(dump_heartbeat(beat), path="x")

    assert found.runtime.error == "x" * 1997 + "..."
    assert found.problems == ("caf?", "y" * 2000)


def test_all_problems_are_told_at_once() -> None:
    text = '{"apiVersion": "miaas/v1", "kind": "Assignment", "node": "A", "generation": "1"}'
    with pytest.raises(BadDocumentError) as caught:
        parse_assignment(text, path="assignment.json")

    assert len(caught.value.problems) == 4


def test_numbers_that_json_writes_without_a_point_become_floats() -> None:
    text = f'{{{HEAD}, "problems": []}}'

    assert parse_decision(text, path="x") == Decision()


def test_a_gpu_keeps_what_it_does_not_say() -> None:
    gpu = GpuReport(uuid=GpuUuid("GPU-a"), index=0, vendor="nvidia", model="", memory_mib=1)
    beat = builders.a_heartbeat(gpus=(gpu,))

    assert parse_heartbeat(dump_heartbeat(beat), path="x").gpus == (gpu,)


def test_reading_machines_documents_imports_no_yaml_and_no_jsonschema() -> None:
    code = (
        "import sys, schemas.layout, schemas.names, schemas.heartbeat, schemas.assignment\n"
        "from schemas.assignment import Assignment, dump_assignment, parse_assignment\n"
        "a = Assignment(node='a', generation=1, heartbeat_seconds=1, poll_seconds=1)\n"
        "assert parse_assignment(dump_assignment(a), path='x') == a\n"
        "print(*{'yaml', 'jsonschema', 'referencing', 'difflib'} & {*sys.modules})"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout == "\n"


@pytest.mark.parametrize(
    ("written", "volumes"),
    [
        pytest.param("", (), id="of an older agent"),
        pytest.param('"volumes": [],', (), id="none"),
        pytest.param('"volumes": ["chat-0", "db-12"],', ("chat-0", "db-12"), id="two"),
    ],
)
def test_a_heartbeat_tells_whose_volumes_stand_there(
    written: str, volumes: tuple[str, ...]
) -> None:
    text = dump_heartbeat(builders.a_heartbeat()).replace("{", f"{{{written}", 1)

    assert parse_heartbeat(text, path="x").volumes == volumes


@pytest.mark.parametrize("volumes", ["chat", "chat-01", "Chat-0", "", 0, None])
def test_volumes_of_what_is_no_replica_are_refused(volumes: object) -> None:
    written = f'"volumes": [{json.dumps(volumes)}],'
    text = dump_heartbeat(builders.a_heartbeat()).replace("{", f"{{{written}", 1)

    with pytest.raises(BadDocumentError, match=r"volumes\[0\]"):
        parse_heartbeat(text, path="x")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"x": 1}', id="nothing of ours"),
        pytest.param(f'{{{HEAD}, "problems": 1}}', id="a wrong value"),
        pytest.param('{"apiVersion": "v2", "kind": "Decision", "x": 1}', id="of something else"),
        pytest.param('{"apiVersion": "miaas/v1", "kind": "List", "x": 1}', id="of another kind"),
    ],
)
def test_nobody_is_told_to_write_into_what_machines_write(text: str) -> None:
    with pytest.raises(BadDocumentError) as caught:
        parse_decision(text, path="decision.json")

    assert {problem.fix for problem in caught.value.problems} == {
        "machines write this document: let the one that wrote it write it again"
    }


# what a newer version wrote


def newer(text: str, *places: tuple[str | int, ...]) -> str:
    """A document as a newer version may write it: with keys at these places that we do not know."""
    plain = json.loads(text)
    for place in places:
        at = plain
        for key in place:
            at = at[key]
        at["newer"] = {"apiVersion": [{}]}
    return json.dumps(plain)


FULL = builders.a_heartbeat(
    gpus=(GpuReport(uuid=GpuUuid("GPU-a"), index=0, vendor="nvidia", model="", memory_mib=1),)
)


@pytest.mark.parametrize("place", [(), ("host",), ("gpus", 0)], ids=str)
def test_what_a_newer_agent_adds_does_not_make_its_node_mute(place: tuple[str | int, ...]) -> None:
    text = newer(dump_heartbeat(FULL), place)

    assert parse_heartbeat(text, path="heartbeat.json") == FULL


def test_any_number_of_new_keys_is_passed_over_at_once() -> None:
    gpus = tuple(replace(FULL.gpus[0], uuid=GpuUuid(f"GPU-{n}"), index=n) for n in range(128))
    beat = replace(FULL, gpus=gpus)
    text = newer(dump_heartbeat(beat), *(("gpus", n) for n in range(128)))

    assert parse_heartbeat(text, path="heartbeat.json") == beat


def test_what_is_known_of_a_newer_heartbeat_has_to_be_right() -> None:
    text = newer(dump_heartbeat(FULL), ()).replace('"sequence": ', '"sequence": -')

    with pytest.raises(BadDocumentError) as caught:
        parse_heartbeat(text, path="heartbeat.json")

    assert [problem.what.split()[0] for problem in caught.value.problems] == ["sequence"]


@pytest.mark.parametrize("hole", ["node", "apiVersion", "kind"])
def test_a_new_key_stands_for_no_old_one(hole: str) -> None:
    plain = json.loads(newer(dump_heartbeat(FULL), ()))
    del plain[hole]

    with pytest.raises(BadDocumentError, match=f"{hole} is missing"):
        parse_heartbeat(json.dumps(plain), path="heartbeat.json")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f'{{{HEAD}, "x": 1, "problems": 1}}', id="new keys and values"),
        pytest.param('{"apiVersion": "miaas/v2", "kind": "Decision"}', id="a new version"),
    ],
)
def test_what_may_be_of_a_newer_version_is_never_said_to_be_spoilt(text: str) -> None:
    with pytest.raises(BadDocumentError) as caught:
        parse_decision(text, path="decision.json")

    assert {one.fix for one in caught.value.problems} == {
        "written by a newer miaas? Upgrade this one"
    }


def test_what_has_to_be_obeyed_is_obeyed_whole_or_not_at_all() -> None:
    leader = Leader(holder="a", term=1, sequence=1, lease_seconds=5, since=FULL.sent_at)
    for text, parse in (
        (dump_assignment(builders.an_assignment()), parse_assignment),
        (dump_decision(Decision()), parse_decision),
        (dump_leader(leader), parse_leader),
    ):
        with pytest.raises(BadDocumentError, match=r"newer is not known\. Fix: written by a newer"):
            parse(newer(text, ()), path="x")
