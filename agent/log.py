"""Log lines: a constant sentence, then fields. `info agent.perform act done act=up replica=x`."""

from __future__ import annotations

import json
import logging
import sys


class PairsFormatter(logging.Formatter):
    """Writes one event a line: level, logger, sentence, `key=value` fields."""

    def format(self, record: logging.LogRecord) -> str:
        pairs = getattr(record, "pairs", {})
        fields = "".join(f" {key}={_written(value)}" for key, value in pairs.items())
        line = f"{record.levelname.lower()} {record.name} {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up_logging() -> None:
    """Send the agent's own events to stderr. Time stamps are journald's work."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PairsFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("agent").setLevel(logging.INFO)


def _written(value: object) -> str:
    """A value on one line; in quotes where it would run into the next field."""
    text = str(value)
    is_plain = text.isprintable() and text and not set(text) & set(' "=')
    return text if is_plain else json.dumps(text, ensure_ascii=False)
