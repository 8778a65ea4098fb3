"""What has to be written so that the state says what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.names import NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What one commit has to change. Nothing in it: no commit, no push.

    files: new bytes by path in the assignments tree; None removes the path, or the folder.
    nodes: whose own ref has to move, sorted: their folder changes, or their ref is not with it.
    """

    files: Mapping[str, bytes | None] = field(default_factory=dict)
    nodes: tuple[NodeName, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to publish."""
        return not self.files and not self.nodes
