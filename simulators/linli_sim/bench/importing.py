"""``store.import.lines_per_s``: how fast a file of line protocol becomes readings, by the command as people give it."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from linli_platform.store.duckdb import DuckDBStore
from linli_sim.bench import CannotRun, bench

_SERIES: Final = 1_000
_TIMES: Final = 5_000
_BEGIN: Final = 1_700_000_000
_EVERY_S: Final = 900


def _write(path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in range(_TIMES):
            at = (_BEGIN + row * _EVERY_S) * 1_000_000
            file.writelines(
                f"energy_import,gateway=gw-a,point=m-{one}/energy_import value={1_000 * one + 7 * row}.5 {at}\n"
                for one in range(_SERIES)
            )


@bench("store.import.lines_per_s", unit="lines/s", target=1_000_000)
def lines_per_s() -> float:
    """Five million lines of a thousand series; the start of the program and the last commit are counted in."""
    with tempfile.TemporaryDirectory(prefix="linli-bench-") as name:
        folder = Path(name)
        _write(folder / "lines.lp")
        words = ["import", "--precision", "us", "--data", str(folder / "data"), str(folder / "lines.lp")]
        program = [str(Path(sys.executable).with_name("linli-platform")), *words]
        begun = time.monotonic()
        subprocess.run(program, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
        took = time.monotonic() - begun
        with DuckDBStore(folder / "data" / "store.duckdb") as store:
            found = store.count()
    if found != _SERIES * _TIMES:
        raise CannotRun(f"the figure is void: {found} readings came of {_SERIES * _TIMES} lines")
    return found / took
