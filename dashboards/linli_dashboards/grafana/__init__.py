"""Bringing the boards to a Grafana over its HTTP API: what is wanted, what is there, and the steps between the two."""
