"""Placing: needs and nodes in, a plan out. Same input, same plan, in any order of input."""
