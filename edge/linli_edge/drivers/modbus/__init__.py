"""Modbus over TCP, serial lines (RTU) and RTU over TCP. See ``README.md``."""
