"""InfluxQL, the one language in which boards and outside clients ask: parsed, planned and answered over any store."""
