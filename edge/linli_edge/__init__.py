"""The gateway: reads devices over their own protocols, keeps every reading on its own disk, forwards it over MQTT."""
