"""One fleet for all modules here, healed before each test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from examples.tour.cables import namespaces_allowed
from examples.tour.engines import Engine, engines_allowed, start_engine, stop_engine
from examples.tour.images import busybox, import_image
from examples.tour.repository import FleetRepository
from examples.tour.world import IMAGE
from tests.e2e.worst_day.eye import Eye
from tests.e2e.worst_day.fleet import Fleet
from tests.e2e.worst_day.node import Node
from tests.e2e.worst_day.slow_forge import SlowPushes, WorstForge
from tests.forge import certificate_for, credentials, serve

NAMES = ("alpha", "beta", "gamma")
FIRST_CABLE = 61
MEASURED = "measured"


@pytest.fixture(scope="session")
def whole_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Three engines with networks of their own, behind one Git server."""
    reason = engines_allowed() or ("" if busybox() else "busybox-static is not installed")
    if not reason and not namespaces_allowed():
        reason = "no network namespaces here"
    if reason:
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        base = tmp_path_factory.mktemp("worst-day")
        engines = {
            name: _engine(stack, base / "engines", name, index)
            for index, name in enumerate(NAMES, start=FIRST_CABLE)
        }
        addresses = {name: _host_end(engine) for name, engine in engines.items()}
        certificate = certificate_for(base, *addresses.values())
        slow = SlowPushes()
        handler = type("FleetForge", (WorstForge,), {"root": str(base), "slow": slow})
        server = serve(handler, "0.0.0.0", certificate)  # noqa: S104 - the ends of all cables
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        common = {"ca_file": str(certificate), "credentials": credentials(base)}
        nodes = {
            name: Node(
                name,
                engine,
                base / "nodes" / name,
                {
                    **common,
                    "state_url": f"https://{addresses[name]}:{server.server_port}/{name}/fleet.git",
                    "pushes_per_hour": "3600",
                },
            )
            for name, engine in engines.items()
        }
        repository = FleetRepository(base / "fleet.git", base / "work")
        fleet = Fleet(base, nodes, repository, Eye(engines), slow)
        fleet.create()
        stack.callback(fleet.stop)
        yield fleet


def _engine(stack: contextlib.ExitStack, base: Path, name: str, index: int) -> Engine:
    stack.callback(stop_engine, name, base)
    engine = start_engine(name, base, index)
    import_image(engine, IMAGE)
    return engine


def _host_end(engine: Engine) -> str:
    return f"{engine.address.rpartition('.')[0]}.1"


@pytest.fixture
def fleet(whole_fleet: Fleet, record_property: Callable[[str, object], None]) -> Iterator[Fleet]:
    """The fleet at rest, with nothing deployed, and someone who looks at what runs."""
    whole_fleet.heal()
    eye = Eye({name: node.engine for name, node in whole_fleet.nodes.items()})
    whole_fleet.eye, whole_fleet.told = eye, []
    with eye.open():
        yield whole_fleet
    for line in whole_fleet.told:
        record_property(MEASURED, line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured. No test depends on it."""
    reports = [one for found in terminalreporter.stats.values() for one in found]
    properties = [pair for one in reports for pair in getattr(one, "user_properties", ())]
    told = [text for name, text in properties if name == MEASURED]
    if told:
        terminalreporter.section("measured")
    for line in dict.fromkeys(told):
        terminalreporter.write_line(str(line))
