"""The people of the fleet: they commit what they want, and now and then what nobody can want."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from fleet.memory import MemoryRepository
from fleet.objects import read_commit
from schemas.names import CommitId
from tests.builders import A_MOMENT
from tests.sim.fleet.actor import Actor
from tests.sim.fleet.documents import (
    MARKS,
    TAGS,
    TEMPLATES,
    TEXTS,
    UPDATES,
    WINDOWS,
    NodeWish,
    Version,
    Wish,
    Wishes,
    deployment_path,
    node_path,
)
from tests.sim.fleet.wire import Server

HALF: Final = 0.5
MAIN: Final = "refs/heads/main"
MEMORIES: Final = (64, 256, 512, 1024, 3000, 10_000_000)
BAD_DEPLOYMENTS: Final = (
    b"nonsense",
    b"kind: [unclosed",
    b"\xff\xfe\x00junk",
    b"apiVersion: miaas/v1\nkind: Deployment\nmetadata: {name: NAME}\nspec: {template: gone}\n",
    b"apiVersion: miaas/v1\nkind: Deployment\nmetadata: {name: NAME}\n"
    b"spec: {template: web, x: 1}\n",
    b"apiVersion: miaas/v1\nkind: Deployment\nmetadata: {name: NAME}\n"
    b"spec: {template: web, parameters: {text: 12}}\n",
    b"a: &a [x]\nb: *a\n",
)
BAD_COMPOSE: Final = (
    b"services: {{ nowhere.at.all }}\n",
    b"services:\n  web: {image: {{ params.image }}, privileged: true}\n",
    b"{% if %}",
    b"services: []\n",
    b"{{ 1 / 0 }}",
)


@dataclass(frozen=True, slots=True)
class Written:
    """A commit of main, and what was wished by it. removes: whether it allows to remove much."""

    commit: CommitId
    wishes: Wishes
    removes: bool = False


class Person(Actor):
    """Everybody who commits. history: every commit that main ever stood at, oldest first.

    versions: for each deployment, every look that some commit of main gave it.
    left: commits that main was forced away from. newer: the dice of `NEWER_ACTS`, which half of
    all people know.
    """

    def __init__(
        self, server: Server, rng: random.Random, hosts: tuple[str, ...], newer: random.Random
    ) -> None:
        super().__init__("person")
        self.rng = rng
        # Dice of their own leave the lives that know nothing of newer acts as they were.
        self.newer = newer
        self.knows_newer = newer.random() < HALF
        self.hosts = hosts
        self.wishes = Wishes(
            nodes={name: self._node() for name in hosts}, leads=self.rng.random() < 0.5
        )
        self.history: list[Written] = []
        self.versions: dict[str, set[Version]] = {}
        self.left: list[str] = []
        self.did: dict[str, int] = {}
        self.pause = 20.0
        self.about_to_break: Callable[[str, bytes], None] = lambda _path, _text: None
        self._server = server
        self._repository = MemoryRepository(server)
        self._serial = 0
        for _ in range(rng.randint(2, 8)):
            self._deploy()
        self.did.clear()
        self.commit()

    def step(self) -> float:
        did = self._act(*self.rng.choice(ACTS))
        if self.knows_newer and self.newer.random() < HALF:
            did |= self._act(*self.newer.choice(NEWER_ACTS))
        if did:
            self.commit()
        return self.rng.expovariate(1 / self.pause)

    def _act(self, name: str, act: Callable[[Person], bool]) -> bool:
        if not act(self):
            return False
        self.did[name] = self.did.get(name, 0) + 1
        return True

    def died(self) -> float:
        return 1.0

    def commit(self, *, removes: bool = False) -> None:
        """Commit what is wished now, and say that main was left on purpose wherever it was."""
        parent = self._repository.fetch(MAIN).get(MAIN)
        tree = self._repository.write(None, dict(self.wishes.files()))
        message = "\n".join(("a change", "", *self._trailers(removes=removes)))
        made = self._repository.commit(tree, parent=parent, message=message, at=A_MOMENT)
        self._server.writer = self.name
        self._repository.push_own(MAIN, made)
        self.history.append(Written(made, self.wishes.copy(), removes))
        for name, version in self.wishes.versions().items():
            self.versions.setdefault(name, set()).add(version)

    def _trailers(self, *, removes: bool) -> list[str]:
        accepted = [f"Miaas-Accept-Rewind: {head}" for head in self.left]
        return [*accepted, *(["Miaas-Allow-Removals: yes"] if removes else [])]

    def rewind(self) -> bool:
        """Force main back to an older commit."""
        if len(self.history) < 3:
            return False
        old = self.rng.choice(self.history[-6:-1])
        self.wishes = old.wishes.copy()
        self.left += self._between(old.commit, self._server.refs[MAIN])
        self._server.put_ref(MAIN, old.commit, self.name)
        return True

    def _between(self, old: str, new: str) -> list[str]:
        """The commits that go when main goes back: a reconciler may have seen any of them last."""
        found: list[str] = []
        while new != old:
            found.append(new)
            parents = read_commit(CommitId(new), self._server.objects[new][1]).parents
            if not parents:
                break
            new = parents[0]
        return found

    def mend_all(self) -> None:
        """Take back what stops the whole fleet, and commit."""
        self.wishes.odd = {p: t for p, t in self.wishes.odd.items() if p != "fleet.yaml"}
        self.wishes.suspend, self.wishes.window = False, ""
        for name, wish in self.wishes.deployments.items():
            self.wishes.deployments[name] = replace(wish, suspend=False)
        for name, node in self.wishes.nodes.items():
            self.wishes.nodes[name] = replace(node, shelf=node.shelf or "low")
        self.commit(removes=True)

    # what they do ----------------------------------------------------------------------------

    def _some(self) -> str | None:
        names = sorted(self.wishes.deployments)
        return self.rng.choice(names) if names else None

    def _deploy(self) -> bool:
        if len(self.wishes.deployments) >= 10:
            return False
        self._serial += 1
        self.wishes.deployments[f"d{self._serial}"] = self._wish()
        return True

    def _wish(self) -> Wish:
        rng, template = self.rng, self.rng.choice(TEMPLATES)
        gpus = rng.choice((1, 1, 1, 2, 9)) if template == "model" else 0
        return Wish(
            template=template,
            text=rng.choice(TEXTS),
            tag=rng.choice(TAGS),
            replicas=rng.choice((0, 1, 1, 2, 3, 5)),
            memory_mib=rng.choice(MEMORIES[:4]) if rng.random() < 0.9 else rng.choice(MEMORIES),
            gpus=gpus,
            gpu_mib=rng.choice((0, 4000, 9000)) if gpus == 1 else 0,
            shelf=rng.choice(("", "", "", "low", "high")),
            priority=rng.choice((0, 0, 0, 10)),
            fenced=rng.random() < 0.4,
            update=rng.choice(UPDATES),
            after=self._some() or "" if rng.random() < 0.2 else "",
        )

    def _change(self) -> bool:
        name = self._some()
        if name is None:
            return False
        wish, rng = self.wishes.deployments[name], self.rng
        self.wishes.deployments[name] = rng.choice(
            (
                replace(wish, text=rng.choice(TEXTS)),
                replace(wish, tag=rng.choice(TAGS)),
                replace(wish, memory_mib=rng.choice(MEMORIES)),
                replace(wish, shelf=rng.choice(("", "low", "high"))),
                replace(wish, update=rng.choice(UPDATES)),
                replace(wish, fenced=not wish.fenced),
            )
        )
        return True

    def _scale(self) -> bool:
        name = self._some()
        if name is None:
            return False
        wish = self.wishes.deployments[name]
        self.wishes.deployments[name] = replace(wish, replicas=self.rng.randrange(6))
        return True

    def _remove(self) -> bool:
        name = self._some()
        if name is None:
            return False
        self._forget(name)
        return True

    def _remove_many(self) -> bool:
        """Remove more than half of all, and say now and then that this is meant."""
        names = sorted(self.wishes.deployments)
        for name in self.rng.sample(names, len(names) * 3 // 5):
            self._forget(name)
        self.commit(removes=self.rng.random() < 0.3)
        return len(names) > 1

    def _forget(self, name: str) -> None:
        del self.wishes.deployments[name]
        self.wishes.odd.pop(deployment_path(name), None)
        for other, wish in self.wishes.deployments.items():
            if wish.after == name:
                self.wishes.deployments[other] = replace(wish, after="")

    def _suspend(self) -> bool:
        """Suspend a deployment, or let it go on."""
        name = self._some()
        if name is not None:
            wish = self.wishes.deployments[name]
            self.wishes.deployments[name] = replace(wish, suspend=not wish.suspend)
        return name is not None

    def _suspend_fleet(self) -> bool:
        self.wishes.suspend = not self.wishes.suspend
        return True

    def _elect(self) -> bool:
        """Let one reconciler lead, or all decide."""
        self.wishes.leads = not self.wishes.leads
        return True

    def _break(self) -> bool:
        name = self._some()
        if name is None:
            return False
        text = self.rng.choice(BAD_DEPLOYMENTS).replace(b"NAME", name.encode())
        return self._write_odd(deployment_path(name), text)

    def _break_template(self) -> bool:
        path = f"templates/{self.rng.choice(TEMPLATES)}/compose.yaml.j2"
        return self._write_odd(path, self.rng.choice(BAD_COMPOSE))

    def _break_node(self) -> bool:
        names = sorted(self.wishes.nodes)
        return bool(names) and self._write_odd(node_path(self.rng.choice(names)), b"kind: Nod\n")

    def _break_fleet(self) -> bool:
        return self._write_odd("fleet.yaml", b"kind: Fleet\nmetadata: {}\n")

    def _write_odd(self, path: str, text: bytes) -> bool:
        self.about_to_break(path, text)
        self.wishes.odd[path] = text
        return True

    def _mend(self) -> bool:
        if not self.wishes.odd:
            return False
        del self.wishes.odd[self.rng.choice(sorted(self.wishes.odd))]
        return True

    def _change_template(self) -> bool:
        name = self.rng.choice(TEMPLATES)
        self.wishes.marks[name] = self.rng.choice(MARKS)
        return True

    def _node(self, duty: str = "active") -> NodeWish:
        return NodeWish(duty=duty, shelf=self.rng.choice(("low", "low", "high")))

    def _set_duty(self, duty: str) -> bool:
        names = sorted(self.wishes.nodes)
        if not names:
            return False
        name = self.rng.choice(names)
        self.wishes.nodes[name] = replace(self.wishes.nodes[name], duty=duty)
        return True

    def _relabel(self) -> bool:
        names = sorted(self.wishes.nodes)
        if names:
            name = self.rng.choice(names)
            shelf = self.rng.choice(("low", "high"))
            self.wishes.nodes[name] = replace(self.wishes.nodes[name], shelf=shelf)
        return bool(names)

    def _remove_node(self) -> bool:
        names = sorted(self.wishes.nodes)
        if len(names) < 2:
            return False
        name = self.rng.choice(names)
        del self.wishes.nodes[name]
        self.wishes.odd.pop(node_path(name), None)
        return True

    def _add_node(self) -> bool:
        missing = sorted(set(self.hosts) - set(self.wishes.nodes))
        if missing:
            self.wishes.nodes[self.rng.choice(missing)] = self._node()
        return bool(missing)

    # with newer dice -------------------------------------------------------------------------

    def _set_window(self) -> bool:
        """Make planned changes at some times only, or at all."""
        self.wishes.window = self.newer.choice(("", *WINDOWS))
        return True

    def _set_waves(self) -> bool:
        self.wishes.waves = not self.wishes.waves
        return True

    def _ask_for_the_shelf(self) -> bool:
        """Let a template need what some nodes do not say, or not any more."""
        self.wishes.asks = not self.wishes.asks
        return True

    def _unlabel(self) -> bool:
        names = sorted(self.wishes.nodes)
        if names:
            name = self.newer.choice(names)
            self.wishes.nodes[name] = replace(self.wishes.nodes[name], shelf="")
        return bool(names)

    def _replace(self, change: Callable[[Wish], Wish]) -> bool:
        """Change one of the deployments, whichever."""
        names = sorted(self.wishes.deployments)
        if names:
            name = self.newer.choice(names)
            self.wishes.deployments[name] = change(self.wishes.deployments[name])
        return bool(names)

    def _preempt(self) -> bool:
        """Let one push out others, or not any more, and matter more or less."""
        priority = self.newer.choice((0, 10, 100))
        return self._replace(
            lambda wish: replace(wish, preempts=not wish.preempts, priority=priority)
        )

    def _depend(self) -> bool:
        """Let one depend on an older one, so that never two wait for each other."""
        names = sorted(self.wishes.deployments, key=_age)
        if len(names) < 2:
            return False
        later = self.newer.randrange(1, len(names))
        wish, after = self.wishes.deployments[names[later]], names[self.newer.randrange(later)]
        self.wishes.deployments[names[later]] = replace(wish, after="" if wish.after else after)
        return True

    def _take_back(self) -> bool:
        """Write a deployment as it was some commits ago: `git revert`."""
        names = sorted(self.wishes.deployments)
        then = self.newer.choice(self.history[-6:]).wishes.deployments
        known = [name for name in names if name in then]
        if known:
            name = self.newer.choice(known)
            after = then[name].after
            kept = after if after in self.wishes.deployments else ""
            self.wishes.deployments[name] = replace(then[name], after=kept)
        return bool(known)


def _age(name: str) -> int:
    return int(name.removeprefix("d"))


NEWER_ACTS: Final[tuple[tuple[str, Callable[[Person], bool]], ...]] = (
    ("set a window", Person._set_window),
    ("set waves", Person._set_waves),
    ("ask for the shelf", Person._ask_for_the_shelf),
    ("unlabel a node", Person._unlabel),
    (
        "spread",
        lambda person: person._replace(lambda wish: replace(wish, spreads=not wish.spreads)),
    ),
    ("preempt", Person._preempt),
    ("preempt", Person._preempt),
    ("stay where lost", lambda person: person._replace(lambda w: replace(w, stays=not w.stays))),
    ("depend", Person._depend),
    ("depend", Person._depend),
    ("take back", Person._take_back),
    ("take back", Person._take_back),
)

# Those that stand here twice are done twice as often.
ACTS: Final[tuple[tuple[str, Callable[[Person], bool]], ...]] = (
    ("deploy", Person._deploy),
    ("deploy", Person._deploy),
    ("change", Person._change),
    ("change", Person._change),
    ("scale", Person._scale),
    ("scale", Person._scale),
    ("remove", Person._remove),
    ("remove many", Person._remove_many),
    ("suspend", Person._suspend),
    ("suspend the fleet", Person._suspend_fleet),
    ("elect a leader", Person._elect),
    ("break a deployment", Person._break),
    ("break a template", Person._break_template),
    ("break a node", Person._break_node),
    ("break fleet.yaml", Person._break_fleet),
    ("mend", Person._mend),
    ("mend", Person._mend),
    ("mend", Person._mend),
    ("change a template", Person._change_template),
    ("cordon", lambda person: person._set_duty("cordoned")),
    ("drain", lambda person: person._set_duty("draining")),
    ("activate", lambda person: person._set_duty("active")),
    ("activate", lambda person: person._set_duty("active")),
    ("relabel a node", Person._relabel),
    ("remove a node", Person._remove_node),
    ("add a node", Person._add_node),
    ("add a node", Person._add_node),
)
