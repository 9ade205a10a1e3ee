"""An answer to a raw call, in any colour: its head, its body, and what the body says."""

from __future__ import annotations

from datetime import UTC, datetime
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from msgspec.structs import replace

from tinker_lite.engine.body_reader import BodyReader
from tinker_lite.engine.call_io import CallIO, R
from tinker_lite.engine.passes import Offer
from tinker_lite.engine.performing import perform, perform_open
from tinker_lite.engine.preparation import Args, Defaults, is_pass, prepared, with_pass
from tinker_lite.engine.saving import save_body
from tinker_lite.engine.streaming import ItemReader, PieceSource, charset, decoded, splitter_for
from tinker_lite.protocol.archive import archive_location
from tinker_lite.protocol.endpoints import SUBMISSIONS
from tinker_lite.protocol.replies import Reply, read_reply, status_error
from tinker_lite.types import CheckpointArchiveUrlResponse

if TYPE_CHECKING:
    import os

    from tinker_lite.engine.call import Call
    from tinker_lite.engine.sending import Opened
    from tinker_lite.protocol.endpoint import Form

__all__ = ["Answer", "AnswerBody", "Caller"]

A = TypeVar("A")
T = TypeVar("T")


class AnswerBody(PieceSource, Protocol):
    """The body of an answer, read already or not."""

    @property
    def elapsed_s(self) -> float:
        """Seconds from sending the request to the end of the body, or to what has been read."""
        ...

    @property
    def is_closed(self) -> bool:
        """Whether the connection has been let go of."""
        ...

    async def read(self) -> bytes:
        """The whole body."""
        ...


class _Kept:
    """A body that has been read."""

    is_closed = True

    def __init__(self, reply: Reply) -> None:
        self.elapsed_s = reply.elapsed_s
        self._body = reply.body
        self._pieces = iter((self._body,))

    def begin(self) -> None:
        self._pieces = iter((self._body,))

    async def next(self) -> bytes | None:
        return next(self._pieces, None)

    async def read(self) -> bytes:
        return self._body

    async def close(self) -> None:
        """Nothing is open."""


class Answer:
    """One successful answer.

    Args:
        call: What was sent last, after redirects.
        head: Status, headers and the like, without the body.
        body: The body.
        io: The world, for files.

    Attributes:
        call: The same.
        head: The same.
        body: The same.
    """

    def __init__(self, call: Call, head: Reply, body: AnswerBody, io: CallIO[Any]) -> None:
        self.call = call
        self.head = head
        self.body = body
        self._io = io
        self._parsed: dict[object, Any] = {}

    async def parse(self, type_: Any) -> Any:
        """The body as a type, decoded once."""
        if type_ not in self._parsed:
            reply = replace(self.head, body=await self.body.read())
            self._parsed[type_] = _parsed(reply, self.call, type_)
        return self._parsed[type_]

    async def text(self) -> str:
        """The body as text, by its own character set."""
        return (await self.body.read()).decode(charset(self.head.headers), "replace")

    async def json(self) -> Any:
        """The body as plain values."""
        return decoded(await self.body.read(), object, self.head)

    async def save(self, path: str | os.PathLike[str], chunk_size: int | None = None) -> None:
        """The body as a file."""
        await save_body(self.body, self._io, path, chunk_size)

    def items(self, item_type: type[T]) -> ItemReader[T]:
        """The items that the body is made of."""
        return ItemReader(self.body, splitter_for(item_type, self.head), self.head)


class Caller(Generic[R]):
    """Makes the calls of a raw client.

    Args:
        defaults: What every call begins with.
        io: The world.
    """

    def __init__(self, defaults: Defaults, io: CallIO[R]) -> None:
        self.defaults = defaults
        self.io = io
        self.is_closed = False

    def check_open(self, operation: str) -> None:
        """Refuse calls after the client was closed."""
        if self.is_closed:
            raise RuntimeError(f"{operation}: this client is closed; make a new one.")

    async def value(self, args: Args[A]) -> A:
        """What a call is answered, decoded."""
        call, forms = await self._ready(args)
        reply = await perform(call, self.io, forms)
        _check(reply, call)
        value: A = _parsed(reply, call, call.endpoint.response)
        return value

    async def read(self, args: Args[Any]) -> Answer:
        """An answer whose body has been read."""
        call, forms = await self._ready(args)
        return self._kept(await perform(call, self.io, forms), call)

    async def open(self, args: Args[Any]) -> Answer:
        """An answer whose body is still to be read; whoever has it closes it."""
        call, forms = await self._ready(args, stays_open=True)
        outcome = await perform_open(call, self.io, forms)
        if isinstance(outcome, Reply):
            return self._kept(outcome, call)
        body = BodyReader(outcome, self.io)
        return Answer(outcome.call, _head(outcome), body, self.io)

    async def _ready(
        self, args: Args[Any], *, stays_open: bool = False
    ) -> tuple[Call, Offer | None]:
        """A call to be made, and the other forms that it has."""
        self.check_open(args.row.name)
        args = with_pass(args, self.defaults.config)

        async def make(form: Form) -> Call:
            return await prepared(args, self.defaults, self.io, stays_open=stays_open, form=form)

        if not (args.row.protobuf_path and is_pass(args)):
            return await make("json"), None
        offer = Offer(make, self.defaults.config, self.defaults.servers)
        return await offer.call(), offer

    def _kept(self, reply: Reply, call: Call) -> Answer:
        _check(reply, call)
        return Answer(call, replace(reply, body=b""), _Kept(reply), self.io)


def _head(opened: Opened[R]) -> Reply:
    return Reply(
        status=opened.response.status,
        headers=opened.response.headers,
        body=b"",
        method=opened.call.method,
        url=opened.call.shown_url,
        n_retries=opened.n_retries,
        http_version=opened.response.http_version,
    )


def _check(reply: Reply, call: Call) -> None:
    is_answer = reply.ok or (call.endpoint.answers_by_redirect and 300 <= reply.status < 400)
    if not is_answer:
        raise status_error(reply, call.endpoint.name)


def _parsed(reply: Reply, call: Call, type_: Any) -> Any:
    if type_ is None or type_ is NoneType:
        return None
    if call.endpoint.answers_by_redirect and type_ is CheckpointArchiveUrlResponse:
        return archive_location(reply, call.url, datetime.now(UTC))
    if type_ is object and not reply.body.strip():
        return None
    if type_ is object and reply.form == "protobuf":
        polled = SUBMISSIONS.get(call.headers.get("x-tinker-request-type", ""))
        type_ = object if polled is None else polled.result
    if type_ in {bytes, str, object}:
        return decoded(reply.body, type_, reply)
    return read_reply(reply, type_, call.endpoint.name)
