"""Whoever serves goes on serving, whatever becomes of the version that was to replace it."""

from __future__ import annotations

from schemas.assignment import Phase
from tests.unit.rolling.fleet import Fleet, a_fleet_of, spread

TWO = "{text: two}"
FITS_ONE = {"placement": "{strategy: spread, require: {zone: b}}", "resources": "{cpu: 9}"}


def record(name: str, zone: str, duty: str = "") -> str:
    labels = f"labels: {{zone: {zone}}}"
    said = f"spec: {{duty: {duty}}}\n" if duty else ""
    return f"apiVersion: miaas/v1\nkind: Node\nmetadata: {{name: {name}, {labels}}}\n{said}"


def three_of_which_one_fits() -> Fleet:
    """A new version will fit on alpha alone."""
    fleet = a_fleet_of("alpha", "beta", "gamma", chat=spread(3))
    fleet.world.commit({"nodes/alpha.yaml": record("alpha", "b")})
    fleet.rest(2)
    return fleet


def test_a_version_that_fits_for_some_is_not_the_good_one_and_the_others_serve_on() -> None:
    fleet = three_of_which_one_fits()

    fleet.change("chat", replicas=3, parameters=TWO, **FITS_ONE)
    fleet.rest(6)

    assert fleet.texts() == {"chat-0": "two", "chat-1": "one", "chat-2": "one"}
    assert fleet.phase() is Phase.ROLLING
    assert fleet.because() == {"homeless"}
