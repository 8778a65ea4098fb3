"""The commands of `miaas-agent`: arguments in, exit codes out.

0 fine, 1 something is wrong that a person can mend, 2 wrong usage, 3 the world refused.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent.clock import Clock
from agent.glance import Memo, fingerprint, stamp, write_memo
from agent.lock import BusyError, ForeignError, acquire
from agent.log import set_up_logging
from agent.loop import Agent, Outcome
from agent.reasons import Reason
from agent.runtime.docker_socket import DEFAULT_HOST, BadDockerHostError, socket_path
from agent.settings import (
    CONFIG_FILE,
    DEFAULTS,
    RUNTIMES,
    BadSettingsError,
    Settings,
    read_settings,
)
from agent.wiring import (
    ask_rules,
    build,
    claim_state,
    open_facts,
    open_lent_runtime,
    open_prober,
    open_runtime,
    open_state,
    rehearse,
)
from fleet.local import local_folder
from fleet.port import RepositoryError
from schemas.layout import assigned_ref
from schemas.names import NodeName

if TYPE_CHECKING:
    from agent.hands import LentCompose
    from agent.probes import Prober
    from agent.wakes import Wakes

FINE, PROBLEMS, USAGE, REFUSED = 0, 1, 2, 3
HELP = {
    "node": "name of this host in the fleet",
    "state_url": "Git URL of the state repository",
    "state_dir": f"folder for what the agent remembers (default {DEFAULTS['state_dir']})",
    "runtime": "what runs the containers (default docker); `simulated` only pretends to",
    "docker_host": "Docker's socket (default unix:///var/run/docker.sock)",
    "docker_config": f"folder with Docker's logins (default {DEFAULTS['docker_config']})",
    "ssh_key": "private key for Git over SSH",
    "known_hosts": "host keys to trust for Git over SSH",
    "credentials": "file with username= and password= lines for Git over HTTPS",
    "ca_file": "certificates to trust for Git over HTTPS",
    "pushes_per_hour": "most pushes on change in an hour, beside the keep-alives (default "
    f"{DEFAULTS['pushes_per_hour']})",
}

log = logging.getLogger(__name__)


def run_command(words: Sequence[str], environment: Mapping[str, str], clock: Clock) -> int:
    """Run one command and return its exit code."""
    arguments = _parser().parse_args(words)
    set_up_logging()
    flags = {name: getattr(arguments, name) for name in DEFAULTS}
    try:
        settings = read_settings(_config(arguments), flags, environment)
    except BadSettingsError as error:
        return _say(str(error), USAGE)
    command: Callable[[Settings, Clock, argparse.Namespace, Mapping[str, str]], int]
    command = arguments.command
    if settings.runtime == "simulated":
        _say("SIMULATED: nothing here really runs. Set runtime to docker for real work", FINE)
    try:
        return command(settings, clock, arguments, environment)
    except (BusyError, ForeignError) as error:
        return _say(str(error), REFUSED)
    except (OSError, RepositoryError, BadDockerHostError) as error:
        return _say(str(error), REFUSED)


def _once(
    settings: Settings, clock: Clock, arguments: argparse.Namespace, _env: Mapping[str, str]
) -> int:
    """Make one pass. The memo is gone while it lasts: a pass that dies must be made again."""
    lock = acquire(settings.state_dir)
    try:
        claim_state(settings)
        write_memo(settings.state_dir, None)
        runtime = open_runtime(settings)
        facts = open_facts(settings)
        agent = build(settings, runtime, facts, open_prober(settings, clock), clock)
        reasons = {Reason.ASKED, Reason.CONTAINERS}
        if arguments.now:
            agent.forget_waits()
            reasons |= {Reason.ASSIGNMENT, Reason.LIMITS}
        outcome = agent.step(frozenset(reasons))
        write_memo(settings.state_dir, _memo(settings, clock, agent, outcome))
    finally:
        lock.release()
    for problem in outcome.problems:
        _say(problem, REFUSED)
    return REFUSED if outcome.problems else FINE


def _memo(settings: Settings, clock: Clock, agent: Agent, outcome: Outcome) -> Memo | None:
    """What the next process may rely on; None: it has to look for itself."""
    if not outcome.settled or outcome.containers is None:
        return None
    seen = [(one.id, one.state, one.health, one.content_hash) for one in outcome.containers]
    return Memo(
        stamp=stamp(settings),
        boot=clock.boot,
        head=outcome.head or "",
        containers=fingerprint(seen),
        until=outcome.wake,
        look_at=agent.notebook.tries("git").not_before,
    )


def _run(
    settings: Settings, clock: Clock, _arguments: argparse.Namespace, env: Mapping[str, str]
) -> int:
    """Make passes until SIGTERM or SIGINT."""
    # Heavy, and needed by this command alone.
    from agent.background import BackgroundPulls  # noqa: PLC0415
    from agent.daemon import Daemon  # noqa: PLC0415
    from agent.notify import Systemd  # noqa: PLC0415
    from agent.wakes import Wakes  # noqa: PLC0415

    lock = acquire(settings.state_dir)
    claim_state(settings)
    write_memo(settings.state_dir, None)
    wakes = Wakes()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: wakes.stop())
    lent = open_lent_runtime(settings)
    runtime = BackgroundPulls(lent or open_runtime(settings), lambda: wakes.tell(Reason.CONTAINERS))
    prober = _start_probes(settings, clock, wakes)
    agent = build(settings, runtime, open_facts(settings), prober, clock)
    hears_events = _start_watches(settings, wakes, lent)
    log.info("agent started", extra={"pairs": {"node": settings.node, "boot": clock.boot}})
    daemon = Daemon(
        agent=agent, wakes=wakes, clock=clock, systemd=Systemd(env), hears_events=hears_events
    )
    daemon.run()
    if lent is not None:
        lent.close()
    lock.release()
    log.info("agent stopped", extra={"pairs": {"node": settings.node}})
    return FINE


def _fence(
    settings: Settings, clock: Clock, _arguments: argparse.Namespace, _env: Mapping[str, str]
) -> int:
    """Stop what this host may run no longer. Needs no lock: the agent may hang, and holds it."""
    from agent.fence import enforce  # noqa: PLC0415  # usually called without this module

    return enforce(settings, boot=clock.boot, boottime=clock.boottime)


def _status(
    settings: Settings, clock: Clock, arguments: argparse.Namespace, _env: Mapping[str, str]
) -> int:
    """Show how things stand. Needs no lock: it only reads."""
    from agent.survey import as_json, as_text, survey  # noqa: PLC0415

    runtime, prober = open_runtime(settings), open_prober(settings, clock)
    agent = build(settings, runtime, open_facts(settings), prober, clock)
    found = survey(agent, clock.boottime())
    sys.stdout.write(as_json(found) if arguments.output == "json" else as_text(found))
    return REFUSED if found.problems else FINE


def _doctor(
    settings: Settings, _clock: Clock, arguments: argparse.Namespace, _env: Mapping[str, str]
) -> int:
    """Check that everything is here that the agent needs."""
    from agent.doctor import Patient, as_json, as_text, examine  # noqa: PLC0415

    patient = Patient(
        settings=settings,
        runtime=open_runtime(settings),
        repository=open_state(settings),
        rehearse=lambda: rehearse(settings),
        ask_rules=lambda: ask_rules(settings),
    )
    findings = examine(patient)
    sys.stdout.write(as_json(findings) if arguments.output == "json" else as_text(findings))
    return PROBLEMS if any(finding.fix for finding in findings) else FINE


def _start_probes(settings: Settings, clock: Clock, wakes: Wakes) -> Prober:
    """Ask probes beside the passes, where there is anyone to ask."""
    if settings.runtime == "simulated":
        return open_prober(settings, clock)
    from agent.probe_watch import ProbeWatch  # noqa: PLC0415  # only `run` needs it

    probes = ProbeWatch(clock.boottime, lambda: wakes.tell(Reason.PROBES))
    probes.start()
    return probes


def _enrol(
    settings: Settings, clock: Clock, arguments: argparse.Namespace, _env: Mapping[str, str]
) -> int:
    """Make this host one that the fleet can admit."""
    from agent.enrol import EnrolError  # noqa: PLC0415  # needed once in a host's life
    from agent.enrolling import enrol  # noqa: PLC0415

    try:
        return FINE if enrol(settings, clock, Path(arguments.root)) else REFUSED
    except EnrolError as error:
        return _say(str(error), REFUSED)


def _config(arguments: argparse.Namespace) -> str:
    """The settings file to read; empty: the usual one. Who enrols below a root need have none."""
    root = getattr(arguments, "root", "/")
    if arguments.config or root == "/":
        return arguments.config or ""
    path = Path(root) / CONFIG_FILE.lstrip("/")
    return str(path) if path.is_file() else os.devnull


def _start_watches(
    settings: Settings, wakes: Wakes, lent: LentCompose | None
) -> Callable[[], bool]:
    """Watch what can be watched: a state repository on this host, and Docker's events.

    An assignment that moved will need Compose: its client is loaded while the pass reads.

    Returns whether Docker's events are heard, asked anew each time.
    """
    folder = local_folder(settings.state_url)
    if folder is not None:
        from agent.watch import RefWatch  # noqa: PLC0415  # a remote one cannot be watched

        ref = assigned_ref(NodeName(settings.node))

        def moved() -> None:
            wakes.tell(Reason.ASSIGNMENT)
            if lent is not None:
                lent.warm()

        RefWatch(folder, ref, moved).start()
    if settings.runtime == "simulated":
        return lambda: False
    from agent.events import EventWatch  # noqa: PLC0415

    path = socket_path(settings.docker_host or DEFAULT_HOST)
    events = EventWatch(
        path,
        settings.node,
        tell=lambda: wakes.tell(Reason.CONTAINERS),
        tell_update=lambda: wakes.tell(Reason.LIMITS),
    )
    events.start()
    return lambda: events.is_listening


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="miaas-agent", description="Runs on this host what the fleet assigned to it."
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", help=f"settings file (default {CONFIG_FILE})")
    for name, text in HELP.items():
        choices = RUNTIMES if name == "runtime" else None
        common.add_argument(f"--{name.replace('_', '-')}", help=text, choices=choices)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    once = commands.add_parser("once", parents=[common], help="make one pass, and end")
    once.add_argument(
        "--now", action="store_true", help="look at everything, and try what failed again"
    )
    once.set_defaults(command=_once)
    run = commands.add_parser("run", parents=[common], help="make passes until stopped")
    run.set_defaults(command=_run)
    fence = commands.add_parser(
        "fence", parents=[common], help="stop what this host may run no longer; for a timer"
    )
    fence.set_defaults(command=_fence)
    status = commands.add_parser("status", parents=[common], help="show how things stand here")
    status.add_argument("--output", choices=("text", "json"), default="text")
    status.set_defaults(command=_status)
    doctor = commands.add_parser(
        "doctor", parents=[common], help="check everything that the agent needs"
    )
    doctor.add_argument("--output", choices=("text", "json"), default="text")
    doctor.set_defaults(command=_doctor)
    enrol = commands.add_parser(
        "enrol", parents=[common], help="make a key and settings, and say what to paste where"
    )
    enrol.add_argument(
        "--root", default="/", help="folder that stands for / on this host (default /)"
    )
    enrol.set_defaults(command=_enrol)
    return parser


def _say(message: str, code: int) -> int:
    sys.stderr.write(f"miaas-agent: {message}\n")
    return code
