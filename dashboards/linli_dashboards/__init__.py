"""Grafana boards as Python. This release has none; the page of ``linli-platform serve`` shows what is live."""
