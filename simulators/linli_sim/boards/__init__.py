"""The boards' queries asked of a whole platform on each store: ``python -m linli_sim.boards``.

The demo's community runs as it does in the demo: broker, gateways, simulated devices, the packs of rules in force.
Beside it what it has no simulator for (cameras, lifts, fire detection, a week of dwellings) comes in as line protocol.
"""
