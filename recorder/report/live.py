"""The page on the loopback, its data renewed while recordings grow. It only reads: GET is all there is.

Whoever may connect must know two things: the address begins with a token that only the one who started this was
told, and the Host header must name the loopback, or a page of another site could have its name point here.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route

from recorder.log.files import RecordingError, find_segments
from recorder.log.live import Live
from recorder.log.pick import pick_streams
from recorder.log.reader import Report

from .data import Answers, Data, empty_data, read_data
from .detail import detail
from .page import document, pack

POLL_S = 0.5
"""How often is looked whether the files have changed, in seconds."""
_REST = 4
"""After loading, that many times as long as it took is rested: what takes long to load is renewed less often."""
_KEEP_S = 15.0
_HOSTS = ["127.0.0.1", "localhost"]
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_Loader = Callable[[Sequence[Path]], Answers]


class Source:
    """Recordings as the page's data, loaded again when they have changed. They need not be there yet.

    `load` makes tables of segments; `report` is told what cannot be followed.
    """

    def __init__(self, paths: Iterable[Path], load: _Loader, report: Report) -> None:
        self.paths = list(paths)
        self.version = 0
        self.packed = pack(empty_data())
        self.is_closing: Callable[[], bool] = lambda: False
        """Whether those who wait for changes are to be let go."""
        self._load = load
        self._seen: object = None
        self._live = Live(self.paths, everything=False, report=report)

    def segments(self) -> list[Path]:
        found: list[Path] = []
        for path in self.paths:
            with contextlib.suppress(RecordingError):  # not there yet
                found += find_segments(path)
        return list(dict.fromkeys(found))

    def renew(self) -> bool:
        """Load what is there, if it is not what was there; whether it was. Raises RecordingError, QueryError."""
        segments = self.segments()
        for _ in self._live.poll():
            pass
        running = set(self._live.open)
        seen = (tuple(_state(segment) for segment in segments), running)
        if seen == self._seen:
            return False
        data: Data = read_data(self._load(segments), running) if segments else empty_data()
        self.packed, self._seen = pack(data), seen
        self.version += 1
        return True

    def detail(self, stream: str) -> bytes | None:
        """One stream as compressed JSON; None when it is not there."""
        found = pick_streams(self.segments(), [stream]).get(stream)
        return None if found is None else pack(detail(found))

    def close(self) -> None:
        self._live.close()


def _state(segment: Path) -> tuple[Path, int, int]:
    try:
        stat = segment.stat()
    except OSError:
        return segment, 0, 0
    return segment, stat.st_size, stat.st_mtime_ns


def application(source: Source, token: str, tell: Callable[[str], None]) -> Starlette:
    """`tell` is told, once, why the data could not be renewed."""
    title = ", ".join(map(str, source.paths))
    about: dict[str, Any] = {"title": title, "notes": [], "reasons": {}, "live": True}
    content = document(title, {"about": pack(about)}, connect="'self'")

    def index(_: Request) -> Response:
        return Response(content, media_type="text/html", headers=_HEADERS)

    def data(_: Request) -> Response:
        headers = {**_HEADERS, "x-version": str(source.version)}
        return Response(source.packed, media_type="application/octet-stream", headers=headers)

    def stream(request: Request) -> Response:
        packed = source.detail(request.query_params.get("id", ""))
        if packed is None:
            return Response("no such stream", status_code=404, headers=_HEADERS)
        return Response(packed, media_type="application/octet-stream", headers=_HEADERS)

    def changes(request: Request) -> Response:
        events = _changes(source, request.query_params.get("since", ""))
        return StreamingResponse(events, media_type="text/event-stream", headers=_HEADERS)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_watch, source, tell)
            yield
            tasks.cancel_scope.cancel()

    pages = [Route("/", index), Route("/data", data), Route("/stream", stream), Route("/changes", changes)]
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=_HOSTS, www_redirect=False)
    return Starlette(routes=[Mount(f"/{token}", routes=pages)], middleware=[hosts], lifespan=lifespan)


async def _watch(source: Source, tell: Callable[[str], None]) -> None:
    told = ""
    while True:
        began = time.monotonic()
        try:
            await anyio.to_thread.run_sync(source.renew)
            told = ""
        except (ValueError, OSError) as error:  # a file was removed or is corrupt: what was loaded stays
            if str(error) != told:
                told = str(error)
                tell(told)
        await anyio.sleep(max(POLL_S, _REST * (time.monotonic() - began)))


async def _changes(source: Source, since: str) -> AsyncGenerator[str]:
    """An event for each version after `since`; a comment now and then, by which a closed connection is noticed."""
    yield ": follows\n\n"
    idle = 0.0
    while not source.is_closing():
        if str(source.version) != since:
            since, idle = str(source.version), 0.0
            yield f"data: {since}\n\n"
        elif idle >= _KEEP_S:
            idle = 0.0
            yield ": still here\n\n"
        await anyio.sleep(POLL_S)
        idle += POLL_S


def serve(source: Source, *, port: int, ready: Callable[[str], None], tell: Callable[[str], None]) -> None:
    """Serve until interrupted. `ready` is given the address. Raises OSError where the port is taken."""
    token = secrets.token_urlsafe(16)
    app = application(source, token, tell)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()  # whoever has the address may come at once, and waits until the server runs
        config = uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=5)
        server = uvicorn.Server(config)
        source.is_closing = lambda: server.should_exit
        ready(f"http://127.0.0.1:{listener.getsockname()[1]}/{token}/")
        try:
            server.run(sockets=[listener])
        finally:
            source.close()
