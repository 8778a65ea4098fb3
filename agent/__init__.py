"""Obeys: an assignment becomes acts, acts become Docker Compose, what is seen becomes a heartbeat.

Belongs here: everything that runs on a host that serves. Never here: a decision about another node.
"""
