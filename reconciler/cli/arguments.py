"""Everything that can be typed after `miaas`. Imports nothing heavy: help must come at once."""

from __future__ import annotations

import argparse
import re
from typing import Any, Final, NoReturn

from reconciler.cli.codes import MEANINGS, Code
from reconciler.cli.suggest import hint

_ENVIRONMENT: Final = """
environment:
  MIAAS_DESIRED      the repository that people write, as --desired
  MIAAS_STATE        the repository that machines write, as --state
  MIAAS_BRANCH       the branch that people commit to, as --branch
  MIAAS_SSH_KEY      a private key for ssh remotes; MIAAS_KNOWN_HOSTS: the hosts to trust
  MIAAS_CREDENTIALS  a file with username=... and password=... for https remotes
  MIAAS_CA_FILE      certificates to trust for https remotes
  MIAAS_CACHE        where copies of repositories are kept; ~/.cache/miaas unless set
  NO_COLOR           no colours
"""
_CODES: Final = "exit codes:\n" + "".join(
    f"  {int(code):<3} {meaning}\n" for code, meaning in MEANINGS.items()
)
_EPILOG: Final = f"{_CODES}{_ENVIRONMENT}"
_REVISION: Final = "a commit of the decision or of the fleet repository, or HEAD~3"


class Parser(argparse.ArgumentParser):
    """A parser that says what may have been meant."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(
            **fields, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
        )

    def error(self, message: str) -> NoReturn:
        """End with exit code 2 and one line that helps."""
        wrong = re.search(r"invalid choice: '?([^' ]+)'? \(choose from (.*)\)", message)
        if wrong:
            choices = re.findall(r"[-\w]+", wrong[2])
            text = f"there is no {wrong[1]!r}.{hint(wrong[1], choices)} Choose from: "
            message = text + ", ".join(choices)
        self.exit(Code.USAGE, f"{self.prog}: {message}\nTry: {self.prog} --help\n")


def parser(version: str) -> Parser:
    """Make the parser of `miaas`."""
    made = Parser(
        prog="miaas",
        description="AI models on a fleet of Docker hosts, run from a Git repository.",
        epilog=_EPILOG,
    )
    made.add_argument("--version", action="version", version=f"miaas {version}")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _init(commands)
    _validate(commands)
    _plan(commands)
    _simulate(commands)
    _capacity(commands)
    _explain(commands)
    _status(commands)
    _history(commands)
    _rollback(commands)
    _accept_rewind(commands)
    _serve(commands)
    return made


def _init(commands: Any) -> None:
    made = _command(commands, "init", "make a fleet repository that is ready to push")
    made.add_argument("dir", metavar="DIR", nargs="?", default=".", help="default: here")
    made.add_argument("--name", help="name of the fleet; default: the folder's name")


def _validate(commands: Any) -> None:
    made = _command(commands, "validate", "find every problem in the documents of a work tree")
    made.add_argument("path", metavar="PATH", nargs="?", default=".", help="default: here")
    _output(made, "text", "json")


def _plan(commands: Any) -> None:
    made = _command(commands, "plan", "show what a push would change, and change nothing")
    text = (
        "a work tree, planned as it is, whatever --branch says; default: the one around here, "
        "else what is committed already"
    )
    made.add_argument("path", metavar="PATH", nargs="?", help=text)
    _remotes(made)
    made.add_argument("--diff", action="store_true", help="show how each rendered file changes")
    text = "propose the moves of what runs that would gain most"
    made.add_argument("--rebalance", action="store_true", help=text)
    made.add_argument(
        "--detailed-exitcode", action="store_true", help="exit with 10 if changes are pending"
    )
    _output(made, "text", "json", "markdown")


def _simulate(commands: Any) -> None:
    made = _command(commands, "simulate", "show the plan that would follow if something happened")
    lose = "this node is gone for good"
    made.add_argument("--lose", metavar="NODE", action="append", default=[], help=lose)
    add = "there is a machine more, as a document says; see docs/command-line.md"
    made.add_argument("--add", metavar="FILE", action="append", default=[], help=add)
    deploy = "this deployment is asked for, too, or instead of the one of its name"
    made.add_argument("--deploy", metavar="FILE", action="append", default=[], help=deploy)
    made.add_argument("--diff", action="store_true", help="show how each rendered file changes")
    made.set_defaults(path=None)
    _remotes(made)
    _output(made, "text", "json", "markdown")


def _capacity(commands: Any) -> None:
    made = _command(commands, "capacity", "say what still fits, and which node cannot be lost")
    made.set_defaults(path=None)
    _remotes(made)
    _output(made, "text", "json")


def _explain(commands: Any) -> None:
    made = _command(commands, "explain", "say why a deployment is where it is, or nowhere")
    made.add_argument("name", metavar="NAME", help="name of a deployment, or of one replica")
    which = made.add_mutually_exclusive_group()
    which.add_argument("--node", help="say why it is not on this node")
    which.add_argument("--at", metavar="REV", help=f"say it as it was then: {_REVISION}")
    _remotes(made)
    _output(made, "text", "json")


def _status(commands: Any) -> None:
    made = _command(commands, "status", "show nodes and deployments, and how they fare")
    made.add_argument("name", metavar="NAME", nargs="?", help="only this node or deployment")
    made.add_argument("--at", metavar="REV", help=f"what was decided then: {_REVISION}")
    _remotes(made)
    _output(made, "text", "json")


def _history(commands: Any) -> None:
    made = _command(commands, "history", "list what was decided, newest first, from Git alone")
    text = "only what concerns this deployment, replica or node"
    made.add_argument("name", metavar="NAME", nargs="?", help=text)
    text = "at most so many; default: %(default)s"
    made.add_argument("--limit", metavar="N", type=_count, default=20, help=text)
    _remotes(made)
    _output(made, "text", "json")


def _rollback(commands: Any) -> None:
    made = _command(commands, "rollback", "commit a deployment's documents as they were before")
    made.add_argument("name", metavar="NAME", help="name of a deployment")
    text = "as they were at this commit of the fleet repository, or HEAD~3; default: before the "
    made.add_argument("--to", metavar="REV", help=f"{text}newest change to them")
    text = "push to this new branch, for a pull request, not to the branch people commit to"
    made.add_argument("--onto", metavar="BRANCH", help=text)
    text = "its template, where the fleet repository has it: take that back too, or keep it"
    made.add_argument("--template", choices=("restore", "keep"), help=text)
    made.add_argument("--dry-run", action="store_true", help="show the change and push nothing")
    _remotes(made)


def _accept_rewind(commands: Any) -> None:
    made = _command(
        commands, "accept-rewind", "commit that the branch was rewound or replaced on purpose"
    )
    text = "print the git commands instead of pushing"
    made.add_argument("--print", action="store_true", dest="only_print", help=text)
    _remotes(made)


def _serve(commands: Any) -> None:
    made = _command(commands, "serve", "serve the status page and the JSON API, read-only")
    made.add_argument("--host", default="127.0.0.1", help="where to listen; default: %(default)s")
    made.add_argument(
        "--port", type=_port, default=8080, help="default: %(default)s; 0 takes any free one"
    )
    text = "time between two looks at Git, such as 10s; default: 2s for a folder, else 15s"
    made.add_argument("--every", metavar="TIME", help=text)
    _remotes(made)


def _command(commands: Any, name: str, text: str) -> Parser:
    made: Parser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=_EPILOG
    )
    return made


def _remotes(made: Parser) -> None:
    group = made.add_argument_group(
        "where the fleet is",
        "Inside a fleet's work tree its origin is taken, or the tree itself where it has none.",
    )
    group.add_argument("--desired", metavar="URL", help="repository or folder that people write")
    group.add_argument(
        "--state", metavar="URL", help="repository that machines write; default: as --desired"
    )
    group.add_argument("--branch", help="branch that people commit to; default: main")


def _output(made: Parser, *formats: str) -> None:
    made.add_argument(
        "-o", "--output", choices=formats, default="text", help="default: %(default)s"
    )


def _count(text: str) -> int:
    number = _number(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _number(text: str) -> int:
    # What int() says would be told under the name of the function that called it.
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


def _port(text: str) -> int:
    number = _number(text)
    if not 0 <= number <= 65535:  # noqa: PLR2004 - the range of TCP
        raise argparse.ArgumentTypeError("a port is 0 to 65535")
    return number
