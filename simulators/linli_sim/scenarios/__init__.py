"""Scenarios: what goes wrong in a community, told as its devices would tell it, with the truth beside the readings.

Each is pure: a start, a seed, and out come readings and what a good set of rules must make of them. ``linli-sim demo
--scenario NAME`` sends them the whole way; ``make alarm-truth`` plants such faults in a month of normal life.
"""
