"""The status page: what Git says of the fleet, for people and for machines, and nothing to press.

Belongs here: views (pure values), pages, the JSON API, metrics, and the one thread that looks.
Never here: a write of any kind. Whoever wants a change makes a commit.
"""
