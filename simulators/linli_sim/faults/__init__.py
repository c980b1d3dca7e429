"""The fault bench: real processes, faults by a seed, and a count that nobody who is counted takes part in.

A simulated device numbers every reading it serves, the numbers are read back out of the store, and what is missing has
to be in the ledger with its cause: ``python -m linli_sim.faults``.
"""
