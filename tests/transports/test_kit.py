"""The kit itself: numbered, sourced, and able to fail."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import pytest

from tinker_lite.errors import ConnectionLost, TransportError, TruncatedBody
from tinker_lite.http import Request, Response
from tinker_lite_conformance.transport import AsyncTransportCases, TransportCases
from tinker_lite_conformance.transport.bench import Kit
from tinker_lite_conformance.transport.forms import BlockingSubject
from tinker_lite_urllib3 import Urllib3Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CASES = dict(inspect.getmembers(AsyncTransportCases, inspect.iscoroutinefunction))
NUMBERED = re.compile(r"(T-\d\d): [^\n]+\.\n\n\s*Source: [^\n]+\.\s*\Z")


def test_every_case_has_a_number_a_sentence_and_a_source() -> None:
    """The docstring of a case is its entry in the list of rules; the number is in its name too."""
    assert len(CASES) > 40
    for name, case in CASES.items():
        match = NUMBERED.match(case.__doc__ or "")
        assert match is not None, name
        assert name.startswith(f"test_{match[1].lower().replace('-', '')}_")


def test_no_number_is_given_twice() -> None:
    """Numbers name cases for good."""
    numbers = [name[:8] for name in CASES]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("promise", range(1, 9))
def test_every_promise_of_the_seam_has_a_case(promise: int) -> None:
    """The sources name each promise at least once."""
    sources = " ".join(case.__doc__ or "" for case in CASES.values())
    assert re.search(rf"seam, promises? (\d and )?{promise}\b", sources)


def test_both_forms_have_the_same_cases() -> None:
    """What an async transport must do, a blocking one must do too."""
    blocking = {name for name in dir(TransportCases) if name.startswith("test_")}
    assert blocking == set(CASES)


class _Wrapped:
    """A good transport, to be broken in one way."""

    def __init__(self) -> None:
        self.inner = Urllib3Transport(max_connections_per_host=1)

    def send(self, request: Request) -> Response:
        return self.inner.send(request)

    def close(self) -> None:
        self.inner.close()


class _Retries(_Wrapped):
    """Repeats what was lost."""

    def send(self, request: Request) -> Response:
        try:
            return self.inner.send(request)
        except ConnectionLost:
            return self.inner.send(request)


class _FollowsRedirects(_Wrapped):
    """Goes where the answer points."""

    def send(self, request: Request) -> Response:
        response = self.inner.send(request)
        if response.headers.get("location"):
            response.read()
            return self.inner.send(request)
        return response


class _NamesItself(_Wrapped):
    """Adds a header of its own."""

    def send(self, request: Request) -> Response:
        headers = request.headers.merged([("User-Agent", "me")])
        return self.inner.send(
            Request(method=request.method, url=request.url, headers=headers, body=request.body)
        )


class _SwallowsShortBodies(_Wrapped):
    """Takes the end of the connection for the end of the body."""

    def send(self, request: Request) -> Response:
        response = self.inner.send(request)

        def body() -> Iterator[bytes]:
            try:
                yield from response.iter_bytes()
            except TruncatedBody:
                return

        return Response(response.status, response.headers, body(), close=response.close)


class _LeaksErrors(_Wrapped):
    """Lets errors out that are not of the seam."""

    def send(self, request: Request) -> Response:
        try:
            return self.inner.send(request)
        except TransportError as error:
            raise OSError from error


class _DeniesArrival(_Wrapped):
    """Says of every failure that nothing arrived."""

    def send(self, request: Request) -> Response:
        try:
            return self.inner.send(request)
        except TransportError as error:
            error.may_have_arrived = False
            raise


@pytest.mark.parametrize(
    ("broken", "case", "arguments"),
    [
        (_Retries, "test_t44_lost_on_reuse", {}),
        (_Retries, "test_t45_lost_before_an_answer", {"reset": False}),
        (_FollowsRedirects, "test_t36_redirects", {}),
        (_NamesItself, "test_t13_nothing_added", {"body": b""}),
        (_SwallowsShortBodies, "test_t20_short_body",
         {"answer": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"}),
        (_LeaksErrors, "test_t46_refused", {}),
        (_LeaksErrors, "test_t24_bad_head", {"head": b"nonsense\r\n\r\n"}),
        (_DeniesArrival, "test_t45_lost_before_an_answer", {"reset": False}),
    ],
)  # fmt: skip
def test_a_broken_transport_fails_its_case(
    broken: Callable[[], _Wrapped], case: str, arguments: dict[str, Any]
) -> None:
    """Each broken transport fails the case that names its fault; a whole one passes it."""
    run = getattr(TransportCases(), case)
    run(kit=Kit(lambda _trust, _most: BlockingSubject(_Wrapped())), **arguments)
    with pytest.raises((AssertionError, OSError, ConnectionLost, pytest.fail.Exception)):
        run(kit=Kit(lambda _trust, _most: BlockingSubject(broken())), **arguments)
