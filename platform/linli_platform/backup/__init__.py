"""Backups of store and registry: made while the platform runs, encrypted, brought back, and read back on a schedule.

``docs/adr/0011-backup.md`` tells why they are as they are, ``docs/operator.md`` how to use them.
"""
