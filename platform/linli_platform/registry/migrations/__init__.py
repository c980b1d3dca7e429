"""The registry schema, revision by revision."""
