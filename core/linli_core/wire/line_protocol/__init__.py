"""Line protocol (InfluxDB's), the form in which Telegraf and others write: one line, one point.

::

    temperature,room=kitchen,shelf=2 value=3.5,note="door open" 1795000000000000000
    measurement,tag=…,tag=…          field=…,field=…            timestamp

There is no version in it and no checksum. The syntax is that of InfluxDB's documentation ("Line protocol reference",
InfluxDB OSS 1.8 and 2): a comma, a space, an equals sign within a name stands behind a backslash, a quotation mark or
a backslash within a text too; every other backslash is itself. What is wrong with one line costs that line only.
"""

from linli_core.wire.line_protocol.parsing import LIMITS, BadLine, LineLimits, LinePoint, Parsed, Precision, parse
from linli_core.wire.line_protocol.writing import FieldValue, escaped, line

__all__ = [
    "LIMITS",
    "BadLine",
    "FieldValue",
    "LineLimits",
    "LinePoint",
    "Parsed",
    "Precision",
    "escaped",
    "line",
    "parse",
]
