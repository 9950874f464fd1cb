"""Files that were made to do harm are refused in one line; nothing in them runs, and memory stays bounded."""

from __future__ import annotations

import base64
import gzip
import json
import resource
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import pytest

from recorder.core.zstd import ZstdCompressor
from tests.cli.command import recorder as command

MIB = 1 << 20


def zeros(encode: Callable[[bytes], bytes], finish: Callable[[], bytes], mib: int) -> bytes:
    return b"".join([*(encode(bytes(MIB)) for _ in range(mib)), finish()])


def gzip_bomb(mib: int) -> bytes:
    made = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return zeros(made.compress, made.flush, mib)


def brotli_bomb(mib: int) -> bytes:
    made = brotli.Compressor(quality=5)
    return zeros(made.process, made.finish, mib)


def zstd_bomb(mib: int) -> bytes:
    made = ZstdCompressor()
    return zeros(made.compress, made.flush, mib)


def encoded_cassette(encoding: str, body: bytes) -> bytes:
    headers = {"content-type": ["text/event-stream"], "content-encoding": [encoding]}
    response = {
        "status": {"code": 200},
        "headers": headers,
        "body": {"base64_string": base64.b64encode(body).decode()},
    }
    request = {"method": "POST", "uri": "https://api.anthropic.com/v1/messages"}
    return json.dumps({"interactions": [{"request": request, "response": response}]}).encode()


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MARK = "{mark}"

HOSTILE: dict[str, tuple[bytes, str]] = {
    "a tag that calls": (
        b"interactions: !!python/object/apply:os.system ['touch {mark}']\n",
        "line 1: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is no plain data",
    ),
    "a tag that makes an object": (
        b"interactions:\n- request: !ruby/object:Gem::Installer {}\n",
        "line 2: the tag '!ruby/object:Gem::Installer' is no plain data",
    ),
    "a tag on a scalar": (
        b"interactions: !!python/name:os.system ''\n",
        "line 1: the tag 'tag:yaml.org,2002:python/name:os.system' is no plain data",
    ),
    "billion laughs": (LAUGHS.encode(), "line 6: more than 1,000,000 values, aliases counted"),
    "an alias of itself": (b"a: &a [*a]\n", "line 1: the alias *a is of nothing that stands before it"),
    "deep YAML": (b"[" * 100_000, "line 1: nested deeper than 64 levels"),
    "deep YAML, in blocks": (
        b"".join(b" " * n + b"a:\n" for n in range(200)),
        "line 65: nested deeper than 64 levels",
    ),
    "a key that is a list": (b"? [a]\n: b\n", "line 1: a key that no text is".replace("no text is", "is no text")),
    "deep JSON": (b'{"interactions":' + b"[" * 200_000, "is no cassette: "),
    "deep JSON in what is not read": (b'{"log":' + b'{"x":' * 200_000, "is no cassette: "),
    "very many items": (b'{"interactions":[' + b"[]," * 5_000_000 + b"[]]}", "has more than 8,000,000 items"),
    "a gzip bomb": (gzip_bomb(300), "holds more than 256 MiB once it is decompressed"),
    "a gzip of a gzip bomb": (gzip.compress(gzip_bomb(300)), "is no format that is known here"),
    "a body that is a gzip bomb": (encoded_cassette("gzip", gzip_bomb(300)), "holds more than 256 MiB"),
    "a body that is a brotli bomb": (encoded_cassette("br", brotli_bomb(300)), "holds more than 256 MiB"),
    "a body that is a zstd bomb": (encoded_cassette("zstd", zstd_bomb(300)), "holds more than 256 MiB"),
    "no status": (b'{"interactions":[{"request":{},"response":{}}]}', "is no cassette: a response has no status"),
    "a broken gzip": (b"\x1f\x8b\x08" + b"\xff" * 50, "is no valid gzip: "),
    "a URL that is none": (
        b'{"interactions":[{"request":{"uri":"http://[bad"},"response":{"status":{"code":200}}}]}',
        "has a URL that is none: 'http://[bad'",
    ),
    "nothing": (b" \n ", "is empty"),
    "an empty cassette": (b"interactions: []\n", "holds nothing"),
    "a recording": (
        b'{"kind":"header","format":"sse-recording","v":1}\n',
        "is a recording already; use it as it is",
    ),
    "prose": (b"Once upon a time", "is no cassette: "),
    "bytes": (bytes(range(256)), "is no format that is known here"),
    "binary that is no base64": (b"interactions: !!binary '%%%'\n", "line 1: !!binary that is no base64"),
    "headers without an end": (
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 90_000,
        "begins like an HTTP response and is none",
    ),
    "a line of ant that is no JSON": (b'{"type":"ping"}\n{"type":\n', "line 2 is no event"),
    "a type with a line end in it": (b'{"type":"a\\nb"}\n', "line 1 is no event: its type is 'a\\nb'"),
    "HAR without entries": (b'{"log":{}}', "is no HAR: "),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    content, why = HOSTILE[name]
    path, mark = tmp_path / "file", tmp_path / "mark"
    path.write_bytes(content.replace(MARK.encode(), str(mark).encode()) if len(content) < 1000 else content)

    done = command("import", path, "-o", tmp_path / "out")

    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr.startswith(f"error: {path}: {why}")
    assert len(done.stderr.splitlines()) == 1
    assert len(done.stderr) < 400
    assert not mark.exists()
    assert not list((tmp_path / "out").glob("*")), "half an import was left behind"


@pytest.mark.parametrize(
    "content",
    [
        gzip_bomb(2000),
        encoded_cassette("br", brotli_bomb(2000)),
        LAUGHS.encode(),
        b"{" * 200_000,
        b"- a\n" * 3_000_000,
    ],
    ids=["gzip", "brotli", "laughs", "deep", "long"],
)
@pytest.mark.slow
def test_memory_stays_bounded(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    program = "import sys; from recorder_cli.main import cli; cli.main(['import', 'file', '-o', 'out'])"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1200 * MIB, 1200 * MIB))

    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, preexec_fn=limit)

    assert (done.returncode, done.stderr.count(b"\n")) == (3, 1), done.stderr


def test_aliases_in_moderation_are_what_they_repeat(tmp_path: Path) -> None:
    """PyYAML writes them for what is the same object twice."""
    text = """
interactions:
- request: {method: POST, uri: "https://api.anthropic.com/v1/messages", headers: &h {a: [b]}, body: null}
  response:
    status: {code: 200, message: OK}
    headers: {content-type: &t [text/event-stream]}
    body: {string: "data: {}\\n\\n"}
- request: {method: POST, uri: "https://api.anthropic.com/v1/messages", headers: *h}
  response: {status: {code: 200}, headers: {content-type: *t}, body: {string: "data: []\\n\\n"}}
"""
    (tmp_path / "c.yaml").write_text(text)
    done = command("import", tmp_path / "c.yaml", "-o", tmp_path / "out")

    assert done.stderr == f"{tmp_path / 'out'}: 2 streams of 1 file\n"


def test_a_huge_line_of_an_event_stream_is_a_body_like_any(tmp_path: Path) -> None:
    body = b"data: " + b"x" * (20 * MIB) + b"\n\n"
    (tmp_path / "huge.sse").write_bytes(body)
    done = command("import", tmp_path / "huge.sse", "-o", tmp_path / "out")

    assert done.exit_code == 0
    import recorder

    (stream,) = recorder.open(tmp_path / "out").streams()
    assert stream.body() == body


def test_without_pyyaml_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    (tmp_path / "c.yaml").write_text("interactions: []")
    done: Any = command("import", tmp_path / "c.yaml", "-o", tmp_path / "out")

    said = f"error: {tmp_path / 'c.yaml'}: is YAML, and PyYAML is not installed; pip install 'sse-recorder[vcr]'\n"
    assert (done.exit_code, done.stderr) == (3, said)
