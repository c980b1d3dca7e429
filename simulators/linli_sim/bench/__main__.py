"""``python -m linli_sim.bench``."""

import sys

from linli_sim.bench.cli import main

if __name__ == "__main__":
    sys.exit(main())
