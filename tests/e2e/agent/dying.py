"""Two ways to end a real agent with SIGKILL at a chosen moment. The agent knows of neither.

Between its steps: Python announces renames, removals and the start of programs to audit hooks, just
before they happen. A `sitecustomize` on the agent's PYTHONPATH names them, and kills its process
at one of them.

In the middle of a step: the folder of Docker's client configuration is a setting, and the Compose
plugin stands in it. A script in its place runs the real one, and kills the agent meanwhile.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.agent.host import ROOT, Host

HOOK = r"""
import json, os, re, signal, sys

STATE, KILL_AT = os.environ["AGENT_STATE"], os.environ["KILL_AT"]
LOG = os.open(os.environ["KILL_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
ID, NUMBER = re.compile("[0-9a-f]{32,}"), re.compile("-[0-9]+")
VERBS = ("config", "pull", "up", "down", "version")

def place(path):
    name = os.path.relpath(path, STATE)
    is_known = os.path.isabs(path) and not name.startswith("..") and ".part" not in name
    return NUMBER.sub("-N", ID.sub("ID", name)) if is_known else ""

def step(event, args):
    if event == "os.rename" and place(args[1]):
        return "write " + place(args[1]), args[0]
    if event == "os.remove" and place(args[0]):
        return "remove " + place(args[0]), ""
    if event == "subprocess.Popen":
        words = [str(word) for word in args[1]]
        if "compose" in words:
            return "compose " + next((word for word in words if word in VERBS), "?"), ""
        if "push" in words:
            return "push", ""
    return "", ""

def under_way(source):
    for journal in (source, STATE + "/journal.json"):
        try:
            return " of " + json.load(open(journal))["kind"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return ""

def hook(event, args):
    name, source = step(event, args)
    if name:
        name += under_way(source)
        os.write(LOG, (name + "\n").encode())
        if name == KILL_AT:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
"""

STAND_IN = """\
#!/bin/sh
case " $* " in *" {verb} "*) ;; *) exec {plugin} "$@" ;; esac
agent=$(cat {state}/lock)
mkfifo {folder}/events
docker events --since "$(date +%s.%N)" --filter type=container --filter event={event} \\
    --format seen >{folder}/events &
events=$!
{plugin} "$@" &
compose=$!
{moment}
kill $events
wait $compose
"""
MOMENTS = {
    "compose goes on": "read -r _ <{folder}/events; kill -9 $agent",
    "compose dies too": "read -r _ <{folder}/events; kill -9 $agent $compose",
    "compose was done": "wait $compose; kill -9 $agent",
}


@dataclass(frozen=True, slots=True)
class Hook:
    """Kills an agent between its steps. folder: a new one for its own files."""

    host: Host
    folder: Path

    def install(self) -> None:
        (self.folder / "sitecustomize.py").write_text(HOOK)

    def environment(self, kill_at: str = "") -> Mapping[str, str]:
        """What to start an agent with, so that it dies at a step; at none if that is empty."""
        return {
            "PYTHONPATH": f"{self.folder}:{ROOT}",
            "AGENT_STATE": str(self.host.state),
            "KILL_AT": kill_at,
            "KILL_LOG": str(self.folder / "steps"),
        }

    def steps(self) -> tuple[str, ...]:
        """Names of all steps so far, each once, in order; ids and numbers left out."""
        return tuple(dict.fromkeys((self.folder / "steps").read_text().splitlines()))


def docker_config(host: Host, folder: Path, *, verb: str, event: str, moment: str) -> Path:
    """A client configuration whose Compose kills the agent while it does `verb`.

    event: what an engine tells of a container in the middle of that. moment: one of MOMENTS.
    """
    link = folder / "cli-plugins" / "docker-compose"
    link.parent.mkdir()
    plugin = host.engine.docker_config / "cli-plugins" / "docker-compose"
    places = {
        "plugin": shlex.quote(str(plugin.resolve())),
        "state": shlex.quote(str(host.state)),
        "folder": shlex.quote(str(folder)),
    }
    text = STAND_IN.format(
        verb=verb, event=event, moment=MOMENTS[moment].format(**places), **places
    )
    link.write_text(text)
    link.chmod(0o755)
    return folder
