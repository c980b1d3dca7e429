"""``python -m linli_sim.bench``: run the benchmarks whose names match, one JSON line each."""

import argparse
import fnmatch
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from linli_core.errors import LinliError
from linli_sim.bench import REGISTRY, Bench, CannotRun

BENCHES: Final[Mapping[str, str]] = {
    "alarm.evaluations_per_cpu_second": "linli_sim.bench.alarm_engine",
    "alarm.flood10000.api_p99_ms": "linli_sim.bench.alarm_flood",
    "alarm.flood10000_s": "linli_sim.bench.alarm_flood",
    "alarm.instances": "linli_sim.bench.alarm_engine",
    "alarm.latency_p50_ms": "linli_sim.bench.notices",
    "alarm.latency_p99_ms": "linli_sim.bench.notices",
    "alarm.replay.readings_per_s": "linli_sim.bench.alarm_replay",
    "backup.live_alarm_p99_ms": "linli_sim.bench.backup",
    "boards.front_ms": "linli_sim.bench.boards",
    "boards.whole_set_ms": "linli_sim.bench.boards",
    "bus.silent_unit.healthy_share": "linli_sim.bench.bus",
    "bus.plan200.requests_per_cycle": "linli_sim.bench.bus",
    "bus.plan200.complete_share": "linli_sim.bench.bus",
    "bus.rtu9600.use": "linli_sim.bench.bus",
    "bus.rtu9600.use_3dead": "linli_sim.bench.bus",
    "bus.scan.over_theory": "linli_sim.bench.scan",
    "edge.points_per_cpu_second": "linli_sim.bench.edge",
    "edge.rss_mb": "linli_sim.bench.edge",
    "edge.cold_start_s": "linli_sim.bench.edge",
    "ingest.pack100.readings_per_cpu_second": "linli_sim.bench.ingest",
    "ingest.pack5.readings_per_second": "linli_sim.bench.ingest",
    "meters.dlt645_2400.use": "linli_sim.bench.dlt645",
    "meters.mbus.telegrams_per_cpu_second": "linli_sim.bench.mbus",
    "node.battery_years": "linli_sim.bench.node",
    "node.heap_peak_kb": "linli_sim.bench.node",
    "node.mpy_kb": "linli_sim.bench.node",
    "node.wake_one_s": "linli_sim.bench.node",
    "node.wake_s": "linli_sim.bench.node",
    "outbox.append_us": "linli_sim.bench.outbox",
    "outbox.open_1m_s": "linli_sim.bench.outbox",
    "outbox.write_amplification": "linli_sim.bench.outbox",
    "platform.rss_mb": "linli_sim.bench.steady",
    "query.board_panel_ms": "linli_sim.bench.query",
    "query.dwelling_year_ms": "linli_sim.bench.query",
    "query.front_overhead": "linli_sim.bench.query",
    "query.latest5000_ms": "linli_sim.bench.query",
    "restore.readings_per_s": "linli_sim.bench.restore",
    "store.bytes_per_billing_reading": "linli_sim.bench.store",
    "store.bytes_per_reading": "linli_sim.bench.store",
    "store.import.lines_per_s": "linli_sim.bench.importing",
    "store.longest_commit_ms": "linli_sim.bench.upkeep",
    "storm.drain_readings_per_s": "linli_sim.bench.storm",
    "storm.live_alarm_p99_ms": "linli_sim.bench.storm",
}
"""The module of each benchmark, by the benchmark's name; imported when it is asked for."""


def main(argv: Sequence[str] | None = None, benches: Mapping[str, str] = BENCHES) -> int:
    """Run what ``--only`` matches; return 1 if any of it could not run, or nothing matches."""
    parser = argparse.ArgumentParser(prog="python -m linli_sim.bench", description="Print figures as JSON lines.")
    parser.add_argument("--only", default="*", metavar="GLOB", help="names to run, such as 'ingest.*' (default all)")
    only = parser.parse_args(argv).only
    names = [name for name in benches if fnmatch.fnmatchcase(name, only)]
    if not names:
        known = ", ".join(benches) or "this release has no benchmark"
        print(f"bench: nothing matches {only!r}; known: {known}", file=sys.stderr)
        return 1
    failed = False
    for name in names:
        try:
            line = _find(name, benches[name]).run()
        except (LinliError, ImportError, OSError) as exc:
            print(f"bench: {name} cannot run: {exc}", file=sys.stderr)
            failed = True
        else:
            print(msgspec.json.encode(line).decode(), flush=True)
    return int(failed)


def _find(name: str, module: str) -> Bench:
    importlib.import_module(module)
    try:
        return REGISTRY[name]
    except KeyError:
        raise CannotRun(f"{module} registers no benchmark of that name") from None
