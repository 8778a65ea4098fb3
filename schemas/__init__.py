"""The contract: every document that people or machines write, and where each one stands.

Belongs here: frozen dataclasses, their JSON Schemas, parsing, dumping, names, quantities, paths.
Never here: a clock, Git, Docker, a file of the host, a log line.
"""
