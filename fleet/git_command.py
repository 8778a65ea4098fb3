"""Every call of git goes through here: fixed arguments, a clean environment, a bound in time.

Imports next to nothing, since a pass of an agent that finds no change pays for each import.
"""

from __future__ import annotations

import os

from fleet.access import INHERITED, Access

TYPE_CHECKING = False  # not from `typing`: importing it costs more than this whole module
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Mapping
    from typing import Final

__all__ = ["Access", "Finished", "command", "environment", "last_word", "run"]

SAFE_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TIMEOUT_SECONDS: Final = 60.0  # a first clone over a slow line; a usual fetch takes well under 1 s
TIMED_OUT: Final = 124  # as timeout(1) answers
GRACE_SECONDS: Final = 1.0  # on SIGTERM git removes its lock files; after this comes SIGKILL

# Odd trees and commits of other people must not stop a fetch, since one bad ref would then hide
# all others. They are read with care instead: see `Tree.ignored`. What breaks the format of an
# object itself is still refused.
TOLERATED: Final = (
    "hasDot", "hasDotdot", "hasDotgit", "emptyName", "fullPathname", "nullSha1",
    "zeroPaddedFilemode", "badFilemode", "treeNotSorted", "duplicateEntries",
    "badDate", "badDateOverflow", "badEmail", "badName", "badTimezone", "missingEmail",
    "missingNameBeforeEmail", "missingSpaceBeforeDate", "missingSpaceBeforeEmail",
    "missingAuthor", "multipleAuthors", "zeroPaddedDate", "nulInCommit",
    "gitmodulesMissing", "gitmodulesBlob", "gitmodulesLarge", "gitmodulesName",
    "gitmodulesSymlink", "gitmodulesUrl", "gitmodulesPath", "gitmodulesUpdate",
)  # fmt: skip

SETTINGS: Final[dict[str, str]] = {
    "advice.detachedHead": "false",
    "core.askPass": "",
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "core.logAllRefUpdates": "false",
    "fetch.fsckObjects": "true",
    "fetch.recurseSubmodules": "false",
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "http.lowSpeedLimit": "100",  # bytes a second: less than this for so long is a dead line
    "http.lowSpeedTime": "20",
    "init.defaultBranch": "main",
    "maintenance.auto": "false",
    "protocol.ext.allow": "never",
    "push.gpgSign": "false",
    "push.followTags": "false",
    "push.recurseSubmodules": "no",
    "safe.bareRepository": "explicit",
    "transfer.credentialsInUrl": "die",
    "credential.helper": "",  # forgets all helpers named before
    **{f"{area}.{name}": "ignore" for area in ("fetch.fsck", "fsck") for name in TOLERATED},
}

# Answers from a file of `username=` and `password=` lines; never stores or forgets anything.
CREDENTIAL_HELPER: Final = '!f() { test "$1" = get && cat -- "$MIAAS_CREDENTIALS"; }; f'

# What git adds below the line that says what happened.
_SAYS_LITTLE: Final = (
    "fatal: Could not read from remote repository",
    "fatal: the remote end hung up",
    "Please make sure you have",
    "and the repository exists",
    "hint:",
)


class Finished:
    """How a call of git ended. code: its exit status, or TIMED_OUT."""

    __slots__ = ("code", "err", "out")

    def __init__(self, code: int, out: bytes, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err


def run(
    folder: str,
    arguments: Iterable[str],
    environment: Mapping[str, str],
    *,
    data: bytes = b"",
    timeout: float = TIMEOUT_SECONDS,
) -> Finished:
    """Run git on a bare repository. Past the timeout, it and all that it started are ended."""
    import subprocess  # noqa: PLC0415  # 3 ms that a look at a local repository need not pay

    try:
        process = subprocess.Popen(  # noqa: S603  # fixed arguments, checked names, no shell
            command(folder, arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd="/",
            start_new_session=True,  # a group to end as one, and no terminal to ask on
        )
    except OSError as error:
        return Finished(127, b"", f"cannot run git: {error}")
    try:
        out, err = process.communicate(data, timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        return Finished(TIMED_OUT, b"", f"no answer within {timeout:.3g} s")
    except BaseException:
        _end(process)
        raise
    return Finished(process.returncode, out, err.decode("utf-8", "replace"))


def command(folder: str, arguments: Iterable[str]) -> list[str]:
    """Name the whole command line. Git never looks for a repository, nor for a work tree."""
    return ["git", f"--git-dir={folder}", "--bare", "--no-pager", *arguments]


def environment(url: str, access: Access) -> dict[str, str]:
    """Build the whole environment of a call: nothing else of the caller's reaches git."""
    inherited = {name: access.environment[name] for name in INHERITED if name in access.environment}
    found: dict[str, str] = {
        "PATH": inherited.pop("PATH", SAFE_PATH),
        **inherited,
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_ALLOW_PROTOCOL": _protocols(url),
        "GIT_SSH_COMMAND": _ssh_command(access),
        "GIT_SSH_VARIANT": "ssh",
    }
    settings = list(SETTINGS.items())
    if access.credentials:
        found["MIAAS_CREDENTIALS"] = access.credentials
        settings.append(("credential.helper", CREDENTIAL_HELPER))
    if access.ca_file:
        settings.append(("http.sslCAInfo", access.ca_file))
    return found | _configuration(settings)


def _configuration(settings: list[tuple[str, str]]) -> dict[str, str]:
    found = {"GIT_CONFIG_COUNT": str(len(settings))}
    for index, (key, value) in enumerate(settings):
        found[f"GIT_CONFIG_KEY_{index}"] = key
        found[f"GIT_CONFIG_VALUE_{index}"] = value
    return found


def _protocols(url: str) -> str:
    # `check_url` let plain http pass for this machine only; a redirect to http stays refused.
    return "file:ssh:https:http" if url.startswith("http://") else "file:ssh:https"


def _ssh_command(access: Access) -> str:
    words = [
        _quoted(access.ssh),
        "-o BatchMode=yes -o ConnectTimeout=10",
        "-o ServerAliveInterval=5 -o ServerAliveCountMax=4",  # a dead line is noticed in 20 s
        "-o ForwardAgent=no -o ClearAllForwardings=yes",
    ]
    if access.ssh_key:
        words.append(f"-o IdentitiesOnly=yes -i {_quoted(access.ssh_key)}")
    if access.known_hosts:
        # ssh splits this value at blanks, so it is quoted for ssh and once more for the shell.
        quoted = _quoted(f'UserKnownHostsFile="{access.known_hosts}"')
        words.append(f"-o StrictHostKeyChecking=yes -o {quoted}")
    return " ".join(words)


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process with its whole group, and do not wait for what escaped from the group."""
    import signal  # noqa: PLC0415  # as in `run`
    import subprocess  # noqa: PLC0415

    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.communicate(timeout=GRACE_SECONDS)
        except (ProcessLookupError, PermissionError):
            break
        except subprocess.TimeoutExpired:
            continue
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def last_word(done: Finished) -> str:
    """Give git's own last line of complaint, short, for an error message."""
    lines = [line.strip() for line in done.err.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(_SAYS_LITTLE)]
    marked = [line for line in told if line.startswith(("fatal:", "error:", "remote:"))]
    return (marked or told or lines or [f"git ended with {done.code}"])[-1][:300]
