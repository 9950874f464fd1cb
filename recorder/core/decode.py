"""Content-encoding off the body, chunk by chunk. A failure keeps the encoded bytes: nothing is lost."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from typing import Any


class Undecodable(ValueError):
    """The body is not in the encoding that its headers name."""


class Identity:
    """No encoding."""

    def feed(self, data: bytes) -> bytes:
        return data


class Zlib:
    """gzip or deflate (zlib-wrapped, or raw as some servers send it)."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._inflate = zlib.decompressobj(bits)
        self._started = False

    def feed(self, data: bytes) -> bytes:
        try:
            out = self._inflate.decompress(data)
        except zlib.error as error:
            if self._started or self._bits != zlib.MAX_WBITS:
                raise Undecodable(str(error)) from error
            self._inflate, self._bits = zlib.decompressobj(-zlib.MAX_WBITS), -zlib.MAX_WBITS
            return self.feed(data)
        self._started = self._started or bool(data)
        return out


class _Foreign:
    """br or zstd. For br there may be no package."""

    def __init__(self, decompress: Callable[[bytes], bytes]) -> None:
        self._decompress = decompress

    def feed(self, data: bytes) -> bytes:
        try:
            return self._decompress(data)
        except Exception as error:
            raise Undecodable(str(error)) from error


class _Chain:
    """Several encodings, outermost last in the header and first off."""

    def __init__(self, decoders: list[Decoder]) -> None:
        self._decoders = decoders

    def feed(self, data: bytes) -> bytes:
        for decoder in self._decoders:
            data = decoder.feed(data)
        return data


Decoder = Identity | Zlib | _Foreign | _Chain


def decoder_for(content_encoding: str | None) -> Decoder | None:
    """The decoder for a `content-encoding` header, or None when no package here can decode it."""
    names = [name.strip().lower() for name in (content_encoding or "").split(",")]
    decoders = [_one(name) for name in reversed(names) if name not in ("", "identity")]
    known = [decoder for decoder in decoders if decoder is not None]
    if len(known) != len(decoders):
        return None
    if len(known) > 1:
        return _Chain(known)
    return known[0] if known else Identity()


def _one(name: str) -> Decoder | None:
    match name:
        case "gzip" | "x-gzip":
            return Zlib(zlib.MAX_WBITS | 16)
        case "deflate":
            return Zlib(zlib.MAX_WBITS)
        case "br":
            module = _first("brotli", "brotlicffi")
            return module and _Foreign(_brotli(module.Decompressor()))
        case "zstd":
            return _Foreign(_Zstd())
        case _:
            return None


class _Zstd:
    """Frame after frame: a decompressor ends with its frame, a body need not."""

    def __init__(self) -> None:
        from .zstd import ZstdDecompressor  # few bodies need it

        self._make = ZstdDecompressor
        self._decompressor = ZstdDecompressor()

    def __call__(self, data: bytes) -> bytes:
        parts: list[bytes] = []
        while data:
            if self._decompressor.eof:
                self._decompressor = self._make()
            parts.append(self._decompressor.decompress(data))
            data = self._decompressor.unused_data
        return b"".join(parts)


def _brotli(decompressor: Any) -> Callable[[bytes], bytes]:
    return getattr(decompressor, "decompress", None) or decompressor.process


def _first(*names: str) -> Any:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None
