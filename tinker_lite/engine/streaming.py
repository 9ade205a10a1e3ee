"""Items out of a body that comes in pieces: events, lines, text, pieces of one size.

A ``Splitter`` turns pieces of bytes into items and knows nothing of how they come; an
``ItemReader`` feeds it, in any colour.
"""

from __future__ import annotations

import codecs
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Protocol, TypeAlias, TypeVar, cast

from tinker_lite.errors import APIResponseValidationError, DecodeError
from tinker_lite.protocol.replies import Reply, body_text
from tinker_lite.wire.json import decode_json
from tinker_lite.wire.lines import LineSplitter
from tinker_lite.wire.sse import EventDecoder, ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tinker_lite.http import Headers

__all__ = [
    "END",
    "Chunked",
    "Ended",
    "ItemReader",
    "Lines",
    "PieceSource",
    "Splitter",
    "Text",
    "charset",
    "decoded",
    "splitter_for",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# What the last event of a stream says by convention; it is no item.
DONE = "[DONE]"

_LINE_TYPES = frozenset(
    {"application/jsonl", "application/x-ndjson", "application/ndjson", "application/json-lines",
     "application/x-jsonlines", "application/jsonlines"}
)  # fmt: skip


class _End(Enum):
    END = "END"


Ended: TypeAlias = Literal[_End.END]
END: Final = _End.END


class Splitter(Protocol[T_co]):
    """Turns pieces of a body into items."""

    def feed(self, piece: bytes) -> Iterable[T_co | Ended]:
        """The items that are complete with this piece; ``END`` if no more are to come."""
        ...

    def rest(self) -> Iterable[T_co]:
        """The items that the end of the body completes."""
        ...


class PieceSource(Protocol):
    """Where pieces come from; ``BodyReader`` is one."""

    def begin(self) -> None:
        """Ask for them."""
        ...

    async def next(self) -> bytes | None:
        """The next piece, or None at the end."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class ItemReader(Generic[T]):
    """The items of one body.

    Args:
        body: Where the pieces come from; it is asked for them at once.
        splitter: Turns them into items.
        head: The answer without its body, for errors.
    """

    def __init__(self, body: PieceSource, splitter: Splitter[T], head: Reply) -> None:
        body.begin()
        self._body = body
        self._splitter = splitter
        self._head = head
        self._items: Iterator[T | Ended] = iter(())  # those of the last piece, made when asked for
        self._is_done = False

    async def next(self) -> T | Ended:
        """The next item, waited for as long as it takes, or ``END``.

        Raises:
            APIConnectionError: The body broke off.
            APIResponseValidationError: The item does not fit its type, or is too large.
        """
        while not (found := await self._pulled()) and not self._is_done:
            piece = await self._body.next()
            self._is_done = piece is None
            self._items = self._split(piece)
        item = found[0] if found else END
        if item is END:
            await self.close()
        return item

    def _split(self, piece: bytes | None) -> Iterator[T | Ended]:
        yield from self._splitter.rest() if piece is None else self._splitter.feed(piece)

    async def _pulled(self) -> list[T | Ended]:
        """The next item of the last piece, if it has one more."""
        try:
            return list(islice(self._items, 1))
        except BaseException as error:
            await self.close()
            if isinstance(error, DecodeError):
                raise _refusal(self._head, b"", str(error)) from error
            raise

    async def close(self) -> None:
        """Let go of the connection; nothing more comes."""
        self._is_done = True
        self._items = iter(())
        await self._body.close()


class Chunked:
    """Pieces of one size, of which the last may be smaller; or as they come.

    Args:
        size_bytes: The size, or None for pieces as they come.

    Raises:
        ValueError: The size is not above 0.
    """

    def __init__(self, size_bytes: int | None) -> None:
        if size_bytes is not None and size_bytes < 1:
            raise ValueError(f"chunk_size is {size_bytes}; it must be 1 or more, or None.")
        self._size_bytes = size_bytes
        self._held = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        """The pieces that are complete."""
        size = self._size_bytes
        if size is None:
            return [piece]
        self._held += piece
        end = len(self._held) - len(self._held) % size
        whole = bytes(self._held[:end])
        del self._held[:end]
        return [whole[start : start + size] for start in range(0, end, size)]

    def rest(self) -> list[bytes]:
        """The last piece."""
        return [bytes(self._held)] if self._held else []


class Text:
    """The text of a body, in pieces; bytes that are none become U+FFFD.

    Args:
        encoding: The body's character set.
        n_characters: The length of a piece, or None for pieces as they come.
    """

    def __init__(self, encoding: str, n_characters: int | None) -> None:
        if n_characters is not None and n_characters < 1:
            raise ValueError(f"chunk_size is {n_characters}; it must be 1 or more, or None.")
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._n_characters = n_characters
        self._held = ""

    def feed(self, piece: bytes) -> list[str]:
        """The pieces that are complete."""
        return self._cut(self._decoder.decode(piece))

    def rest(self) -> list[str]:
        """The last piece."""
        pieces = self._cut(self._decoder.decode(b"", final=True))
        return [*pieces, self._held] if self._held else pieces

    def _cut(self, text: str) -> list[str]:
        size = self._n_characters
        if size is None:
            return [text] if text else []
        held = self._held + text
        end = len(held) - len(held) % size
        self._held = held[end:]
        return [held[start : start + size] for start in range(0, end, size)]


class Lines:
    """The lines of a body, without their ends; a last line without an end is one too.

    Args:
        encoding: The body's character set.
    """

    def __init__(self, encoding: str) -> None:
        self._text = Text(encoding, None)
        self._lines = LineSplitter()

    def feed(self, piece: bytes) -> list[str]:
        """The lines that are complete."""
        return self._complete(self._text.feed(piece))

    def rest(self) -> list[str]:
        """The last line."""
        lines = self._complete(self._text.rest())
        last = self._lines.rest()
        return [*lines, last.decode()] if last else lines

    def _complete(self, texts: list[str]) -> list[str]:
        # As UTF-8: in UTF-16 the bytes of an end of a line stand inside other characters too.
        pieces = [text.encode("utf-8", "replace") for text in texts]
        return [line.decode() for piece in pieces for line in self._lines.feed(piece)]


class _Events(Generic[T]):
    """The items in the data of events; ``[DONE]`` ends them, events without data are none."""

    def __init__(self, item_type: type[T], head: Reply) -> None:
        self._item_type = item_type
        self._head = head
        self._decoder = EventDecoder()

    def feed(self, piece: bytes) -> Iterable[T | Ended]:
        for event in self._decoder.feed(piece):
            if self._item_type is ServerSentEvent:
                yield cast("T", event)
            elif event.data.strip() == DONE:
                yield END
            elif event.data:
                yield decoded(event.data.encode(), self._item_type, self._head)

    def rest(self) -> tuple[()]:
        return ()


class _JSONLines(Generic[T]):
    """The items of lines, each of which is JSON; empty lines are none."""

    def __init__(self, item_type: type[T], head: Reply) -> None:
        self._item_type = item_type
        self._head = head
        self._lines = LineSplitter()

    def feed(self, piece: bytes) -> Iterable[T]:
        return self._items(self._lines.feed(piece))

    def rest(self) -> Iterable[T]:
        return self._items([self._lines.rest()])

    def _items(self, lines: list[bytes]) -> Iterable[T]:
        for line in lines:
            if line.strip():
                yield decoded(line, self._item_type, self._head)


class _Refused:
    """A body that says that it is not made of items: none would ever come."""

    def __init__(self, head: Reply) -> None:
        self._head = head

    def feed(self, piece: bytes) -> tuple[()]:
        kind = _media_type(self._head.headers)
        why = f"it is {kind}, and items come in text/event-stream or lines of JSON."
        raise _refusal(self._head, piece, why)

    def rest(self) -> tuple[()]:
        return self.feed(b"")


def splitter_for(item_type: type[T], head: Reply) -> Splitter[T]:
    """What turns a body into items of a type, by the type and the body's own media type.

    ``bytes`` are raw pieces. Otherwise lines of JSON where the answer says that it is made of them,
    and server-sent events where it says so or says nothing; anything else is refused when it comes.
    ``ServerSentEvent`` items are the events themselves.
    """
    if item_type is bytes:
        return cast("Splitter[T]", Chunked(None))
    kind = _media_type(head.headers)
    if kind in _LINE_TYPES:
        return _JSONLines(item_type, head)
    return _Events(item_type, head) if kind in {"", "text/event-stream"} else _Refused(head)


def decoded(raw: bytes, type_: Any, head: Reply) -> Any:
    """Bytes as a type: ``bytes``, ``str``, ``object`` for plain values, or JSON that fits it.

    Raises:
        APIResponseValidationError: They do not fit.
    """
    if type_ is bytes:
        return raw
    if type_ is str:
        return raw.decode(charset(head.headers), "replace")
    try:
        return decode_json(raw, Any if type_ is object else type_)
    except DecodeError as error:
        raise _refusal(head, raw, str(error)) from error


def _refusal(head: Reply, raw: bytes, why: str) -> APIResponseValidationError:
    """The error for a part of a body, or, without one, for what is too large to be shown."""
    text = f"{head.method} {head.url} answered {head.status}, but this does not fit: {why}"
    if not raw:
        return APIResponseValidationError(head.head(), None, text)
    return APIResponseValidationError(
        head.head(), body_text(raw), f"{text} It begins: {body_text(raw)}"
    )


def _media_type(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def charset(headers: Headers) -> str:
    """The character set that a body says it has, if Python knows it; otherwise UTF-8."""
    for part in headers.get("content-type", "").split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            encoding = value.strip().strip("\"'")
            try:
                b"a".decode(encoding, "replace")
            except (LookupError, UnicodeError):  # unknown, or no character set
                break
            return encoding
    return "utf-8"
