from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.analytics.lake import s3


@pytest.fixture(scope="package")
def s3_port() -> Iterator[int]:
    with s3.server() as port:
        yield port


@pytest.fixture
def bucket(s3_port: int) -> str:
    name = f"b{secrets.token_hex(4)}"
    s3.new_bucket(s3_port, name)
    return name
