"""`python -m examples.tour up|down`, from the repository's root."""

from __future__ import annotations

import sys

from examples.tour.services import TourError
from examples.tour.tour import down, up

COMMANDS = {"up": up, "down": down}


def main(words: list[str]) -> int:
    """Run one command. Exit codes as everywhere: 0 fine, 2 wrong usage, 3 the world refused."""
    if len(words) != 1 or words[0] not in COMMANDS:
        print("usage: python -m examples.tour up|down", file=sys.stderr)
        return 2
    try:
        COMMANDS[words[0]]()
    except TourError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
