"""Being told to stop where a library swallows it.

``asyncio.wait_for`` of Python 3.11, inside aiomqtt's calls, swallows a cancellation where what it waits for comes at
that very moment: whoever goes on for ever then never ends, and an orderly stop of the gateway hangs.
"""

import asyncio


def _cancellations() -> int:
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


class Stop:
    """Whether the present task has been told to stop since this was made.

    Compared, not to be zero: a ``TaskGroup`` of Python 3.11 whose child failed leaves a cancellation behind.
    """

    def __init__(self) -> None:
        self._before = _cancellations()

    def heed(self) -> None:
        """Raise ``CancelledError`` if it has: to be called behind every call that may have swallowed it."""
        if _cancellations() > self._before:
            raise asyncio.CancelledError
