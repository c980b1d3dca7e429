"""``micropython first.py FOLDER PORT SECONDS``: the first start of a board, with the desktop as its access point."""

import sys

from linli_desktop import access_point

from linli_app import first_start, start

access_point.AccessPoint.port = int(sys.argv[2])
access_point.AccessPoint.address = "127.0.0.1:" + sys.argv[2]
sys.modules["linli_app.access_point"] = sys.modules["linli_app.board"] = access_point
first_start.OPEN_S = int(sys.argv[3])
start.main(sys.argv[1])
print("over")
