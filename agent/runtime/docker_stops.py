"""Stops containers side by side, within a bound."""

from __future__ import annotations

from pathlib import Path

from agent.runtime import light
from agent.runtime.port import RuntimeFailedError


def stop(engine: Path, containers: tuple[str, ...]) -> None:
    """As `Runtime.stop`. An engine that does not answer has not stopped them either."""
    left = light.stop_all(str(engine), containers)
    if left:
        said = "; ".join(f"container {name[:12]}: {why}" for name, why in sorted(left.items()))
        raise RuntimeFailedError(f"not stopped: {said}")
