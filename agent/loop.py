"""One pass: fetch, look at the containers, decide, act, report. Nothing in it waits."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from agent.audit import Auditor, with_limits
from agent.backoff import failed, waits
from agent.clock import Clock
from agent.converge import (
    Act,
    Remembered,
    Wanted,
    acts,
    faults,
    intruders,
    is_left_alone,
    own_containers,
)
from agent.files import ReplicaFiles
from agent.janitor import Janitor
from agent.look import Look
from agent.memory import Present
from agent.notebook import Notebook
from agent.perform import Performer
from agent.prepare import Preparer, UnusableError
from agent.report import Course, replica_reports, shortened
from agent.rollback import chosen, is_held
from agent.rollback import told as held_text
from agent.runtime.port import Container, Runtime, RuntimeDownError
from agent.speaker import News, Speaker
from agent.sweep import RemoveImages
from agent.vigil import Vigil
from agent.watched import Watch
from schemas.assignment import AssignedReplica
from schemas.heartbeat import ReplicaState
from schemas.names import CommitId, DeploymentName, NodeName, ReplicaName, TreeId

# Before the first assignment the fleet's own timings are not known.
HEARTBEAT_SECONDS = 30
# A pass that left something to do is repeated soon, and never in a tight loop.
AGAIN_SECONDS = 1.0
# What is due already is due soon: a pass has just been made.
SHORTEST_SECONDS = 0.1

Listing = tuple[Container, ...] | None
RUNNING = ReplicaState.RUNNING

log = logging.getLogger(__name__)


class Reason(StrEnum):
    """Why a pass is made although its time has not come."""

    ASKED = "asked"  # a pass is made as such: look at everything that may be looked at by now
    ASSIGNMENT = "assignment"  # the node's own ref may have moved
    PROBES = "probes"  # one of them turned
    CONTAINERS = "containers"  # the engine may have changed something
    LIMITS = "limits"  # someone gave a container other limits


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
    acts: tuple[Act | RemoveImages, ...]
    problems: tuple[str, ...]
    containers: Listing
    head: CommitId | None
    spoke: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The parts of the agent that touch the world."""

    runtime: Runtime
    files: ReplicaFiles
    look: Look
    preparer: Preparer
    performer: Performer
    speaker: Speaker
    vigil: Vigil
    auditor: Auditor
    janitor: Janitor


class Agent:
    """The agent of one node. `step` is one pass."""

    def __init__(self, node: NodeName, notebook: Notebook, tools: Tools, clock: Clock) -> None:
        self.node = node
        self.notebook = notebook
        self._tools = tools
        self._clock = clock
        self._disk_problem = ""
        self._untidy = True

    def step(self, reasons: frozenset[Reason] = frozenset()) -> Outcome:
        """Make one pass. What the world refuses becomes a problem in the outcome, no error."""
        self._look(reasons)
        containers, docker_problem = self._listing(reasons)
        if containers is not None:  # each replica would wait for an engine that does not answer
            self._prepare()
        containers = self._audited(containers, asked=Reason.LIMITS in reasons)
        swept = self._sweep(containers)
        done = self._act(containers)
        if done:
            containers, docker_problem = self._listing(frozenset(Reason))
            containers = self._audited(containers, asked=bool(self.notebook.memory.findings))
        left = self._settle(containers)
        self._watch(containers)
        news = self._news(containers, docker_problem)
        self._note_good(news)
        self._tidy(containers)
        spoke = self._tools.speaker.speak(self.notebook, news, self._heartbeat_seconds())
        self._save()
        unsaid = self._tools.speaker.is_unsaid(self.notebook, news)
        return Outcome(
            wake=self._wake(news, left=bool(left or swept)),
            settled=not left and not unsaid,
            acts=(*swept, *done),
            problems=news.problems,
            containers=containers,
            head=self._tools.look.head,
            spoke=spoke,
        )

    def look_around(self) -> News:
        """See how things stand, and do nothing about it."""
        containers, problem = self._listing(frozenset({Reason.CONTAINERS}))
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

    def _heartbeat_seconds(self) -> int:
        accepted = self.notebook.accepted
        return accepted.assignment.heartbeat_seconds if accepted else HEARTBEAT_SECONDS

    # read ------------------------------------------------------------------------------------

    def _look(self, reasons: frozenset[Reason]) -> None:
        look, now = self._tools.look, self._clock.boottime()
        before = self.notebook.accepted
        due = Reason.ASKED in reasons or now >= self.notebook.memory.poll_due
        due = due and not look.is_waiting(self.notebook)
        if due or Reason.ASSIGNMENT in reasons:
            look.look(self.notebook)
        else:
            look.look_later(self.notebook)
        self._untidy = self._untidy or self.notebook.accepted is not before

    def _prepare(self) -> None:
        """Make the files of every assigned replica ready to run, each for itself.

        Files that were ready and are not as they were written have been edited by hand: the mirror
        knows what they should be.
        """
        preparer = self._tools.preparer
        for replica, tree in self._trees().items():
            known = self.notebook.memory.prepared.get(replica)
            if preparer.is_ready(replica, known, tree) or self._waits(replica, tree):
                continue
            if known is not None and known.tree == tree:
                log.warning(
                    "files edited by hand, put right", extra={"pairs": {"replica": replica}}
                )
                self._tools.files.forget(replica, tree)
                self._tools.look.restore(self.notebook)
            try:
                prepared = preparer.prepare(replica, self._deployments()[replica], tree)
            except UnusableError as error:
                self._tools.performer.note_failure(self.notebook, replica, tree, str(error))
                continue
            memory = self.notebook.memory
            self.notebook.memory = replace(memory, prepared={**memory.prepared, replica: prepared})

    def _listing(self, reasons: frozenset[Reason]) -> tuple[Listing, str]:
        """The containers; or None, and why the engine does not answer."""
        tries, now = self.notebook.tries("docker"), self._clock.boottime()
        if Reason.CONTAINERS not in reasons and waits(tries, "docker", now):
            return None, tries.message
        try:
            containers = self._tools.runtime.containers(self.node)
        except RuntimeDownError as error:
            message = f"Docker does not answer: {error}"
            rng = self._tools.performer.rng
            self.notebook.note("docker", failed(tries, "docker", message, now, rng))
            return None, message
        self.notebook.note("docker", None)
        return containers, ""

    def _audited(self, containers: Listing, *, asked: bool) -> Listing:
        """Look closer where that is due, or `asked` for; add what is known from the last time."""
        if containers is None or self.notebook.accepted is None:
            return containers
        auditor = self._tools.auditor
        if asked or auditor.is_due(self.notebook):
            auditor.look(self.notebook, self._wanted(), containers)
        return with_limits(containers, self.notebook.memory.findings.limits)

    # decide ----------------------------------------------------------------------------------

    def _decide(self, containers: Listing) -> tuple[Act, ...]:
        """Hand everything known to the pure decision.

        Nothing is decided on a failed listing, nor before the first assignment: neither of them is
        an empty list.
        """
        if containers is None or self.notebook.accepted is None:
            return ()
        return acts(self.node, self._wanted(), containers, self._remembered())

    def _wanted(self) -> tuple[Wanted, ...]:
        prepared, replicas = self.notebook.memory.prepared, self._replicas()
        return tuple(
            Wanted(
                replica=replica,
                deployment=replicas[replica].deployment,
                drift=replicas[replica].drift,
                tree=tree,
                services=(
                    prepared[replica].services
                    if replica in prepared and prepared[replica].tree == tree
                    else None
                ),
            )
            for replica, tree in sorted(self._trees().items())
        )

    def _remembered(self) -> Remembered:
        trees, memory = self._trees(), self.notebook.memory
        known = {ReplicaName(name) for name in (*trees, *memory.present, *memory.tries)}
        return Remembered(
            present={replica: one.tree for replica, one in memory.present.items()},
            interrupted=self.notebook.interrupted,
            waiting=frozenset(name for name in known if self._waits(name, trees.get(name, ""))),
            strangers=memory.findings.strangers,
            removable=self.notebook.accepted.removable if self.notebook.accepted else frozenset(),
        )

    # act -------------------------------------------------------------------------------------

    def _act(self, containers: Listing) -> tuple[Act, ...]:
        decided = self._decide(containers)
        if not decided:
            return ()
        self._untidy = True
        held = self.notebook.memory.held
        done = self._tools.performer.perform(decided, self.notebook, self._deployments())
        if self.notebook.memory.held == held:
            return done
        # A version gave way, and nothing serves before the last good one is back.
        self._prepare()
        again, _ = self._listing(frozenset(Reason))
        return (*done, *self._act(again))

    def _sweep(self, containers: Listing) -> tuple[RemoveImages, ...]:
        """Look at the disk, and make room on it before anything is pulled."""
        self._tools.janitor.look(self.notebook)
        if containers is None or self.notebook.accepted is None:
            return ()
        return self._tools.janitor.tidy(self.notebook, self._wanted(), containers)

    def _settle(self, containers: Listing) -> tuple[Act, ...]:
        """See what is left to do. Nothing, and every replica as assigned: it is reached."""
        accepted = self.notebook.accepted
        if containers is None or accepted is None:
            return ()
        reached = self._reached(containers)
        for replica, tree in reached.items():
            present = Present(deployment=self._deployments()[replica], tree=tree)
            self.notebook.note_present(replica, present)
            if self.notebook.tries(replica).failures:
                self.notebook.note(replica, None)
        left = self._decide(containers)
        memory = self.notebook.memory
        is_all = set(memory.present) == set(reached) == set(accepted.trees)
        if not left and is_all and self._trees() == accepted.trees:
            generation = accepted.assignment.generation
            self.notebook.memory = replace(memory, converged=accepted.commit, generation=generation)
        return left

    def _reached(self, containers: tuple[Container, ...]) -> Mapping[ReplicaName, TreeId]:
        """The assigned replicas whose containers are exactly what their files say, or once were.

        One that nobody remembers counts as well: memory may be lost, and labels are not.
        """
        own, present = own_containers(self.node, containers), self.notebook.memory.present
        remembered = self._remembered()
        return {
            want.replica: want.tree
            for want in self._wanted()
            if want.services is not None
            and (want.replica in present or want.replica in own)
            and want.replica not in self.notebook.interrupted
            and (
                not any(faults(want.services, own.get(want.replica, ())))
                or is_left_alone(want, remembered)
            )
        }

    def _tidy(self, containers: Listing) -> None:
        """Forget and remove what is needed no longer. What is on its way keeps all it has."""
        if not self._untidy or containers is None or self.notebook.accepted is None:
            return
        self._untidy = False
        reached = self._reached(containers)
        memory, trees = self.notebook.memory, self._trees()
        needed = {*trees, *memory.present}
        self.notebook.memory = replace(
            memory,
            prepared={name: one for name, one in memory.prepared.items() if name in needed},
            good={name: one for name, one in memory.good.items() if name in needed},
            held={
                name: one
                for name, one in memory.held.items()
                if one.tree == self._assigned().get(name) and name not in self._renewed(reached)
            },
            tries={
                name: one
                for name, one in memory.tries.items()
                if name in needed or name in {"git", "push", "docker"}
            },
        )
        held = {name for name in memory.held if trees.get(name) != self._assigned().get(name)}
        used = {
            name: {trees[name]: memory.prepared[name].stored, **self._good_files(name)}
            for name in reached
            if name not in held
        }
        self._tools.files.keep_only(used, untouched=frozenset(needed - set(used)))

    def _good_files(self, replica: ReplicaName) -> Mapping[TreeId, tuple[str, ...]]:
        """The last good version of a replica, whose files stay until a newer one is good."""
        good = self.notebook.memory.good.get(replica)
        return {TreeId(good.tree): good.stored} if good else {}

    def _renewed(self, reached: Mapping[ReplicaName, TreeId]) -> frozenset[ReplicaName]:
        """The replicas that run what was assigned, and no longer something older."""
        assigned = self._assigned()
        return frozenset(name for name, tree in reached.items() if tree == assigned.get(name))

    # watch -----------------------------------------------------------------------------------

    def _watch(self, containers: Listing) -> None:
        """Look closer at what runs. An engine that does not answer tells nothing."""
        if containers is not None:
            own = own_containers(self.node, containers)
            self._tools.vigil.look(self.notebook, self._wanted(), own, self._replicas())

    def _note_good(self, news: News) -> None:
        """Remember the files of what runs well: a newer version may have to give way to them."""
        memory = self.notebook.memory
        running = {one.name: one.observed for one in news.replicas if one.state is RUNNING}
        found = {
            name: prepared
            for name, prepared in memory.prepared.items()
            if running.get(name) == prepared.tree and memory.good.get(name) != prepared
        }
        if found:
            self.notebook.memory = replace(memory, good={**memory.good, **found})
            self._untidy = True

    # report ----------------------------------------------------------------------------------

    def _news(self, containers: Listing, docker_problem: str) -> News:
        memory = self.notebook.memory
        watches = self._tools.vigil.watches(self.notebook, self._replicas())
        courses = {
            ReplicaName(name): Course(
                tree=memory.present[ReplicaName(name)].tree if name in memory.present else "",
                message=self._failure(ReplicaName(name)),
                intruders=intruders(self.node, ReplicaName(name), memory.findings.strangers),
                watch=watches.get(ReplicaName(name), Watch()),
            )
            for name in (*self._trees(), *memory.present)
        }
        own = None if containers is None else own_containers(self.node, containers)
        full = self._tools.janitor.problem(self.notebook)
        problems = (docker_problem, self._disk_problem, full, self._tools.look.problem)
        return News(
            replicas=replica_reports(self._wanted(), own, courses),
            problems=tuple(shortened(problem) for problem in problems if problem),
            runtime_error=docker_problem,
            containers=containers or (),
            ports=self._ports(),
        )

    def _failure(self, replica: ReplicaName) -> str:
        """Why the last try at a replica failed; that its newest version is held back, first."""
        held, now = self.notebook.memory.held.get(replica), self._clock.boottime()
        message = self.notebook.tries(replica).message
        tree = self._assigned().get(replica, "")
        if held is None or not is_held(held, tree, now):
            return message
        is_other = message and self.notebook.tries(replica).subject != held.tree
        return f"{held_text(held)}. That fails too: {message}" if is_other else held_text(held)

    def _save(self) -> None:
        """Bring memory to disk. Without it the agent works on, and says that it forgets."""
        try:
            self.notebook.save()
            self._disk_problem = ""
        except OSError as error:
            self._disk_problem = f"cannot write its own memory: {error}"

    def _wake(self, news: News, *, left: bool) -> float:
        """When something becomes due. Looks at the remote are timed by who drives the passes."""
        now, memory = self._clock.boottime(), self.notebook.memory
        waits_over = [one.not_before for one in memory.tries.values() if one.not_before > now]
        waits_over += [one.until for one in memory.held.values() if one.until > now]
        speak = max(memory.speak_due, self.notebook.tries("push").not_before)
        soon = [now + AGAIN_SECONDS] if left else []
        chance = self._tools.speaker.next_chance(self.notebook, news)
        chances = [] if chance is None else [max(chance, now + AGAIN_SECONDS)]
        look = self._tools.vigil.next_look()
        looks = [] if look is None else [max(look, now + SHORTEST_SECONDS)]
        if self.notebook.accepted is not None:
            looks.append(max(memory.audit_due, now + SHORTEST_SECONDS))
        return max(now, min((speak, *waits_over, *soon, *chances, *looks)))

    # shorthands ------------------------------------------------------------------------------

    def _assigned(self) -> Mapping[ReplicaName, TreeId]:
        return self.notebook.accepted.trees if self.notebook.accepted else {}

    def _trees(self) -> Mapping[ReplicaName, TreeId]:
        """What is to run now: what was assigned, or the last good version for a while."""
        memory = self.notebook.memory
        if not memory.held:
            return self._assigned()
        good = {name: one.tree for name, one in memory.good.items()}
        return chosen(self._assigned(), memory.held, good, self._clock.boottime())

    def _replicas(self) -> Mapping[ReplicaName, AssignedReplica]:
        accepted = self.notebook.accepted
        return {one.name: one for one in accepted.assignment.replicas} if accepted else {}

    def _deployments(self) -> Mapping[ReplicaName, DeploymentName]:
        accepted = self.notebook.accepted
        replicas = accepted.assignment.replicas if accepted else ()
        return {replica.name: replica.deployment for replica in replicas}

    def _ports(self) -> frozenset[int]:
        accepted = self.notebook.accepted
        replicas = accepted.assignment.replicas if accepted else ()
        return frozenset(port for replica in replicas for port in replica.ports.values())

    def _waits(self, replica: ReplicaName, subject: str) -> bool:
        return waits(self.notebook.tries(replica), subject, self._clock.boottime())
