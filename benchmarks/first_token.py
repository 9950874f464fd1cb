"""Time to the first token on a live socket, tapped against plain: pairs in turns, the median of the differences.

    python benchmarks/first_token.py [--pairs 500] [--first 0.05] [--writer process]

The server takes `--first` seconds for its first byte, as no real one does it in less, and says in the first text
for how long it has held the request: that is no time of the client's, and is taken away. With `--first 0` the
answer comes while all is still warm.
"""

from __future__ import annotations

import argparse
import socket
import tempfile
import threading
import time
from statistics import median, quantiles

import anthropic
from feed import ASK, add_writer
from live import HEAD, served

import recorder
from recorder.testing import encode_event, message_events

PLACE = "HELD"


def _send(connection: socket.socket, data: bytes) -> None:
    connection.sendall(b"%x\r\n%s\r\n" % (len(data), data))


def _answer(connection: socket.socket, first_s: float) -> None:
    """Requests of one connection, each in one go, as the SDK's are small."""
    events = [encode_event(event) for event in message_events(PLACE, " and", " more")]
    [first] = [n for n, event in enumerate(events) if PLACE.encode() in event]
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    asked = b""
    while data := connection.recv(1 << 16):
        asked += data
        head, end, body = asked.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if not end or len(body) < int(length or 0):
            continue
        came, asked = time.perf_counter_ns(), b""
        time.sleep(first_s)
        connection.sendall(HEAD)
        _send(connection, b"".join(events[:first]))
        time.sleep(0.001)
        held = time.perf_counter_ns() - came
        _send(connection, events[first].replace(PLACE.encode(), b"%d" % held))
        _send(connection, b"".join(events[first + 1 :]))
        connection.sendall(b"0\r\n\r\n")


def _serve(listening: socket.socket, first_s: float) -> None:
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=_answer, args=(connection, first_s), daemon=True).start()


def first_token(client: anthropic.Anthropic) -> float:
    """µs from the call to the first text, without those that the server held it."""
    start = time.perf_counter_ns()
    took = 0
    for event in client.messages.create(**ASK, stream=True):
        if not took and event.type == "content_block_delta" and event.delta.type == "text_delta":
            took = time.perf_counter_ns() - start - int(event.delta.text)
    return took / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--first", type=float, default=0.05)
    add_writer(parser)
    options = parser.parse_args()
    with (
        served(_serve, options.first) as url,
        tempfile.TemporaryDirectory() as directory,
        recorder.Tap(directory, writer=options.writer) as tap,
    ):
        plain = anthropic.Anthropic(base_url=url, api_key="none", max_retries=0)
        tapped = tap.wrap(plain)
        for one in (plain, tapped) * 20:  # warms up
            first_token(one)
        pairs: list[tuple[float, float]] = []
        for n in range(options.pairs):
            if n % 2:  # either may profit from having been second
                pairs.append((first_token(plain), first_token(tapped)))
            else:
                pairs.append((first_token(tapped), first_token(plain))[::-1])
    cuts = quantiles([ours - alone for alone, ours in pairs], n=4)
    print(f"{options.pairs} pairs; time to the first token, without the server's share, µs")
    print(f"plain   median {median(alone for alone, _ in pairs):8.0f}")
    print(f"tapped  median {median(ours for _, ours in pairs):8.0f}")
    print(f"paired difference: median {cuts[1]:+.0f}, quartiles {cuts[0]:+.0f} to {cuts[2]:+.0f}")


if __name__ == "__main__":
    main()
