"""Write what was decided: one commit, and every told node's own ref, in one atomic push. Shell."""

from __future__ import annotations

from datetime import datetime

from fleet.port import RefUpdate, Repository
from reconciler.decide import Pass
from reconciler.preview import Preview, preview
from reconciler.publishing.story import message, node_message
from schemas.layout import ASSIGNMENTS_REF, assigned_ref, node_folder
from schemas.names import CommitId, NodeName, TreeId


def publish(
    state: Repository, result: Pass, at: datetime, also: tuple[RefUpdate, ...] = ()
) -> CommitId | None:
    """Publish a pass and return its commit. None: nothing changed, and nothing was written.

    also: moves in the same push, or nothing does: the lease of who leads.

    Every ref moves from where the pass read it, or none does. So a pass that was decided on an old
    reading publishes nothing, and one whose acknowledgement got lost has been published whole: the
    next reading shows which.

    Raises:
        StaleError: somebody else published meanwhile. Read again and decide again.
        RepositoryError: the remote did not answer, or did not want it.
    """
    if result.changes.nothing:
        return None
    found = preview(result)
    decided = result.snapshot.decided
    base = state.tree(decided).id if decided else None
    tree = state.write(base, result.changes.files)
    own = tuple(_own(state, result, found, tree, name, at) for name in result.changes.nodes)
    if decided and not result.changes.files:
        # Only some node's own ref was not where it belongs: the decision itself stands.
        state.push((*own, *also))
        return decided
    commit = state.commit(tree, parent=decided, message=message(result, found), at=at)
    state.push((RefUpdate(ASSIGNMENTS_REF, commit, decided), *own, *also))
    return commit


def _own(  # noqa: PLR0913, PLR0917 - one write, and everything that it says
    state: Repository, result: Pass, found: Preview, tree: TreeId, name: NodeName, at: datetime
) -> RefUpdate:
    before = result.snapshot.assigned.get(name)
    folder = state.subtree(tree, node_folder(name))
    if folder is None:
        raise AssertionError(f"{name} is told something new and has no folder in the decision")
    text = node_message(result, found, name)
    commit = state.commit(folder, parent=before, message=text, at=at)
    return RefUpdate(assigned_ref(name), commit, before)
