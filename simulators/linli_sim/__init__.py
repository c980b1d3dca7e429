"""Devices that speak the real protocols, without the devices: for the demo, the benchmarks and the tests.

Every model is pure (``step(seconds)``, seeded, no clock); a thin asyncio shell puts it on a wire.
"""
