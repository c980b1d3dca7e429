"""The commands of a basement visit, as ``linli-edge`` takes them up."""

from typing import Any

from linli_edge.commissioning import commission_command, doctor_command, find_command, scan_command


def add_arguments(subparsers: Any) -> None:
    """Add the parsers of all commands of a visit to those of ``linli-edge``."""
    scan_command.add_scan(subparsers)
    find_command.add_find(subparsers)
    doctor_command.add_doctor(subparsers)
    commission_command.add_commission(subparsers)
