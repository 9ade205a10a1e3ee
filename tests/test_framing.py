from __future__ import annotations

from typing import Any

import pytest

from tinker_lite.attempt import BadAnswer
from tinker_lite.errors import InvalidRequest
from tinker_lite.framing import BodyEnd, Framing, frame_request, read_framing
from tinker_lite.http import Headers, Origin, Request, Target, parse_target

HOST = ("Host", "h:8")
CHUNKED = ("Transfer-Encoding", "chunked")


def framed(
    method: str, body: Any = b"", *headers: tuple[str, str], proxy: str | None = None
) -> tuple[list[tuple[str, str]], int | None]:
    """Headers and length that a request goes out with."""
    request = Request(method=method, url="http://h:8/", headers=Headers(headers), body=body)
    framing = frame_request(request, parse_target(request.url), proxy)
    return framing.headers, framing.length


# Where requests go


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://h", Target(Origin("http", "h", 80), "/", "h")),
        ("https://H:443/a?b#c", Target(Origin("https", "h", 443), "/a?b", "h")),
        ("http://h:8/", Target(Origin("http", "h", 8), "/", "h:8")),
        ("http://[::1]:8/", Target(Origin("http", "::1", 8), "/", "[::1]:8")),
        ("http://xn--bcher-kva.example/",
         Target(Origin("http", "xn--bcher-kva.example", 80), "/", "xn--bcher-kva.example")),
        ("http+unix://%2FRun%2Fa%20b.sock/x?y",
         Target(Origin("http+unix", "/Run/a b.sock", 0), "/x?y", "localhost")),
        ("http+unix://here.sock",
         Target(Origin("http+unix", "here.sock", 0), "/", "localhost")),
    ],
)  # fmt: skip
def test_a_url_says_where_to_go_and_what_to_say(url: str, target: Target) -> None:
    """The origin, the request target and the Host header (RFC 9112 section 3.2)."""
    assert parse_target(url) == target


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://h", "must start with http:// or https://"),
        ("//h/x", "must start with"),
        ("/x", "must start with"),
        ("http://", "must start with"),
        ("http+unix:///run/x", "must start with"),
        ("https+unix://%2Fx", "must start with"),
        ("http://me:pw@h/", "user info"),
        ("http+unix://me:pw@x/", "user info"),
        ("http://h:port/", "[Pp]ort"),
        ("http://h:99999/", "[Pp]ort"),
        ("http://[::1/", "Invalid IPv6"),
        ("http://h/a b", "a space"),
        ("http://h/\r\nX: y", "a control character"),
        ("http://bücher.example/", "xn-- form"),
    ],
)
def test_what_is_no_url_is_refused(url: str, reason: str) -> None:
    """Before anything is sent; the password is not shown."""
    with pytest.raises(InvalidRequest, match=reason) as refused:
        parse_target(url)
    assert refused.value.may_have_arrived is False
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://h", "http://h:80"),
        ("https://[::1]:8", "https://[::1]:8"),
        ("http+unix://%2Frun%2Fx", "http+unix://%2Frun%2Fx"),
    ],
)
def test_an_origin_has_a_text(url: str, text: str) -> None:
    """One that leads there again."""
    origin = parse_target(url).origin
    assert str(origin) == text
    assert parse_target(str(origin)).origin == origin


# Requests


@pytest.mark.parametrize(
    ("method", "body", "headers", "expected"),
    [
        ("GET", b"", [], ([HOST], 0)),
        ("POST", b"", [], ([HOST, ("Content-Length", "0")], 0)),
        ("POST", b"abc", [], ([HOST, ("Content-Length", "3")], 3)),
        ("GET", b"abc", [], ([HOST, ("Content-Length", "3")], 3)),
        ("POST", [b"a", b"bc"], [], ([HOST, CHUNKED], None)),
        ("POST", [b"abc"], [("content-length", "3")], ([HOST, ("content-length", "3")], 3)),
        ("POST", b"abc", [CHUNKED], ([HOST, CHUNKED], None)),
        ("GET", b"", [("host", "other")], ([("host", "other")], 0)),
        ("GET", b"", [("B", "2"), ("a", "1"), ("B", "3")],
         ([HOST, ("B", "2"), ("a", "1"), ("B", "3")], 0)),
        ("GET", b"", [("X", "\xe9"), ("Y", "")], ([HOST, ("X", "\xe9"), ("Y", "")], 0)),
    ],
)  # fmt: skip
def test_a_request_is_framed(
    method: str, body: Any, headers: list[tuple[str, str]], expected: object
) -> None:
    """Host first, then the caller's headers as they are, then what is missing."""
    assert framed(method, body, *headers) == expected


def test_credentials_for_a_proxy_stand_last() -> None:
    """They are for the proxy that reads the request."""
    assert framed("GET", proxy="Basic x") == ([HOST, ("Proxy-Authorization", "Basic x")], 0)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([("Content-Length", "3"), CHUNKED], "not both"),
        ([("Transfer-Encoding", "gzip")], "the only transfer coding is chunked"),
        ([("Content-Length", "4")], "says 4, the body has 3"),
        ([("Content-Length", "+3")], "not a count of bytes"),
        ([("Content-Length", "")], "not a count of bytes"),
        ([("Content-Length", "³")], "not a count of bytes"),
        ([("X Y", "1")], "the header 'X Y'"),
        ([("", "1")], "the header ''"),
        ([("X:", "1")], "the header 'X:'"),
        ([("X", "1\r\nY: 2")], "the header 'X'"),
        ([("X", "1\n 2")], "the header 'X'"),
        ([("X", "\x00")], "the header 'X'"),
        ([("X", "\u0142")], "the header 'X'"),
        ([("Host", "h\r\n")], "the header 'Host'"),
    ],
)
def test_what_cannot_be_framed_is_refused(headers: list[tuple[str, str]], reason: str) -> None:
    """By name, never showing the value of a header."""
    with pytest.raises(InvalidRequest, match=reason) as refused:
        framed("POST", b"abc", *headers)
    assert refused.value.may_have_arrived is False


@pytest.mark.parametrize(
    ("value", "closes"),
    [("close", True), ("X, Close", True), ("keep-alive", False), ("closed", False)],
)
def test_a_request_may_ask_for_the_end(value: str, closes: bool) -> None:
    """``close`` is an element of a list, in any case (RFC 9110 section 7.6.1)."""
    request = Request(method="GET", url="http://h/", headers=Headers([("Connection", value)]))
    assert frame_request(request, parse_target(request.url)).closes is closes


# Answers


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, [("Content-Length", "3")], Framing(BodyEnd.LENGTH, 3, persistent=True)),
        (200, [("Content-Length", "3, 3")], Framing(BodyEnd.LENGTH, 3, persistent=True)),
        (200, [("Content-Length", "3"), ("content-length", "3")],
         Framing(BodyEnd.LENGTH, 3, persistent=True)),
        (200, [CHUNKED], Framing(BodyEnd.LAST_CHUNK, 0, persistent=True)),
        (200, [("Transfer-Encoding", "CHUNKED")], Framing(BodyEnd.LAST_CHUNK, 0, persistent=True)),
        (200, [CHUNKED, ("Content-Length", "3")], Framing(BodyEnd.LAST_CHUNK, 0, persistent=False)),
        (200, [], Framing(BodyEnd.CLOSE, 0, persistent=False)),
        (204, [("Content-Length", "3")], Framing(BodyEnd.LENGTH, 0, persistent=True)),
        (304, [("Content-Length", "3")], Framing(BodyEnd.LENGTH, 0, persistent=True)),
        (204, [], Framing(BodyEnd.LENGTH, 0, persistent=True)),
        (200, [("Content-Length", "3"), ("Connection", "X, Close")],
         Framing(BodyEnd.LENGTH, 3, persistent=False)),
    ],
)  # fmt: skip
def test_an_answer_is_framed(
    status: int, headers: list[tuple[str, str]], expected: Framing
) -> None:
    """RFC 9112 section 6.3, in its order."""
    assert read_framing("GET", status, "1.1", headers) == expected


def test_an_answer_to_head_has_no_body() -> None:
    """Whatever its headers say about the body it does not send."""
    for headers in ([("Content-Length", "3")], [CHUNKED], []):
        assert read_framing("HEAD", 200, "1.1", headers) == Framing(BodyEnd.LENGTH, 0, True)


def test_a_connection_of_http_1_0_ends() -> None:
    """Persistence was not part of it."""
    headers = [("Content-Length", "3"), ("Connection", "keep-alive")]
    assert read_framing("GET", 200, "1.0", headers) == Framing(BodyEnd.LENGTH, 3, persistent=False)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([("Content-Length", "3"), ("Content-Length", "4")], "makes no sense: '3, 4'"),
        ([("Content-Length", "-3")], "makes no sense"),
        ([("Content-Length", "+3")], "makes no sense"),
        ([("Content-Length", "0x3")], "makes no sense"),
        ([("Content-Length", "")], "makes no sense"),
        ([("Content-Length", "9" * 19)], "makes no sense"),
        ([("Transfer-Encoding", "gzip, chunked")], "unknown transfer coding 'gzip, chunked'"),
        ([("Transfer-Encoding", "identity")], "unknown transfer coding"),
        ([CHUNKED, CHUNKED], "unknown transfer coding"),
        ([("Transfer-Encoding", "")], "unknown transfer coding"),
    ],
)
def test_framing_that_makes_no_sense_is_refused(
    headers: list[tuple[str, str]], reason: str
) -> None:
    """Nothing is guessed: two readers of one answer must agree where it ends."""
    with pytest.raises(BadAnswer, match=reason):
        read_framing("GET", 200, "1.1", headers)
