"""Which answers may still come, and how to ask so that none of them can be taken for the answer. Pure.

RTU and ASCII number nothing: after a timeout the unit's answer may come at any later moment, and if it has the length
of the answer then awaited, nothing in it tells the two apart. Waiting longer only makes it rarer. What does tell is
order: a unit answers its requests one after the other, and so does a converter. So a unit with an overdue answer is
first *sounded*: asked something whose answer has a form that no overdue one can have (another number of registers, or
another function). Once that is answered, nothing older can come any more.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

from linli_edge.drivers.modbus.pdu import Asked, Request

BELIEVED: Final = 60
"""How many times the asker's patience an answer is expected for: after that it is taken to be lost."""

_OTHER: Final = {1: 2, 2: 1, 3: 4, 4: 3}
"""The function that reads the other table of the same kind: a unit without it answers with an exception."""

_WIDEST: Final = 8
"""Most registers that a sounding of the other table asks for."""


class _Overdue(NamedTuple):
    asked: Asked
    since: float
    until: float
    ours: bool


class Heard(Enum):
    """Whose a frame is that nobody waited for."""

    OVERDUE = "overdue"
    """Ours: an answer that came late."""
    FOREIGN = "foreign"
    """Another master's."""


class Doubt:
    """The answers of each unit that are overdue, the oldest first."""

    def __init__(self) -> None:
        self._overdue: dict[int, list[_Overdue]] = {}

    def add(self, asked: Asked, now: float, patience: float, *, ours: bool = True) -> None:
        """Take note of a request that was not answered in time, or of another master's that was not answered yet."""
        self._overdue.setdefault(asked.unit, []).append(_Overdue(asked, now, now + BELIEVED * patience, ours))

    def settled(self, unit: int, since: float) -> None:
        """Take note that nothing can come from a unit any more that was noted before ``since``."""
        self._keep(unit, [one for one in self._overdue.get(unit, ()) if one.since >= since])

    def expire(self, now: float) -> None:
        """Give up what has not come for so long that it will not."""
        if not self._overdue:
            return
        for unit, waiting in [*self._overdue.items()]:
            self._keep(unit, [one for one in waiting if one.until > now])

    def answered(self, unit: int, pdu: bytes) -> Heard:
        """Take note of a frame that nobody waited for; return whose answer it can be.

        The first request that it fits and all before it are settled: a unit answers in order.
        """
        waiting = self._overdue.get(unit, [])
        for place, one in enumerate(waiting):
            if _fits(one.asked, pdu):
                # In order among its own: when another master asked, compared with us, is not known so exactly.
                earlier = [other for other in waiting[:place] if other.ours is not one.ours]
                self._keep(unit, earlier + waiting[place + 1 :])
                return Heard.OVERDUE if one.ours else Heard.FOREIGN
        return Heard.FOREIGN

    def about(self, asked: Asked) -> bool:
        """Return whether an answer to this request could be confused with an overdue one.

        By the function alone: an exception names nothing else.
        """
        return any(one.asked.function == asked.function for one in self._overdue.get(asked.unit, ()))

    def sounding(self, asked: Asked, *, elsewhere: bool = False) -> Request | None:
        """Return what to ask first; ``None`` where every form is taken.

        Args:
            asked: What is to be asked afterwards.
            elsewhere: Do not ask the same function: its exceptions have been in the way.
        """
        taken = {one.asked.answer_prefix for one in self._overdue.get(asked.unit, ())}
        possible = (one for one in _soundings(asked) if not (elsewhere and one.function == asked.function))
        return next((one for one in possible if one.answer_prefix not in taken), None)

    def proves(self, sounding: Asked, pdu: bytes) -> bool:
        """Return whether this answer to a sounding can be to nothing else.

        Data of its own form can. An exception only if no overdue request has its function.
        """
        return not pdu[0] & 0x80 or not self.about(sounding)

    def _keep(self, unit: int, waiting: list[_Overdue]) -> None:
        if waiting:
            self._overdue[unit] = waiting
        else:
            self._overdue.pop(unit, None)


def _fits(asked: Asked, pdu: bytes) -> bool:
    if len(pdu) == 2:
        return pdu[0] == asked.function | 0x80
    return len(pdu) == asked.answer_length and pdu.startswith(asked.answer_prefix)


def _soundings(asked: Asked) -> Iterator[Request]:
    """Yield what may be asked in place of a request, the likeliest to be answered first.

    Fewer registers from the same address (two before one: there are devices that refuse odd numbers), then the other
    table of the same kind.
    """
    function = asked.function if isinstance(asked, Request) else 3
    address = asked.address if isinstance(asked, Request) else 0
    count = asked.count if isinstance(asked, Request) else 1
    step = 1 if function in {3, 4} else 8
    fewer = [number for number in range(1, count) if number % step == 0 or number == 1]
    if 2 in fewer:
        fewer.remove(2)
        fewer.insert(0, 2)
    for number in fewer:
        yield Request(asked.unit, function, address, number)
    for number in range(1, _WIDEST + 1):
        yield Request(asked.unit, _OTHER[function], address, number * step if number > 1 else 1)
