"""Statements of InfluxQL by chance, asked of us and of InfluxDB's own server: the answers have to be the same."""
