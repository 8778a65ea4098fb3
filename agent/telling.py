"""The last step of a pass: what there is to tell, and when the next pass is due."""

from __future__ import annotations

from agent.converge import intruders, own_containers
from agent.desk import Desk
from agent.reading import Listing
from agent.report import Course, replica_reports, shortened
from agent.speaker import News
from agent.watched import Watch
from schemas.names import ReplicaName

# A pass that left something to do is repeated soon, and never in a tight loop.
AGAIN_SECONDS = 1.0
# What is due already is due soon: a pass has just been made.
SHORTEST_SECONDS = 0.1


def gather(desk: Desk, containers: Listing, docker_problem: str, disk_problem: str) -> News:
    """What a heartbeat would tell now, beside the facts of the host.

    docker_problem: why the engine does not answer. disk_problem: why memory cannot be written.
    """
    orders = desk.orders()
    memory, names = orders.memory, {*orders.trees(), *orders.memory.present}
    watches = desk.tools.vigil.watches(desk.notebook, orders.replicas())
    delays = orders.delays(containers)
    courses = {
        name: Course(
            tree=memory.present[name].tree if name in memory.present else "",
            message=orders.failure(name),
            delay=delays.get(name, ""),
            intruders=intruders(desk.node, name, memory.findings.strangers),
            watch=watches.get(name, Watch()),
        )
        for name in map(ReplicaName, names)
    }
    own = None if containers is None else own_containers(desk.node, containers)
    full = desk.tools.janitor.problem(desk.notebook)
    problems = (docker_problem, disk_problem, full, desk.tools.look.problem)
    return News(
        replicas=replica_reports(orders.wanted(), own, courses),
        problems=tuple(shortened(problem) for problem in problems if problem),
        runtime_error=docker_problem,
        containers=containers or (),
        ports=orders.ports(),
    )


def wake(desk: Desk, news: News, *, left: bool) -> float:
    """When something becomes due. Looks at the remote are timed by who drives the passes.

    Closer looks that are due wait for an engine that does not answer: its own wait wakes us.
    """
    notebook, now = desk.notebook, desk.clock.boottime()
    memory = notebook.memory
    waits_over = [one.not_before for one in memory.tries.values() if one.not_before > now]
    waits_over += [one.until for one in memory.held.values() if one.until > now]
    speak = max(memory.speak_due, notebook.tries("push").not_before)
    soon = [now + AGAIN_SECONDS] if left else []
    chance = desk.tools.speaker.next_chance(notebook, news)
    chances = [] if chance is None else [max(chance, now + AGAIN_SECONDS)]
    looks = [] if news.runtime_error else [max(due, now + SHORTEST_SECONDS) for due in _looks(desk)]
    return max(now, min((speak, *waits_over, *soon, *chances, *looks)))


def _looks(desk: Desk) -> list[float]:
    """When to look closer again at what runs, on the boot clock."""
    look = desk.tools.vigil.next_look()
    audits = [] if desk.notebook.accepted is None else [desk.notebook.memory.audit_due]
    return audits if look is None else [look, *audits]
