"""The wire contract: topics, SenML packs, events, status and ack."""
