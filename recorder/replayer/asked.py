"""What a request asks, as it is compared: the recorded one and the one that is to be answered alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import httpx2

from recorder.core.fingerprint import attempt_of, canonical, compared, differences, fingerprint, path_of
from recorder.core.payload import lenient
from recorder.core.records import Request
from recorder.core.redact import Secrets, credentials, request_headers
from recorder.core.wire import payload
from recorder.log.streams import Stream

_HASH = "sha256:"


class Asked(NamedTuple):
    """A request as it is compared: its secrets replaced as they were when it was recorded."""

    method: str
    url: str
    headers: Mapping[str, str]
    """Those of which the names, in lower case here, are recorded; a tap in the SDK's middleware sees fewer."""
    body: Any
    """Decoded JSON; any other text as it is; `sha256:` and the hash of what is no text; None without a body."""
    attempt: int
    """0 for the first attempt of its call."""

    @property
    def path(self) -> str:
        """Path and query, from `/v1/` on: the base URL is not compared."""
        return path_of(self.url)

    def canonical(self, ignore: Sequence[str] = ()) -> bytes:
        """The JSON that the fingerprint is made of, without the fields that `ignore` names."""
        return canonical(self.method, self.url, self.body, ignore)

    def fingerprint(self, ignore: Sequence[str] = ()) -> str:
        """Equal for equal requests: 32 hex digits."""
        return fingerprint(self.method, self.url, self.body, ignore)

    def differences(self, asked: Asked, ignore: Sequence[str] = ()) -> Iterator[str]:
        """Where `asked` differs from this recorded request, a line each: what the fingerprint compares.

        `$.messages[0].content: "a" recorded, "b" asked`
        """
        if self.method != asked.method:
            yield f"method: {self.method} recorded, {asked.method} asked"
        if self.path != asked.path:
            yield f"path: {self.path} recorded, {asked.path} asked"
        yield from differences(compared(self.path, self.body, ignore), compared(asked.path, asked.body, ignore))


def asked(request: httpx2.Request) -> Asked:
    """What the request asks."""
    secrets = Secrets(credentials(request.headers))
    content = b"" if _is_multipart(request) else _content(request)
    content = secrets.remove(content) if secrets.found_in(content) else content
    return Asked(
        method=request.method.upper(),
        url=str(request.url),
        headers=request_headers(request.headers.multi_items()),
        body=_body_of(content),
        attempt=attempt_of(request.headers),
    )


def asked_by(stream: Stream) -> Asked:
    """What a recorded request asked."""
    request = stream.request
    return Asked(
        method=request.method.upper(),
        url=stream.url,
        headers=request.headers,
        body=_recorded_body(request),
        attempt=request.attempt,
    )


def _is_multipart(request: httpx2.Request) -> bool:
    """Its body has a random boundary, and files that are not recorded: it is not compared."""
    return request.headers.get("content-type", "").startswith("multipart/")


def _content(request: httpx2.Request) -> bytes:
    try:
        return request.content
    except httpx2.RequestNotRead:
        return b""


def _recorded_body(request: Request) -> Any:
    if request.sha256 is not None:
        return _HASH + request.sha256
    return request.body if request.base64 is None else _body_of(payload(request))


def _body_of(content: bytes) -> Any:
    """A body as it is compared: JSON decoded, any other text as it is, what is no text by its hash."""
    if not content:
        return None
    if (value := lenient(content)) is not None:
        return value
    try:
        return content.decode()
    except UnicodeDecodeError:
        return _HASH + sha256(content).hexdigest()
