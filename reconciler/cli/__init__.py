"""The command line: `miaas` for people, `miaas-reconciler` for a service.

Belongs here: arguments, environment, the clock, wiring, printing, exit codes.
Never here: a decision; those stand in the rooms beside, and are asked.
"""
