"""What every part of the console has that shows a page and takes its forms."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from linli_platform.api.context import ApiContext

Route = tuple[str, str, Callable[..., Any]]
"""A method, a path, and what answers there."""


class FormPages:
    """Pages, and what their forms do.

    Args:
        context: The platform.
        render: Renders a template.
        form: Reads the fields of a plain form.
    """

    def __init__(
        self,
        context: ApiContext,
        render: Callable[..., Response],
        form: Callable[[Request], Awaitable[dict[str, str]]],
    ) -> None:
        self._context = context
        self._render = render
        self._form = form
