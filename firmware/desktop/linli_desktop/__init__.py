"""What a node has on the desktop in place of a board: flash, pins, buses, sleep. Never on a board itself."""
