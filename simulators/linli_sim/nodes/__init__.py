"""Nodes on the desktop: MicroPython's own virtual machines run the programs that run on boards."""
