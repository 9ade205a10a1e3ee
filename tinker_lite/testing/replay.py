"""Transports that answer from a recording."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from tinker_lite.protocol.endpoints import ENDPOINTS
from tinker_lite.testing.captured import API_ROOT
from tinker_lite.testing.differences import ANYTHING, differences, shown
from tinker_lite.testing.fake import AsyncCheckedTransport, CheckedTransport, FakeReply
from tinker_lite.testing.recording import (
    Body,
    Exchange,
    RecordedRequest,
    read_recording,
    recorded_request,
)
from tinker_lite.testing.redaction import Redactor

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator

    from tinker_lite.http import Request

__all__ = ["AsyncReplayTransport", "Matching", "ReplayTransport"]

# strict: in the recorded order, everything compared. unordered: in any order, everything compared.
# lenient: in any order, by method and path; the rest only chooses among several.
Matching: TypeAlias = Literal["strict", "unordered", "lenient"]

# The version of the protocol that the client speaks is no part of what a program does.
_VOLATILE_FIELDS = frozenset({"sdk_version"})

# Heartbeats come by the clock, not by the program: they are answered plainly whatever is recorded.
_BY_THE_CLOCK = tuple(API_ROOT + row.path for row in ENDPOINTS if row.retry == "once")

_MAX_LISTED = 5


class _Replay:
    """What is left of a recording; thread-safe."""

    def __init__(
        self, file: str | os.PathLike[str], match: Matching, ignored_fields: Collection[str]
    ) -> None:
        self._file = Path(file)
        head, exchanges = read_recording(self._file)
        self._redactor = Redactor(head.secret_names)
        self._match = match
        self._ignored = _VOLATILE_FIELDS | set(ignored_fields)
        self._left = [found for found in exchanges if not _is_by_the_clock(found.request)]
        self._complaints: list[str] = []
        self._lock = threading.Lock()

    def answer(self, request: Request) -> FakeReply:
        """Answer one request as recorded.

        Raises:
            AssertionError: The recording has no place for it; the text says which entry comes
                nearest and where they differ.
            TransportError: As recorded.
        """
        with self._lock:
            came = recorded_request(request, cast("bytes", request.body), self._redactor)
            if _is_by_the_clock(came):
                return FakeReply()
            exchange = self._find(came)
            self._left.remove(exchange)
        return _reply(exchange)

    def _find(self, came: RecordedRequest) -> Exchange:
        compared = [
            (exchange, list(self._compare(exchange.request, came)))
            for exchange in self._candidates(came)
        ]
        if not compared:
            raise self._complaint(
                came, f"is not in what is left of {self._file.name}", self._list()
            )
        # The first of those that differ least.
        exchange, found = min(compared, key=lambda pair: len(pair[1]))
        if found and self._match != "lenient":
            what = f"differs from entry {exchange.number} of {self._file.name}"
            raise self._complaint(came, what, found)
        return exchange

    def _candidates(self, came: RecordedRequest) -> list[Exchange]:
        if self._match == "strict":
            return self._left[:1]
        return [found for found in self._left if found.request.title == came.title]

    def _complaint(self, came: RecordedRequest, what: str, lines: list[str]) -> AssertionError:
        text = "\n  ".join([f"{came.title} {what}:", *lines])
        self._complaints.append(text)
        return AssertionError(text)

    def _list(self) -> list[str]:
        titles = [f"entry {found.number}: {found.request.title}" for found in self._left]
        more = len(titles) - _MAX_LISTED
        return [*titles[:_MAX_LISTED], *([f"and {more} more"] if more > 0 else [])] or ["nothing"]

    def _compare(self, expected: RecordedRequest, came: RecordedRequest) -> Iterator[str]:
        if expected.title != came.title:
            yield f"expected {expected.title}, came {came.title}"
            return  # another call altogether: its fields say nothing
        ignored = self._ignored
        yield from differences(
            expected.parameters(), came.parameters(), path="query", ignored=ignored
        )
        # A replay needs no credentials.
        headers = [*expected.headers.items(), *came.headers.items()]
        ignored_headers = {name for name, value in headers if value == ANYTHING} | ignored
        yield from differences(
            expected.headers, came.headers, path="headers", ignored=ignored_headers
        )
        if not expected.is_partial:
            yield from _compare_bodies(expected.body, came.body, ignored)

    def assert_done(self) -> None:
        """Check that everything recorded was asked for, and nothing else.

        Raises:
            AssertionError: The text names what is left, and repeats every mismatch.
        """
        with self._lock:
            lines = [*self._complaints]
            if self._left:
                lines.append(
                    f"{len(self._left)} exchanges of {self._file.name} were not asked for:"
                )
                lines.extend(f"  {line}" for line in self._list())
        if lines:
            raise AssertionError("\n".join(lines))


def _is_by_the_clock(request: RecordedRequest) -> bool:
    return request.path.endswith(_BY_THE_CLOCK)


def _compare_bodies(expected: Body, came: Body, ignored: Collection[str]) -> Iterator[str]:
    if expected.is_json and came.is_json:
        yield from differences(expected.json, came.json, ignored=ignored)
        return
    one, other = expected.raw(), came.raw()
    if one != other:
        place = next(
            (i for i, pair in enumerate(zip(one, other, strict=False)) if len({*pair}) > 1), 0
        )
        yield f"body from byte {place}: expected {shown(one[place:])}, came {shown(other[place:])}"


def _reply(exchange: Exchange) -> FakeReply:
    if exchange.failure is not None:
        raise exchange.failure.error()
    response = exchange.response
    assert response is not None, f"entry {exchange.number} has neither a response nor a failure"
    failure = response.failure
    return FakeReply(
        response.body.raw(),
        response.status,
        tuple(response.headers),
        broken_by=None if failure is None else failure.error(),
        bare=True,
    )


class ReplayTransport(_Replay, CheckedTransport):
    """A blocking transport that answers from the file of a ``RecordingTransport``.

    Idempotency keys, credentials, ``User-Agent``, ``sdk_version`` and what else changes from run to
    run are not compared; nor is the host. Heartbeats are answered whenever they come. As a context
    manager it ends with ``assert_done``.

    Args:
        file: The recording, of either form.
        match: ``"strict"`` for a program whose requests have one order; ``"unordered"`` for one
            whose clients work at several things at once, as a ``ServiceClient`` does;
            ``"lenient"`` to look at method and path only, though a request gets the answer to the
            one most like it.
        ignored_fields: Names of JSON fields (at any depth), query parameters and headers (in lower
            case) not to compare.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no recording that this version reads.
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        *,
        match: Matching = "strict",
        ignored_fields: Collection[str] = (),
    ) -> None:
        _Replay.__init__(self, file, match, ignored_fields)
        CheckedTransport.__init__(self, self.answer)


class AsyncReplayTransport(_Replay, AsyncCheckedTransport):
    """The async form of ``ReplayTransport``; same arguments and errors."""

    def __init__(
        self,
        file: str | os.PathLike[str],
        *,
        match: Matching = "strict",
        ignored_fields: Collection[str] = (),
    ) -> None:
        _Replay.__init__(self, file, match, ignored_fields)
        AsyncCheckedTransport.__init__(self, self.answer)
