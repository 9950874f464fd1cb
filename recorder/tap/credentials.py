"""Where a client keeps its keys, and where requests and responses carry some: values that are never written."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import Any, cast
from urllib.parse import unquote
from weakref import WeakSet

import httpx2

from recorder.core.redact import Secrets, credentials, environment_secrets, is_secret_name
from recorder.core.urls import login_of

_ATTRIBUTES = (
    "api_key",
    "auth_token",
    "webhook_key",
    "access_token",
    "aws_access_key",
    "aws_secret_key",
    "aws_session_token",
    "workspace_id",
)
"""Of the SDK's clients: its own, and those for Bedrock, Vertex, Foundry, Claude on AWS and on Google Cloud."""


class Keys:
    """The values that a tap never writes: those of the environment, and those that it has come across."""

    def __init__(self) -> None:
        self.secrets = Secrets(environment_secrets(os.environ))
        self._learning = threading.Lock()
        self._clients: WeakSet[object] = WeakSet()

    def learn(self, values: Iterable[str]) -> None:
        with self._learning:
            for value in values:
                self.secrets.learn(value)

    def learn_client(self, client: object) -> None:
        """All that it was made with, once, and each time what its attributes hold by now."""
        if client in self._clients:
            self.learn(own_keys(client))
            return
        self.learn(of_client(client))
        self._clients.add(client)


def own_keys(client: object) -> list[str]:
    """The keys that stand in attributes of a client: an application may change them at any time."""
    return [value for name in _ATTRIBUTES if isinstance(value := getattr(client, name, None), str)]


def of_client(client: object) -> list[str]:
    """The keys that a client of the SDK was made with: its own, its default headers', its proxies'."""
    found = own_keys(client)
    # A provider of tokens is not asked: it might go to the network. What it gave, the requests show.
    found += credentials([(k, v) for k, v in _headers_of(client) if isinstance(v, str)])
    base_url = getattr(client, "base_url", None)
    found += login_of(str(base_url)) if base_url else []
    return [*found, *_of_proxies(getattr(client, "_client", None))]


of_headers = credentials


def of_request(request: httpx2.Request) -> list[str]:
    """The keys that a request carries, in its headers and its URL."""
    return [*credentials(request.headers.multi_items()), *of_url(_with_password(request.url))]


def of_url(url: str) -> list[str]:
    """The keys that a URL carries, in its query and as its login."""
    query = url.partition("#")[0].partition("?")[2]
    named = (parameter.partition("=") for parameter in query.split("&"))
    in_query = [unquote(value) for name, _, value in named if is_secret_name(unquote(name).lower())]
    return [*in_query, *login_of(url)]


Exchange = tuple[httpx2.Request, httpx2.Headers]
"""A request, and the headers that answered it; not the response, which the application may drop."""


def exchanges(response: httpx2.Response) -> list[Exchange]:
    """Those that led to a response: the redirects, and its own."""
    return [(one.request, one.headers) for one in (*response.history, response)]


def of_exchanges(seen: Iterable[Exchange]) -> list[str]:
    """The secrets of requests and of what answered them."""
    return [
        secret
        for request, headers in seen
        for secret in (*of_request(request), *credentials(headers.multi_items()))
    ]


def of_error(error: BaseException) -> list[str]:
    """The keys of the request that failed, where the exception knows it."""
    try:
        request = getattr(error, "request", None)
    except RuntimeError:  # httpx2's way to say that there is none
        return []
    return of_request(request) if isinstance(request, httpx2.Request) else []


def _headers_of(client: object) -> Iterable[tuple[str, object]]:
    try:
        headers = cast("Any", client).default_headers
        return list(headers.items())
    except Exception:
        return []  # a client that cannot say it without a key


def _of_proxies(http: object) -> list[str]:
    """Logins of the proxies of an httpx2 client."""
    mounted = cast("dict[object, object]", getattr(http, "_mounts", None) or {})
    transports = [getattr(http, "_transport", None), *mounted.values()]
    found: list[str] = []
    for transport in transports:
        pool = getattr(transport, "_pool", None)
        headers = cast("Iterable[tuple[bytes, bytes]]", getattr(pool, "_proxy_headers", None) or ())
        found += credentials([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])
        auth = cast("Iterable[bytes]", getattr(pool, "_proxy_auth", None) or ())
        found += [part.decode("latin-1") for part in auth]
    return found


def _with_password(url: httpx2.URL) -> str:
    """httpx2 shows a URL without its password."""
    query = f"?{url.query.decode('ascii', 'replace')}" if url.query else ""
    login = f"{url.userinfo.decode('ascii', 'replace')}@" if url.userinfo else ""
    return f"{url.scheme}://{login}{url.host}{query}"
