"""A month of a community, with faults planted in it: are they found, in time, and is anybody woken for nothing?

``make alarm-truth``. Everything is drawn from one seed. Time is simulated: the readings go through the platform's own
screening and engine, in the order in which they would arrive, as fast as the machine can.
"""
