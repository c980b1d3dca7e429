"""Whether boards are what Grafana takes, and every query of theirs is answered."""
