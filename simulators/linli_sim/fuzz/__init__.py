"""Telegrams of real devices, damaged at random: nothing but named errors may come of them (``make fuzz``)."""
