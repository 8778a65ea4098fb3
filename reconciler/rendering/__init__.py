"""Rendering: a template and one replica's facts in, the files that will run out.

Belongs here: the sandbox, the child process with its bounds, the context, the check that a value
never changes a document's shape. Jinja2 is imported here and nowhere else.
Never here: a decision about where something runs, Git, a clock.
"""
