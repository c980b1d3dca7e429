"""What carries the wire: an MQTT broker that one command starts, with its settings rendered from ours.

``linli-broker serve`` runs Mosquitto where it is installed, and the embedded broker that comes with ``pip install
'linli[broker]'`` where it is not. Either is a child process; our own process renders its settings, waits until it
answers an MQTT CONNECT, passes signals on and ends with its exit code.
"""
