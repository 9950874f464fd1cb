"""What depends on more than one attempt: kept by the session, which alone knows of the others."""

from __future__ import annotations

from random import Random
from typing import Annotated

from msgspec import Meta

from ..script import Script
from .spec import Count, fault

Period = Annotated[float, Meta(gt=0, le=86_400)]


@fault
def quota(script: Script, _: Random, *, requests: Count, per: Period = 60) -> Script:  # noqa: ARG001
    """So many requests in `per` seconds; past that status 429, with a `retry-after` after which there is room.

    In instant replay the client is taken to have waited for it.
    """
    return script


@fault
def token_quota(script: Script, _: Random, *, tokens: Count, per: Period = 60) -> Script:  # noqa: ARG001
    """The same for tokens, of input and output together, as recorded: no more requests once they are used up."""
    return script


QUOTAS = ("quota", "token_quota")
