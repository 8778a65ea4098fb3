"""The repository: the only room that knows Git.

Belongs here: the Protocol, its GitPython and in-memory implementations, how Git is run safely.
Never here: what the files mean, Docker, a decision.
"""
