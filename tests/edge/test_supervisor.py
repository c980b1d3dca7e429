"""Where a driver's trouble ends: what is Linli's passes, what is not becomes a driver's bug."""

import asyncio

import pytest

from linli_core.errors import ConfigError, LinkClosed, LinkError
from linli_edge.supervisor import DriverBug, confine


async def raises(error: BaseException) -> None:
    raise error


async def result() -> str:
    return "done"


async def test_a_result_passes() -> None:
    assert await confine(result()) == "done"


@pytest.mark.parametrize("error", [LinkClosed("gone"), ConfigError("a", "b", "c")])
async def test_our_own_errors_pass_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        await confine(raises(error))
    assert caught.value is error


async def test_anything_else_is_a_bug_with_its_cause() -> None:
    cause = KeyError("register")
    with pytest.raises(DriverBug, match=r"^KeyError: 'register'$") as caught:
        await confine(raises(cause))
    assert caught.value.__cause__ is cause


async def test_a_group_of_one_broken_line_is_a_broken_line() -> None:
    with pytest.raises(LinkError, match=r"^gone$"):
        await confine(raises(ExceptionGroup("tasks", [LinkClosed("gone")])))


async def test_a_group_with_a_bug_in_it_is_a_bug() -> None:
    with pytest.raises(DriverBug, match=r"^ExceptionGroup: tasks"):
        await confine(raises(ExceptionGroup("tasks", [LinkClosed("gone"), ValueError("x")])))


async def test_a_cancellation_passes() -> None:
    with pytest.raises(asyncio.CancelledError):
        await confine(raises(asyncio.CancelledError()))
