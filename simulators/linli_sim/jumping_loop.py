"""An event loop whose clock jumps to whatever is due next: waiting costs no time, and a busy machine changes nothing.

Everything that speaks lives on this loop: units behind sockets and pseudo-terminals
(:class:`~linli_sim.modbus_server.ModbusServer`, :class:`~linli_sim.line.SerialBus` with ``on_loop``,
:class:`~linli_sim.shared_pty.SharedPty`) and whoever asks them. The clock goes on when none of them has anything to do.
While something outside is waited for, a thread or another program, it stands: :meth:`JumpingLoop.standing`.
"""

import asyncio
import contextlib
import functools
import os
import selectors
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

BEGIN: Final = 1000.0
"""What the clock says at first, in seconds."""


class _JumpingSelector(selectors.PollSelector):
    """Looks what is there; where nothing is, time jumps.

    ``poll`` and not ``epoll``: it asks each pseudo-terminal anew, which has the kernel hand over first what was written
    at its other end. With sockets of this machine it has done so by the time they were written.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGIN
        self.stands: list[Callable[[], bool]] = []

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None or any(stands() for stands in self.stands):
            return super().select(None)
        # Where the kernel has put something off, it gets its turn before time goes on.
        os.sched_yield()
        ready = super().select(0)
        if not ready:
            self.now += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """The loop."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        self._outside = 0
        super().__init__(self._jumping)
        self.stand_while(lambda: self._outside > 0)

    def time(self) -> float:
        """Return the seconds on its clock."""
        return self._jumping.now

    def stand_while(self, condition: Callable[[], bool]) -> None:
        """Let the clock stand whenever a condition is true; what ends it must be heard on this loop."""
        self._jumping.stands.append(condition)

    @contextlib.contextmanager
    def standing(self) -> Iterator[None]:
        """Let the clock stand meanwhile: another program is waited for."""
        self._outside += 1
        try:
            yield
        finally:
            self._outside -= 1

    @contextlib.contextmanager
    def going(self) -> Iterator[None]:
        """Let the clock go on meanwhile, though a thread has not ended: what it waits for happens on this loop."""
        self._outside -= 1
        try:
            yield
        finally:
            self._outside += 1

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run a function in a thread; the clock stands meanwhile."""
        future = super().run_in_executor(executor, func, *args)
        self._outside += 1

        def done(_future: asyncio.Future[T]) -> None:
            self._outside -= 1

        future.add_done_callback(done)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as it is called
        """Wait for the threads; the clock stands meanwhile, so that a limit does not pass at once."""
        del timeout
        with self.standing():
            await super().shutdown_default_executor()


def simulated(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on such a loop, and return what it returns."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(coroutine)


def on_jumping_loop(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Have an asynchronous function run on such a loop whenever it is called."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return simulated(function(*args, **kwargs))

    return run


def running_loop() -> JumpingLoop:
    """Return the running loop, which is one of these."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    return loop
