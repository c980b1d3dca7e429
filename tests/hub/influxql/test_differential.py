"""The same statements to us and to InfluxDB's own server: what differs is argued in docs/influxql.md, or is wrong."""

import pytest

from linli_sim.influxdb import program
from linli_sim.influxql.differential import run


@pytest.mark.skipif(program() is None, reason="nothing to compare with: apt install influxdb")
def test_we_answer_as_influxdb_does() -> None:
    tally = run(600, seed=1)
    assert tally.statements == 600
    assert tally.wrong == 0, [found.statement for found in tally.differences if found.reason == "wrong"]
    assert tally.unlike == []
    # Most of them are equal, and not argued away.
    assert tally.equal > 0.95 * tally.statements
