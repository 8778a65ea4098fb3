"""One pass: fetch, look at the containers, decide, act, report. Nothing in it waits."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.acting import act, settle, sweep
from agent.acts import Act
from agent.audit import with_limits
from agent.clock import Clock
from agent.converge import own_containers
from agent.desk import Desk, Tools
from agent.fencing import Checked, enforce, yield_outlived
from agent.grants import Stop
from agent.notebook import Notebook
from agent.reading import Listing, audited, listing, look, prepare
from agent.reasons import Reason
from agent.speaker import News
from agent.sweep import RemoveImages
from agent.telling import gather, wake
from agent.tidying import note_good, tidy
from schemas.names import CommitId, NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a pass did.

    wake: when the next one is due, on the boot clock; looks at the remote not counted.
    settled: nothing is left to do or to say before that.
    acts: what was tried. containers: as last seen; None: the engine does not answer.
    head: where our own ref was last seen. spoke: whether a heartbeat arrived.
    """

    wake: float
    settled: bool
    acts: tuple[Act | Stop | RemoveImages, ...]
    problems: tuple[str, ...]
    containers: Listing
    head: CommitId | None
    spoke: bool


class Agent:
    """The agent of one node. `step` is one pass."""

    def __init__(self, node: NodeName, notebook: Notebook, tools: Tools, clock: Clock) -> None:
        self.node = node
        self.notebook = notebook
        self._tools = tools
        self._desk = Desk(node=node, notebook=notebook, tools=tools, clock=clock)
        self._disk_problem = ""
        self._fence_problem = ""
        self._untidy = True

    def step(self, reasons: frozenset[Reason] = frozenset()) -> Outcome:
        """Make one pass. What the world refuses becomes a problem in the outcome, no error."""
        desk, before = self._desk, self.notebook.accepted
        look(desk, reasons)
        containers, docker_problem = listing(desk, reasons)
        seen = Checked(containers=containers, docker_problem=docker_problem)
        seen = enforce(desk, seen)
        containers = seen.containers
        if containers is not None:  # each replica would wait for an engine that does not answer
            prepare(desk)
        containers = audited(desk, containers, asked=Reason.LIMITS in reasons)
        seen = yield_outlived(desk, replace(seen, containers=containers))
        containers, docker_problem, self._fence_problem = (
            seen.containers,
            seen.docker_problem,
            seen.problem,
        )
        swept = sweep(desk, containers)
        done = act(desk, containers, self._tell)
        if done:
            containers, docker_problem = listing(desk, frozenset(Reason))
            containers = audited(desk, containers, asked=bool(self.notebook.memory.findings))
        left = settle(desk, containers)
        self._watch(containers)
        news = self._news(containers, docker_problem)
        is_new = note_good(desk, news)
        self._untidy |= is_new or bool(done) or self.notebook.accepted is not before
        if self._untidy:
            self._untidy = not tidy(desk, containers)
        spoke = self._tools.speaker.speak(self.notebook, news, self.notebook.heartbeat_seconds)
        self._save()
        unsaid = self._tools.speaker.is_unsaid(self.notebook, news)
        return Outcome(
            wake=wake(desk, news, left=bool(left or swept)),
            settled=not left and not unsaid,
            acts=(*seen.stopped, *swept, *done),
            problems=news.problems,
            containers=containers,
            head=self._tools.look.head,
            spoke=spoke,
        )

    def look_around(self) -> News:
        """See how things stand, and do nothing about it."""
        containers, problem = listing(self._desk, frozenset({Reason.CONTAINERS}))
        self._tools.janitor.look(self.notebook)
        if containers is not None:
            containers = with_limits(containers, self.notebook.memory.findings.limits)
        return self._news(containers, problem)

    def forget_waits(self) -> None:
        """Let everything that failed be tried again at once."""
        for key, tries in self.notebook.memory.tries.items():
            self.notebook.note(key, replace(tries, not_before=0.0))
        self.notebook.memory = replace(self.notebook.memory, held={})

    def rest(self) -> None:
        """Let go of what only a busy agent needs."""
        self._tools.look.repository.close()

    def next_look(self) -> float:
        """When to look at the remote again, on the boot clock: later if it failed just now."""
        return max(self.notebook.memory.poll_due, self.notebook.tries("git").not_before)

    def _watch(self, containers: Listing) -> None:
        """Look closer at what runs. An engine that does not answer tells nothing."""
        if containers is not None:
            orders, own = self._desk.orders(), own_containers(self.node, containers)
            self._tools.vigil.look(self.notebook, orders.wanted(), own, orders.replicas())

    def _news(self, containers: Listing, docker_problem: str) -> News:
        own_problem = self._fence_problem or self._disk_problem
        return gather(self._desk, containers, docker_problem, own_problem)

    def _tell(self) -> None:
        """Say how things stand in the middle of a pass: what has to stop is gone by now."""
        containers, problem = listing(self._desk, frozenset(Reason))
        if containers is not None:
            containers = with_limits(containers, self.notebook.memory.findings.limits)
        news = self._news(containers, problem)
        self._tools.speaker.speak_now(self.notebook, news, self.notebook.heartbeat_seconds)

    def _save(self) -> None:
        """Bring memory to disk. Without it the agent works on, and says that it forgets."""
        try:
            self.notebook.save()
            self._disk_problem = ""
        except OSError as error:
            self._disk_problem = f"cannot write its own memory: {error}"
