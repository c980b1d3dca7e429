"""Nodes: boards of our own that bring what no meter measures, over the gateway's local broker.

``settings`` (what the TOML says) → ``relay`` (the shell around the MQTT client) → ``receiver`` (pure: what is new, what
came already, who is not who it says) → the gateway's log. ``marks`` keeps what was taken.
"""
