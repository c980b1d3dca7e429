"""Boards, made once."""

import pytest

from linli_dashboards.build import Made, made


@pytest.fixture(scope="session")
def boards() -> list[Made]:
    return list(made())
