"""How much one pass reads at most. More than this is a mistake, not a fleet."""

from __future__ import annotations

from typing import Final

# Ten thousand deployments, and as many files of templates.
FILES_MAX: Final = 20_000
# Four times the largest document that is parsed; a template may carry a larger file to copy.
BYTES_MAX: Final = 1024 * 1024
# All files of a pass together: what a small machine still holds in memory, twice.
TOTAL_MAX: Final = 256 * 1024 * 1024
# Generations of a node, or grants of a replica, that a restored state can have lost: one a second
# for half a year. A machine that claims more is ill or lies: we do not count on from there.
LOST_MAX: Final = 2**24
# By how much more the generations of all nodes grow once the state was found restored: more than
# what was published for a node, and lost, before its agent saw it. LOST_MAX is 4,096 of them.
LEAP: Final = 2**12
# Decisions that are looked through for what was moved within an hour: one in every 14 seconds.
LOG_MAX: Final = 256
# Commits of people that are looked through for the one that accepts a rewind: years of them.
HISTORY_MAX: Final = 10_000
# Commits of main that are looked through for since when a node is drained: three months of ten a
# day. Changes of its nodes among them: each is listed once, and kept.
MAIN_LOG_MAX: Final = 1000
WORDS_MAX: Final = 256
