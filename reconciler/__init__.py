"""Decides: desired state and heartbeats become a plan, a plan becomes one commit.

Belongs here: reading the fleet, placing, rendering, publishing, and what people look at (`miaas`,
the status page). Never here: Docker, or anything that runs on a host that serves.
"""
