"""The node's program: reads its sensors, keeps what they say, and hands it to the gateway."""

VERSION = "0.1.0"
