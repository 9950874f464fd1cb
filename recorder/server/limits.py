"""How much a client may ask of the server, each bound with its reason."""

from __future__ import annotations

from msgspec import Struct


class Limits(Struct, frozen=True, kw_only=True):
    """`_s` seconds, `_bytes` bytes."""

    head_bytes: int = 64 << 10
    """Request line and headers: nginx allows 32 KiB, and an SDK sends 1."""
    head_s: float = 10.0
    """From the first byte of a request (or the connection) to the end of its headers: slow-loris ends here."""
    body_bytes: int = 128 << 20
    """A request's body, which is read whole before it is sent on: the record of it comes before the answer."""
    body_s: float = 30.0
    """In each such period `body_least` bytes of the body have to come."""
    body_least: int = 16 << 10
    idle_s: float = 75.0
    """Between two requests of a connection; longer than clients keep theirs, so that they close first."""
    linger_s: float = 2.0
    """What a client is still sending after it was refused is read and dropped for so long, or the refusal itself
    would be lost: a socket closed with unread data resets the connection."""
    connections: int = 10_000


DEFAULT = Limits()
