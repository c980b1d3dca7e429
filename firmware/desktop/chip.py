"""``micropython chip.py FOLDER UID``: a node on a battery, awake once."""

import sys

from linli_desktop.chip import main

main(sys.argv[1], sys.argv[2])
