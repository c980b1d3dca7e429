"""The platform: ingest, store, registry, alarms, API, web page; one process by default."""
