"""What this host is: processors, memory, disk, addresses, ports, GPUs, and who holds them.

Belongs here: everything that reads the host, with psutil and NVIDIA's library. Never here: a
decision, Docker, Git. Nothing heavy is imported before it is needed.
"""
