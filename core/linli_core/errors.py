"""The errors of Linli, as one tree.

::

    LinliError
    ├── ConfigError          what an operator wrote; says where, what was found, what to do
    │   ├── UnknownDriver
    │   └── DriverUnavailable
    ├── LinkError            the way to a device
    │   ├── LinkTimeout
    │   │   └── Unheard
    │   └── LinkClosed
    ├── ProtocolError        the peer sent bytes that the protocol does not allow
    │   └── ChecksumError
    ├── DeviceError          the device understood the request and said no
    ├── WriteRefused         a write that was not begun: nothing went to the device; carries a reason code
    ├── Refused              a message on the wire contract that may not be taken; carries a reason code
    └── LogError             the gateway's log or the receiver's marks contradict each other

A codec raises only :class:`ProtocolError` (and its children) for bad input, whatever the bytes.
"""

from enum import StrEnum


class LinliError(Exception):
    """Root of every error Linli raises on purpose."""


class ConfigError(LinliError):
    """A configuration that cannot be used.

    The text is for the person who wrote it: ``where: what was found; what to do``.
    """

    def __init__(self, where: str, found: str, remedy: str) -> None:
        super().__init__(f"{where}: {found}; {remedy}")
        self.where = where
        self.found = found
        self.remedy = remedy


class UnknownDriver(ConfigError):
    """No installed driver has this name."""


class DriverUnavailable(ConfigError):
    """The driver is installed but cannot be imported, or is not a driver."""


class LinkError(LinliError):
    """The way to a device is broken."""


class LinkTimeout(LinkError):
    """No answer within the time allowed."""


class Unheard(LinkTimeout):
    """A device that sends of its own accord has not been heard for too long."""


class LinkClosed(LinkError):
    """The other end closed the line."""


class ProtocolError(LinliError):
    """Bytes that the protocol does not allow.

    Attributes:
        kind: A stable snake_case code for counters and for ``linli-edge decode``.
        offset: Byte offset in the frame, where one can be named.
    """

    kind = "malformed"

    def __init__(self, message: str, *, kind: str | None = None, offset: int | None = None) -> None:
        super().__init__(message if offset is None else f"{message} (byte {offset})")
        if kind is not None:
            self.kind = kind
        self.offset = offset


class ChecksumError(ProtocolError):
    """A frame whose checksum does not match its bytes."""

    kind = "checksum"


class DeviceError(LinliError):
    """The device understood and said no.

    Attributes:
        code: The protocol's own code (Modbus exception, M-Bus application error…).
        kind: A stable snake_case code.
    """

    def __init__(self, message: str, *, code: int, kind: str = "device_error") -> None:
        super().__init__(message)
        self.code = code
        self.kind = kind


class WriteRefusal(StrEnum):
    """Why a write was not begun. The codes are API: never renamed."""

    DISABLED = "disabled"
    NOT_ALLOWED = "not_allowed"
    UNKNOWN_POINT = "unknown_point"
    NOT_WRITABLE = "not_writable"
    BAD_VALUE = "bad_value"
    EXPIRED = "expired"
    ALREADY_RUN = "already_run"
    NOT_CONFIRMED = "not_confirmed"
    TOO_MANY = "too_many"


class WriteRefused(LinliError):
    """A write that was not begun: the device has not been asked for anything.

    Attributes:
        reason: The stable code, told in the reply and in the log.
    """

    def __init__(self, reason: WriteRefusal, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class RefusalReason(StrEnum):
    """Why the platform refuses a message or one record of it. The codes are API: never renamed."""

    UNKNOWN_TOPIC = "unknown_topic"
    WRONG_SHARD = "wrong_shard"
    MALFORMED = "malformed"
    WRONG_TYPE = "wrong_type"
    UNKNOWN_LABEL = "unknown_label"
    VERSION = "version"
    NO_VALUE = "no_value"
    MANY_VALUES = "many_values"
    BAD_NAME = "bad_name"
    NOT_FINITE = "not_finite"
    TIME_OUT_OF_RANGE = "time_out_of_range"
    TOO_LARGE = "too_large"
    TOO_MANY_RECORDS = "too_many_records"
    UNKNOWN_QUANTITY = "unknown_quantity"
    UNKNOWN_UNIT = "unknown_unit"
    FOREIGN_GATEWAY = "foreign_gateway"
    NO_SEQUENCE = "no_sequence"
    TOO_MANY_PENDING = "too_many_pending"
    NOT_STORABLE = "not_storable"


class Refused(LinliError):
    """A message, or one record of it, that may not be taken.

    Attributes:
        reason: The stable code, counted in metrics and shown on the gateway's page.
        where: Place in the message (``"record[3].u"``), empty for the whole message.
    """

    def __init__(self, reason: RefusalReason, message: str, *, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.reason = reason
        self.where = where


class LogError(LinliError):
    """The gateway's log or the receiver's marks contradict each other."""
