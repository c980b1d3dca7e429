"""Mutants of the alarm engine: small faults in its source that the tests must notice. Minutes: ``make mutants``."""
