"""Content codings: gzip, deflate and zstd decoded in pieces and within a bound, zstd made.

A small answer can unpack to more than the memory there is, so every piece of output is bounded and
the whole is counted (RFC 9110 section 8.4).
"""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Any, Protocol

from tinker_lite.errors import DecodeError, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ContentDecoder", "accepted_codings", "content_decoder", "zstd_frame"]

PIECE_BYTES = 262_144
MAX_CODINGS = 2  # one on top of another is odd already; a long list is an attack


class _Coding(Protocol):
    """One decompressor."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Bounded pieces of what the data unpacks to."""
        ...

    @property
    def complete(self) -> bool:
        """Whether the compressed data has come to its end."""
        ...


class _Zlib:
    """gzip and deflate; gzip files may follow one another."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._wbits = zlib.MAX_WBITS | 16 if name == "gzip" else zlib.MAX_WBITS
        self._decoder = zlib.decompressobj(self._wbits)
        self._fresh = True
        self.complete = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._fresh and data and self._name == "deflate" and data[0] & 0x0F != 8:
            # Some servers leave out the zlib header, which begins with the number 8.
            self._decoder = zlib.decompressobj(-zlib.MAX_WBITS)
        self._fresh = self._fresh and not data
        while data:
            if self.complete:
                self._decoder = self._next_member()
            self.complete = False
            try:
                piece = self._decoder.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise DecodeError(f"The body is not valid {self._name}: {error}") from None
            self.complete = self._decoder.eof
            data = self._decoder.unused_data if self.complete else self._decoder.unconsumed_tail
            if piece:
                yield piece
            elif not self.complete and not data:
                return

    def _next_member(self) -> Any:
        if self._name != "gzip":
            raise DecodeError("The body goes on behind the end of its deflate data.")
        return zlib.decompressobj(self._wbits)


class _Zstd:
    """zstd frames."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._decoder = module.ZstdDecompressor()
        self.complete = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data or not (self._decoder.needs_input or self._decoder.eof):
            if self._decoder.eof:
                self._decoder = self._module.ZstdDecompressor()
            try:
                piece = self._decoder.decompress(data, PIECE_BYTES)
            except self._module.ZstdError as error:
                raise DecodeError(f"The body is not valid zstd: {error}") from None
            self.complete = self._decoder.eof
            data = self._decoder.unused_data if self.complete else b""
            if piece:
                yield piece


class ContentDecoder:
    """Undoes the codings of one body.

    Args:
        codings: The decompressors, outermost first.
        max_bytes: Largest body to give out, in bytes; None is no bound.
    """

    def __init__(self, codings: list[_Coding], max_bytes: int | None) -> None:
        self._codings = codings
        self._max_bytes = max_bytes
        self._n_in = self._n_out = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Bounded pieces of what these bytes of the body unpack to.

        Raises:
            DecodeError: They are not what the coding says.
            LimitExceeded: The body unpacks to more than the bound.
        """
        self._n_in += len(data)
        for piece in _through(self._codings, data):
            self._n_out += len(piece)
            if self._max_bytes is not None and self._n_out > self._max_bytes:
                raise LimitExceeded(
                    f"The response body unpacks to more than the {self._max_bytes} bytes allowed "
                    f"for it ({self._n_in} bytes of it have been read; max_response_bytes of a "
                    "client).",
                    may_have_arrived=True,
                )
            yield piece

    def finish(self) -> None:
        """Say that all bytes of the body have been fed.

        Raises:
            DecodeError: The compressed data does not end.
        """
        if self._n_in and not all(coding.complete for coding in self._codings):
            raise DecodeError("The compressed body ends before its end.")

    def whole(self, body: bytes) -> bytes:
        """A body that is there in one piece, decoded.

        Raises:
            LimitExceeded: It unpacks to more than is allowed.
            DecodeError: It is not in this coding, or cut short.
        """
        content = b"".join(self.feed(body))
        self.finish()
        return content


def _through(codings: list[_Coding], data: bytes) -> Iterator[bytes]:
    if not codings:
        if data:
            yield data
        return
    first, *others = codings
    for piece in first.feed(data):
        yield from _through(others, piece)


def content_decoder(header: str, max_bytes: int | None = None) -> ContentDecoder:
    """The decoder for a ``Content-Encoding``; empty and ``identity`` change nothing.

    Raises:
        DecodeError: A coding is unknown, or there are too many.
    """
    names = [name for part in header.split(",") if (name := part.strip().lower())]
    names = [name for name in names if name != "identity"]
    if len(names) > MAX_CODINGS:
        raise DecodeError(f"The body has {len(names)} content codings on top of each other.")
    return ContentDecoder([_coding(name) for name in reversed(names)], max_bytes)


def _coding(name: str) -> _Coding:
    if name in {"gzip", "x-gzip"}:
        return _Zlib("gzip")
    if name == "deflate":
        return _Zlib("deflate")
    if name == "zstd" and (module := zstd_module()) is not None:
        return _Zstd(module)
    hint = " Install tinker-lite[zstd] to read it." if name == "zstd" else ""
    raise DecodeError(
        f"The body has the content coding {name[:40]!r}, which is unknown here.{hint}"
    )


def accepted_codings() -> str:
    """The value of ``Accept-Encoding``: what can be read here."""
    return "gzip, deflate" if zstd_module() is None else "gzip, deflate, zstd"


def zstd_frame(pieces: Iterable[bytes | memoryview], size_bytes: int) -> bytes | None:
    """A body as one zstd frame, or None where there is no module that knows zstd.

    The frame says how large the body is, since many decoders refuse one that does not.

    Args:
        pieces: The body, end to end.
        size_bytes: Their size together.

    Source: protocol section 1.9, which asks for one frame at the default level.
    """
    module = zstd_module()
    if module is None:
        return None
    packer = module.ZstdCompressor()
    packer.set_pledged_input_size(size_bytes)
    return b"".join([*map(packer.compress, pieces), packer.flush()])


def zstd_module() -> Any:
    """The module that knows zstd (Python's own from 3.14 on, else the extra), or None."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        try:
            from backports import zstd
        except ImportError:
            return None
    return zstd
