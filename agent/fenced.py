"""What runs on this host that no other may run, written down for when Docker does not answer.

The fence writes down what Docker told it last, by the labels. The agent writes down what it saw
last, with the limits that it was told since: what runs may be older than its fence. Imports next to
nothing, for the fence.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False  # not from `typing`: every import counts here
if TYPE_CHECKING:
    from typing import Any, Final

FENCED_FILE: Final = "fenced.json"  # of the agent
SEEN_FILE: Final = "fenced-seen.json"  # of the fence
LABEL_REPLICA: Final = "io.miaas.replica"
LABEL_STOP_AFTER: Final = "io.miaas.stop-after"
KEPT: Final = (LABEL_REPLICA, LABEL_STOP_AFTER)


def record(entries: list[dict[str, Any]]) -> str:
    """The text for containers as Docker lists them: the same for the same, in any order."""
    kept = [
        {"Id": entry["Id"], "Labels": {name: entry["Labels"].get(name, "") for name in KEPT}}
        for entry in entries
    ]
    return json.dumps(sorted(kept, key=lambda entry: str(entry["Id"])), sort_keys=True) + "\n"


def recorded(text: str) -> list[dict[str, Any]]:
    """The containers that a text of `record` tells of; of a damaged one, none."""
    try:
        entries: list[dict[str, Any]] = json.loads(text)
        for entry in entries:
            str(entry["Id"]), entry["Labels"].get(LABEL_STOP_AFTER)
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    return entries
