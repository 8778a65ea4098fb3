"""Whatever is done to containers behind the agent's back is healed, and healthy siblings stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from examples.tour.engines import Engine
from tests.e2e.agent.conftest import new_host
from tests.e2e.agent.host import IMAGE, Host, Pass, two_services
from tests.sim.agent.world import Files

pytestmark = pytest.mark.e2e

PROJECT = "com.docker.compose.project"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A kind of harm, how it shows, and a word of the reason that the agent has to give.

    harm: does it to a replica. is_there: whether it still shows; gets `replica/web`.
    """

    kind: str
    harm: Callable[[Host, str], None]
    is_there: Callable[[Host, str], bool]
    reason: str
    services: tuple[str, ...] = ("side", "web")


def web(replica: str) -> str:
    return f"{replica}/web"


def of_web(*command: str) -> Callable[[Host, str], None]:
    """A command of Docker's client on the container of `web`."""

    def harm(host: Host, replica: str) -> None:
        host.docker(*command, host.containers()[web(replica)])

    return harm


def is_not_running(host: Host, replica: str) -> bool:
    return host.states().get(web(replica)) != "running"


def memory_of(host: Host, replica: str) -> str:
    found = host.containers().get(web(replica))
    return host.docker("inspect", "--format", "{{.HostConfig.Memory}}", found) if found else ""


def is_unlimited(host: Host, replica: str) -> bool:
    return memory_of(host, replica) != str(64 << 20)


def cut(host: Host, replica: str) -> None:
    host.docker(
        "network", "disconnect", f"{host.project(replica)}_default", host.containers()[web(replica)]
    )


def is_cut(host: Host, replica: str) -> bool:
    found = host.containers().get(web(replica))
    template = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}"
    networks = host.docker("inspect", "--format", template, found).split() if found else []
    return networks != [f"{host.project(replica)}_default"]


def edit(host: Host, replica: str) -> None:
    """Change the rendered files by hand: what compose reads, and what the container has mounted."""
    for path in host.state.glob(f"replicas/{replica}/*/compose.yaml"):
        path.write_text(path.read_text().replace("sleep", "snooze"))
    (mounted,) = host.state.glob(f"replicas/{replica}/store/*/web.conf")
    mounted.write_text("edited\n")


def is_edited(host: Host, replica: str) -> bool:
    texts = [path.read_text() for path in host.state.glob(f"replicas/{replica}/*/compose.yaml")]
    is_rendered = len(texts) == 1 and "snooze" not in texts[0]
    return not is_rendered or host.inside(web(replica), "cat /etc/web.conf") != "as rendered"


def intrude(host: Host, replica: str) -> None:
    """Put a container that is not ours into the project, as `docker compose -p` by hand does."""
    labels = {PROJECT: host.project(replica), "com.docker.compose.service": "intruder"}
    words = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
    host.docker("run", "--detach", *words, "--label", "com.docker.compose.oneoff=False", IMAGE)


def has_intruder(host: Host, replica: str) -> bool:
    filters = ("--filter", f"label={PROJECT}={host.project(replica)}")
    names = host.docker(
        "ps", "--all", *filters, "--format", '{{.Label "com.docker.compose.service"}}'
    )
    return "intruder" in names.split()


DRIFTS = (
    Drift(
        kind="stopped",
        harm=of_web("stop", "--time", "0"),
        is_there=is_not_running,
        reason="service web is exited with code 137",
    ),
    Drift(
        kind="killed",
        harm=of_web("kill"),
        is_there=is_not_running,
        reason="service web is exited with code 137",
    ),
    Drift(
        kind="removed",
        harm=of_web("rm", "--force"),
        is_there=is_not_running,
        reason="service web is missing",
    ),
    Drift(
        kind="paused", harm=of_web("pause"), is_there=is_not_running, reason="service web is paused"
    ),
    Drift(
        kind="one-of-several-dead",
        harm=of_web("kill"),
        is_there=is_not_running,
        reason="service web is exited",
        services=("cache", "side", "web"),
    ),
    Drift(
        kind="limits",
        harm=of_web("update", "--memory", "32m", "--memory-swap", "32m"),
        is_there=is_unlimited,
        reason="web",
    ),
    Drift(kind="network", harm=cut, is_there=is_cut, reason="web"),
    Drift(kind="edited", harm=edit, is_there=is_edited, reason="edited"),
    Drift(kind="intruder", harm=intrude, is_there=has_intruder, reason="intruder"),
)


def replica(drift: Drift) -> str:
    return f"{drift.kind}-0"


def assigned(drift: Drift) -> Files:
    return two_services(
        {"web.conf": "as rendered\n"},
        others=tuple(name for name in drift.services if name not in {"web", "side"}),
        volumes=["./web.conf:/etc/web.conf:ro"],
        deploy={"resources": {"limits": {"memory": "64M"}}},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All kinds of harm done at once, and the passes that followed."""

    host: Host
    before: dict[str, str]
    showed: dict[str, bool]
    passes: tuple[Pass, ...]

    def told(self, name: str) -> str:
        """Everything that the agent said about a replica."""
        lines = "\n".join(one.log for one in self.passes).splitlines()
        return "\n".join(line for line in lines if f"replica={name}" in line)


@pytest.fixture(scope="module")
def story(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Every kind of harm, to one replica each.

    The first pass is a timer's: it sees what a listing shows. The others look at everything.
    """
    with new_host(engine, tmp_path_factory.mktemp("drift")) as host:
        yield told(host)


def told(host: Host) -> Story:
    host.publish({replica(drift): assigned(drift) for drift in DRIFTS})
    host.rest()
    before = host.containers()
    for drift in DRIFTS:
        drift.harm(host, replica(drift))
    showed = {drift.kind: drift.is_there(host, replica(drift)) for drift in DRIFTS}
    return Story(host=host, before=before, showed=showed, passes=(host.once(), *host.rest("--now")))


every_kind = pytest.mark.parametrize("drift", DRIFTS, ids=lambda drift: drift.kind)


@every_kind
def test_harm_is_healed(story: Story, drift: Drift) -> None:
    assert story.showed[drift.kind], "the harm was none"

    assert not drift.is_there(story.host, replica(drift))
    assert {
        name: state
        for name, state in story.host.states().items()
        if name.startswith(f"{replica(drift)}/")
    } == {f"{replica(drift)}/{service}": "running" for service in drift.services}


@every_kind
def test_the_agent_says_why_it_acted(story: Story, drift: Drift) -> None:
    assert drift.reason in story.told(replica(drift))


@every_kind
def test_healthy_siblings_keep_their_containers(story: Story, drift: Drift) -> None:
    after = story.host.containers()

    for service in set(drift.services) - {"web"}:
        name = f"{replica(drift)}/{service}"
        assert story.before[name] == after[name]
