"""The scripted upstream: one listening socket, one thread, one event loop."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any, Self

from recorder.testing.connection import Connection, Ledger, Received, failure
from recorder.testing.loop import new_loop
from recorder.testing.reply import Reply


class Upstream:
    """A scripted HTTP/1.1 server on 127.0.0.1, on a free port, in one background thread.

    `answer` is a function from request to reply, called on the upstream's thread (so it must not block), or
    an iterable of replies, served in the order in which the requests come. A request past the last reply
    gets status 500 and an error that says so. `speed` divides every time of every reply. `on_end` is called on the
    upstream's thread when a reply is over, with its request and whether it was the client that went away.

    It listens when the constructor returns; leaving the `with` block, or `close()`, ends it. Raises
    ValueError when `speed` is not above 0.
    """

    url: str
    """`http://127.0.0.1:<port>`, without a slash at the end."""
    received: list[Received]
    """Every request, in the order of arrival."""
    closed_by_client: list[Received]
    """The requests whose client went away before the reply was at its end. `settle()` before you read it."""

    def __init__(
        self,
        answer: Callable[[Received], Reply] | Iterable[Reply],
        *,
        speed: float = 1.0,
        on_end: Callable[[Received, bool], None] | None = None,
    ) -> None:
        if not speed > 0:
            raise ValueError(f"speed must be above 0, not {speed!r}")
        self._ledger = Ledger(answer if callable(answer) else _in_order(answer), speed, on_end)
        self.received = self._ledger.received
        self.closed_by_client = self._ledger.closed_by_client
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._stop = asyncio.Event()
        self._loop = new_loop()
        self._thread = threading.Thread(target=self._run, name="recorder-upstream", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            self.close()
        except BaseException as ours:
            if error is None:
                raise
            error.add_note(f"The scripted upstream failed as well: {ours!r}")

    def settle(self, *, requests: int = 0, timeout_s: float = 5.0) -> None:
        """Wait until at least `requests` requests have come and no reply is in progress.

        Raises TimeoutError after `timeout_s` seconds.
        """
        ledger = self._ledger
        with ledger.changed:
            if not ledger.changed.wait_for(
                lambda: len(ledger.received) >= requests and not ledger.active, timeout_s
            ):
                targets = ", ".join(ledger.received[index].target for index in sorted(ledger.active))
                raise TimeoutError(
                    f"after {timeout_s} s {len(ledger.received)} of {requests} requests have come "
                    f"and {len(ledger.active)} replies are in progress: {targets or 'none'}"
                )

    def close(self) -> None:
        """Close every connection and the port; a second call does nothing.

        Raises the first exception of `answer`, and what else went wrong on the upstream's thread: a reply
        that HTTP does not allow (h11.LocalProtocolError), a request that is no HTTP (h11.RemoteProtocolError).
        """
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        errors = self._ledger.errors.copy()
        self._ledger.errors.clear()
        if len(errors) > 1:
            errors[0].add_note(f"The first of {len(errors)} failures in the scripted upstream.")
        if errors:
            raise errors[0]

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop.set_exception_handler(self._unhandled)
        server = await self._loop.create_server(lambda: Connection(self._ledger), sock=self._socket, backlog=1024)
        await self._stop.wait()
        server.close()
        for connection in tuple(self._ledger.open):
            connection.abort()
            await connection.closed.wait()

    def _unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._ledger.errors.append(context.get("exception") or RuntimeError(context["message"]))


def _in_order(replies: Iterable[Reply]) -> Callable[[Received], Reply]:
    rest = iter(replies)

    def answer(received: Received) -> Reply:
        for reply in rest:
            return reply
        return failure(
            f"The scripted upstream has no reply left for {received.method} {received.target}: "
            "the client sent more requests than the script has replies."
        )

    return answer
