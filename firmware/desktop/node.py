"""``micropython node.py FOLDER UID``: a node on the desktop."""

import sys

from linli_desktop.board import main

main(sys.argv[1], sys.argv[2])
