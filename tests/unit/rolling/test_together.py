"""Two things at once: waves and broken templates, windows and drains, rollouts that depend."""

from __future__ import annotations

from schemas.assignment import Phase, Verdict
from schemas.heartbeat import ReplicaState
from tests.unit.reconciler.world import FLEET, WEB, WEB_COMPOSE, deployment, node
from tests.unit.rolling.fleet import a_fleet_of, spread

CLOSED = '  windows: [{kind: allow, cron: "30 12 * * *", duration: 1h}]\n'
FENCED = "{stopAfter: 2m, loseAfter: 4m}"
# Two of these have no room on one node.
BIG = "{cpu: 12}"


def test_a_drain_outside_windows_starts_no_extra_replica() -> None:
    fleet = a_fleet_of(fleet=CLOSED, chat=spread(2, update="{strategy: startFirst}"))
    fleet.rest(3)
    before = fleet.homes()

    fleet.world.commit({f"nodes/{before['chat-0']}.yaml": node(before["chat-0"], duty="draining")})
    fleet.rest(4)

    assert fleet.because() == {"window"}
    assert fleet.homes() == before


def test_a_closed_window_makes_nobody_stop_who_would_have_served_on() -> None:
    """The more important one gets the room of `mover`, which waits for the window to move."""
    prefers = "[{key: miaas/node, operator: In, values: [alpha], weight: 100}]"
    fleet = a_fleet_of(
        *("alpha", "beta", "gamma"),
        fleet=CLOSED,
        mover=deployment(
            "mover",
            resources=BIG,
            priority=1,
            placement=f"{{pin: [alpha, gamma], prefer: {prefers}}}",
        ),
        stays=deployment("stays", resources=BIG, priority=2, placement="{pin: [beta]}"),
    )

    vip = "{pin: [alpha, beta], preemption: lowerPriority}"
    fleet.change("vip", resources=BIG, priority=100, placement=vip)
    fleet.rest(4)

    assert fleet.homes("mover") == {"mover-0": "alpha"}
    assert fleet.homes("stays") == {"stays-0": "beta"}
    assert fleet.homes("vip") == {}


def test_a_version_that_cannot_be_rendered_keeps_no_later_wave_waiting() -> None:
    waves = "  waves:\n    - {key: pool, operator: In, values: [canary]}\n"
    on_beta = {"placement": "{pin: [beta]}"}
    fleet = a_fleet_of(
        *("alpha", "beta"),
        fleet=waves,
        ill=deployment("ill", placement="{pin: [alpha]}"),
        chat=deployment("chat", parameters="{text: one}", **on_beta),
    )
    canary = node("alpha").replace("{name: alpha}", "{name: alpha, labels: {pool: canary}}")
    fleet.world.commit({"nodes/alpha.yaml": canary})
    fleet.states["ill-0"] = ReplicaState.DEGRADED
    fleet.rest(5)

    odd = WEB_COMPOSE.replace("{{ params.text }}", "{{ params.nothing.more }}")
    fleet.world.commit(
        {
            "templates/other/template.yaml": WEB.replace("name: web", "name: other"),
            "templates/other/compose.yaml.j2": odd,
            "deployments/ill.yaml": deployment("ill", template="other", placement="{pin: [alpha]}"),
            "deployments/chat.yaml": deployment("chat", parameters="{text: two}", **on_beta),
        }
    )
    fleet.rest(6)

    assert fleet.texts("chat") == {"chat-0": "two"}


def test_who_depends_gets_its_version_after_what_it_depends_on() -> None:
    fleet = a_fleet_of(base=deployment("base"))
    fleet.change("chat", dependsOn="[base]", parameters="{text: one}")
    fleet.rest(4)

    fleet.states["base-0"] = ReplicaState.STARTING
    fleet.world.commit(
        {
            "deployments/base.yaml": deployment("base", parameters="{text: two}"),
            "deployments/chat.yaml": deployment(
                "chat", dependsOn="[base]", parameters="{text: two}"
            ),
        }
    )
    fleet.rest(4)
    assert (fleet.texts("base"), fleet.texts()) == ({"base-0": "two"}, {"chat-0": "one"})

    fleet.states = {}
    fleet.rest(3)
    assert fleet.texts() == {"chat-0": "two"}


def test_what_waits_for_a_version_of_another_keeps_no_later_wave_waiting() -> None:
    """What it depends on is in the later wave: it would wait for it, and be waited for."""
    waves = "  waves:\n    - {key: pool, operator: In, values: [canary]}\n"
    fleet = a_fleet_of(
        *("alpha", "beta"),
        fleet=waves,
        base=deployment("base", placement="{pin: [beta]}"),
    )
    fleet.change("chat", dependsOn="[base]", placement="{pin: [alpha]}")
    canary = node("alpha").replace("{name: alpha}", "{name: alpha, labels: {pool: canary}}")
    fleet.world.commit({"nodes/alpha.yaml": canary})
    fleet.rest(4)

    new = {"parameters": "{text: two}"}
    fleet.world.commit(
        {
            "deployments/base.yaml": deployment("base", placement="{pin: [beta]}", **new),
            "deployments/chat.yaml": deployment(
                "chat", dependsOn="[base]", placement="{pin: [alpha]}", **new
            ),
        }
    )
    fleet.rest(6)

    assert (fleet.texts("base"), fleet.texts()) == ({"base-0": "two"}, {"chat-0": "two"})


def test_the_way_back_of_a_fenced_one_waits_for_no_dependency() -> None:
    fleet = a_fleet_of(base=deployment("base"))
    always = {"disconnect": FENCED, "dependsOn": "[base]"}
    fleet.change("chat", parameters="{text: one}", placement="{pin: [alpha]}", **always)
    fleet.rest(12)
    fleet.states["chat-0"] = ReplicaState.STARTING
    fleet.change("chat", parameters="{text: two}", placement="{pin: [beta]}", **always)
    fleet.rest(6)
    assert fleet.homes() == {"chat-0": "beta"}

    fleet.states["base-0"] = ReplicaState.DEGRADED
    fleet.obey()
    fleet.states["chat-0"] = ReplicaState.FAILED
    fleet.obey()
    fleet.rest(10)

    assert fleet.phase() is Phase.ROLLED_BACK
    assert fleet.homes() == {"chat-0": "alpha"}


def test_a_hold_names_who_is_waited_for_now() -> None:
    fleet = a_fleet_of()
    fleet.states["a-0"] = fleet.states["b-0"] = ReplicaState.STARTING
    fleet.change("a")
    fleet.change("b")
    fleet.change("chat", dependsOn="[a, b]")
    fleet.rest(3)
    assert fleet.decision().holds[0].text == "waits for a, b to be ready"

    del fleet.states["a-0"]
    fleet.rest(3)

    assert fleet.decision().holds[0].text == "waits for b to be ready"


def test_a_hold_names_the_suspension_that_holds_now() -> None:
    fleet = a_fleet_of(chat=spread(1))
    home = fleet.homes()["chat-0"]
    fleet.world.commit({"fleet.yaml": FLEET + "spec:\n  suspend: true\n"})
    fleet.rest(2)

    fleet.world.commit({"fleet.yaml": FLEET, f"nodes/{home}.yaml": node(home, suspend="true")})
    fleet.rest(3)

    assert fleet.decision().holds[0].text == f"{home} is suspended"


def test_a_hold_for_the_fence_names_what_has_to_happen_now() -> None:
    fleet = a_fleet_of(chat=deployment("chat", disconnect=FENCED))
    fleet.rest(8)
    home = fleet.homes()["chat-0"]
    fleet.agents[home].stops = False
    fleet.world.commit({f"nodes/{home}.yaml": node(home, duty="draining")})
    fleet.rest(3)
    before = fleet.decision().holds[0].text

    fleet.agents[home].docker, fleet.agents[home].stops = "hangs", True
    fleet.rest(3)

    assert fleet.decision().holds[0].text != before
    assert "Docker" in fleet.decision().holds[0].text


def test_a_dependency_that_takes_a_port_which_its_dependent_gives_up_in_the_same_commit() -> None:
    fleet = a_fleet_of("alpha", base=deployment("base", ports="{http: 8080}"))
    fleet.change("chat", dependsOn="[base]", ports="{http: 8081}")
    fleet.rest(4)
    assert fleet.homes() == {"chat-0": "alpha"}
    two = "{text: two}"
    fleet.world.commit(
        {
            "deployments/base.yaml": deployment("base", ports="{http: 8081}", parameters=two),
            "deployments/chat.yaml": deployment(
                "chat", dependsOn="[base]", ports="{http: 8082}", parameters=two
            ),
        }
    )
    fleet.rest(40)
    assert (fleet.texts("base"), fleet.texts()) == ({"base-0": "two"}, {"chat-0": "two"})


def test_a_moving_dependency_comes_first_too() -> None:
    fleet = a_fleet_of("alpha", "beta", base=deployment("base", placement="{pin: [alpha]}"))
    fleet.change("chat", dependsOn="[base]", parameters="{text: one}")
    fleet.rest(4)
    fleet.states["base-0"] = ReplicaState.STARTING
    fleet.world.commit(
        {
            "deployments/base.yaml": deployment(
                "base", placement="{pin: [beta]}", parameters="{text: two}"
            ),
            "deployments/chat.yaml": deployment(
                "chat", dependsOn="[base]", parameters="{text: two}"
            ),
        }
    )
    fleet.rest(4)
    assert fleet.texts("base") == {"base-0": "two"}
    assert fleet.texts() == {"chat-0": "one"}


def test_no_room_for_the_extra_replica_of_a_dependency() -> None:
    first = "{strategy: startFirst}"
    fleet = a_fleet_of("alpha", base=deployment("base", resources="{cpu: 9}", update=first))
    fleet.change("chat", dependsOn="[base]")
    fleet.rest(4)
    two = "{text: two}"
    fleet.world.commit(
        {
            "deployments/base.yaml": deployment(
                "base", resources="{cpu: 9}", update=first, parameters=two
            ),
            "deployments/chat.yaml": deployment("chat", dependsOn="[base]", parameters=two),
        }
    )
    fleet.rest(100)
    assert fleet.texts("base") == {"base-0": "hello"}
    assert fleet.texts() == {"chat-0": "two"}


def test_a_flapping_dependency_makes_no_commit_with_each_flap() -> None:
    fleet = a_fleet_of()
    fleet.states["a-0"] = fleet.states["b-0"] = ReplicaState.STARTING
    fleet.change("a")
    fleet.change("b")
    fleet.change("chat", dependsOn="[a, b]")
    fleet.rest(4)
    before = len(fleet.world.history())
    for number in range(40):
        fleet.states["a-0"] = ReplicaState.RUNNING if number % 2 else ReplicaState.STARTING
        fleet.step()
    made = len(fleet.world.history()) - before
    assert made < 10


def test_who_lost_its_node_waits_for_no_window_of_others() -> None:
    big = "{cpu: 12}"
    prefers = "[{key: miaas/node, operator: In, values: [alpha], weight: 100}]"
    vip = "{pin: [delta, alpha, beta], preemption: lowerPriority, "
    vip += "prefer: [{key: miaas/node, operator: In, values: [delta], weight: 100}]}"
    fleet = a_fleet_of(
        *("alpha", "beta", "gamma", "delta"),
        fleet=CLOSED,
        mover=deployment(
            "mover",
            resources=big,
            priority=1,
            placement=f"{{pin: [alpha, gamma], prefer: {prefers}}}",
        ),
        stays=deployment("stays", resources=big, priority=2, placement="{pin: [beta]}"),
        vip=deployment("vip", resources=big, priority=100, placement=vip),
    )
    fleet.rest(4)
    assert fleet.homes("vip") == {"vip-0": "delta"}
    fleet.silent.add("delta")
    fleet.rest(60)
    assert fleet.homes("vip") in ({"vip-0": "alpha"}, {"vip-0": "beta"})


def test_a_container_that_restarts_makes_no_commit_with_each_restart() -> None:
    """chat-2 is on its way for ever, chat-0 in a restart loop: chat-3 waits, in other words."""
    update = "{maxUnavailable: 1, rollback: false, progressDeadline: 24h}"
    names = ("n0", "n1", "n2", "n3")
    text = "{text: two}"
    fleet = a_fleet_of(
        *names, chat=deployment("chat", replicas=4, update=update, placement="{strategy: spread}")
    )
    fleet.states["chat-2"] = fleet.states["chat-0"] = ReplicaState.STARTING
    fleet.change("chat", replicas=4, update=update, placement="{strategy: spread}", parameters=text)
    fleet.rest(6)
    before = len(fleet.world.history())
    for number in range(40):
        fleet.states["chat-0"] = ReplicaState.RUNNING if number % 2 else ReplicaState.STARTING
        fleet.step()
    assert len(fleet.world.history()) - before < 10


def test_a_version_that_cannot_be_rendered_is_told_and_never_good_while_all_is_suspended() -> None:
    """Nobody renders what stays: beside another that waits, it looked well (seed 8054)."""
    fleet = a_fleet_of(chat=spread(2), code=deployment("code", parameters="{text: one}"))
    good = fleet.world.decide().facts.kept["chat"].good
    fleet.world.commit({"fleet.yaml": f"{FLEET}spec: {{suspend: true}}\n"})
    fleet.rest(3)

    fleet.world.commit(
        {
            "templates/other/template.yaml": WEB.replace("name: web", "name: other"),
            "templates/other/compose.yaml.j2": "{{ nobody.knows }}",
            "deployments/chat.yaml": spread(2).replace("template: web", "template: other"),
            "deployments/code.yaml": deployment("code", parameters="{text: two}"),
        }
    )
    fleet.rest(3)

    assert fleet.because("code") == {"suspended"}
    assert fleet.decision().verdict is Verdict.HELD
    assert fleet.world.decide().facts.kept["chat"].good == good
