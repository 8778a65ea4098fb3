"""Why a pass is made although its time has not come."""

from enum import StrEnum


class Reason(StrEnum):
    """What someone who watches may have seen."""

    ASKED = "asked"  # a pass is made as such: look at everything that may be looked at by now
    ASSIGNMENT = "assignment"  # the node's own ref may have moved
    PROBES = "probes"  # one of them turned
    CONTAINERS = "containers"  # the engine may have changed something
    LIMITS = "limits"  # someone gave a container other limits
