"""The steps of `miaas-agent enrol`, one after the other, told as they are made."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from agent.clock import Clock
from agent.enrol import (
    CONFIG,
    EnrolError,
    Step,
    access_fix,
    make_key,
    paper,
    public_key,
    with_defaults,
    write_config,
)
from agent.lock import BusyError, acquire
from agent.reasons import Reason
from agent.settings import Settings
from agent.wiring import (
    build,
    check_state,
    claim_state,
    open_facts,
    open_prober,
    open_runtime,
    open_state,
    rehearse,
)
from fleet.port import RepositoryError
from schemas.layout import assigned_ref
from schemas.names import NodeName

NEXT = "Next: merge the record, then: systemctl enable --now miaas-agent.service"


def enrol(told: Settings, clock: Clock, root: Path) -> bool:
    """Make every step, and print what a person has to paste. False: the remote lets us not in yet.

    Raises:
        EnrolError: a step on this host failed.
        ForeignError: the state folder is that of another node or engine.
    """
    settings = with_defaults(told, root)
    if not (root / CONFIG).exists():  # else it says whose host this is
        check_state(settings)
    _tell(make_key(settings))
    _tell(write_config(settings, root / CONFIG))
    key = public_key(settings)
    why = _refusal(settings, clock)
    sys.stdout.write(f"\n{paper(settings, key)}\n")
    if why:
        sys.stdout.write(f"FIX   {why}\n      {access_fix(settings, why)}\n")
        return False
    sys.stdout.write(f"{NEXT}\n")
    return True


def _refusal(settings: Settings, clock: Clock) -> str:
    """Read, try to write, and speak for the first time; why that cannot be; empty: it could."""
    try:
        open_state(settings).fetch(assigned_ref(NodeName(settings.node)))
        _tell(Step(what="the state repository can be read"))
        rehearse(settings)
        _tell(Step(what="the state repository can be written"))
        _tell(_heartbeat(settings, clock))
    except RepositoryError as error:
        return str(error)
    return ""


def _heartbeat(settings: Settings, clock: Clock) -> Step:
    """Make one pass, which speaks whatever it finds.

    Raises:
        ForeignError: the state folder is that of another node or engine. Nothing was done.
        RepositoryError: the heartbeat did not arrive.
    """
    try:
        lock = acquire(settings.state_dir)
    except BusyError:
        return Step(what="the agent runs already, and speaks for itself")
    try:
        claim_state(settings)  # the pass acts on what it finds there
        prober = open_prober(settings, clock)
        agent = build(settings, open_runtime(settings), open_facts(settings), prober, clock)
        agent.forget_waits()
        agent.notebook.memory = replace(agent.notebook.memory, speak_due=0.0)
        outcome = agent.step(frozenset({Reason.ASKED}))
        if not outcome.spoke:
            raise RepositoryError(agent.notebook.tries("push").message or "no heartbeat went out")
    except OSError as error:
        raise EnrolError(f"cannot use {settings.state_dir}: {error}. Fix: run as root") from error
    finally:
        lock.release()
    return Step(what="the first heartbeat arrived", changed=True)


def _tell(step: Step) -> None:
    sys.stdout.write(f"{'done ' if step.changed else 'ok   '} {step.what}\n")
