"""What of a plan may happen now: rollouts by health, failover, fences, brakes.

Values in, values out. Nothing here waits: a pass that may not change a replica yet freezes it, and
the next pass decides anew, so that a newer commit cancels every wait. No clock: ages are arguments.
"""
