"""``python -m linli_edge``."""

import sys

from linli_edge.cli import main

if __name__ == "__main__":
    sys.exit(main())
