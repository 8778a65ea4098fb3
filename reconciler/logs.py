"""How a log line looks: a constant sentence, then what it is about, `key=value`. Shell."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TextIO


class KeyValueFormatter(logging.Formatter):
    """Writes `level logger sentence key=value ...` on one line. Who runs us adds the time."""

    def format(self, record: logging.LogRecord) -> str:
        pairs: Mapping[str, object] = getattr(record, "pairs", {})
        told = "".join(f" {key}={_value(value)}" for key, value in pairs.items())
        line = f"{record.levelname.lower()} {record.name} {record.getMessage()}{told}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def log_to(stream: TextIO, level: int = logging.INFO) -> None:
    """Send the log of this program to a stream. Other libraries speak from WARNING on."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(KeyValueFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("reconciler").setLevel(level)


def _value(value: object) -> str:
    text = str(value)
    if text and not any(letter.isspace() or letter in '"=' for letter in text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'
