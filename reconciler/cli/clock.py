"""The clock of the command line: aware, in UTC, and even."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def even_clock() -> Callable[[], datetime]:
    """Make a clock that starts at this host's time and never jumps, whatever is set later."""
    started_at, started = datetime.now(UTC), time.monotonic()
    return lambda: started_at + timedelta(seconds=time.monotonic() - started)
