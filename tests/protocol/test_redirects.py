from __future__ import annotations

import pytest

from tinker_lite.http import Headers
from tinker_lite.protocol.redirects import MAX_REDIRECTS, Follow, follow

HERE = "https://a.example/base/x"


def after(
    method: str, status: int, location: str | None, *, n: int = 0, storage: bool = False
) -> Follow | None:
    """What follows an answer to a request at ``HERE``."""
    headers = Headers([] if location is None else [("Location", location)])
    return follow(method, HERE, status, headers, n_redirects=n, leads_to_storage=storage)


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [
        ("GET", 301, ("GET", False)),
        ("GET", 302, ("GET", False)),
        ("GET", 303, ("GET", False)),
        ("GET", 307, ("GET", True)),
        ("GET", 308, ("GET", True)),
        ("HEAD", 303, ("HEAD", False)),
        ("POST", 301, None),
        ("POST", 302, None),
        ("POST", 303, ("GET", False)),
        ("POST", 307, ("POST", True)),
        ("PUT", 308, ("PUT", True)),
        ("DELETE", 302, None),
        ("GET", 300, None),
        ("GET", 304, None),
        ("GET", 200, None),
        ("GET", 401, None),
    ],
)
def test_method_and_body_follow_the_status(
    method: str, status: int, expected: tuple[str, bool] | None
) -> None:
    """RFC 9110 section 15.4, and nothing where it leaves the method open for what writes."""
    found = after(method, status, "/y")
    assert (None if found is None else (found.method, found.with_body)) == expected


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/y?z", "https://a.example/y?z"),
        ("y", "https://a.example/base/y"),
        ("?q=1", "https://a.example/base/x?q=1"),
        ("https://a.example:443/y", "https://a.example:443/y"),
        ("https://A.example/y#part", "https://A.example/y"),
        ("//a.example/y", "https://a.example/y"),
    ],
)
def test_within_one_origin_credentials_go_along(location: str, url: str) -> None:
    """Scheme, host and port are the same; relative references are resolved."""
    assert after("GET", 302, location) == Follow("GET", url, with_body=False, with_secrets=True)


ELSEWHERE = [
    "http://a.example/y",  # a downgrade
    "https://b.example/y",
    "https://a.example:8443/y",
    "https://a.example.evil/y",
    "https://sub.a.example/y",
    "//b.example/y",
]


@pytest.mark.parametrize("location", ELSEWHERE)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_another_origin_is_not_followed(location: str, status: int) -> None:
    """Neither a key nor a body may go where a server points."""
    assert after("GET", status, location) is None
    assert after("POST", status, location) is None


@pytest.mark.parametrize(
    "location",
    [None, "ftp://a.example/y", "javascript:alert(1)", "https://me:pw@a.example/y",
     "https://a.example/a b", "https://a.example/\r\nX: y", "https://[::1/", "http+unix://%2Fx"],
)  # fmt: skip
def test_what_leads_nowhere_is_not_followed(location: str | None) -> None:
    """A location that is missing, malformed or of a scheme of its own ends the matter."""
    assert after("GET", 302, location) is None
    assert after("GET", 302, location, storage=True) is None


def test_a_storage_gets_no_secret_and_no_body() -> None:
    """Only reading requests go there, and not over plain http but on this machine."""
    there = "https://storage.example/file?signature=s"
    expected = Follow("GET", there, with_body=False, with_secrets=False)
    assert after("GET", 302, there, storage=True) == expected
    assert after("GET", 307, there, storage=True) == expected
    assert after("POST", 307, there, storage=True) is None
    assert after("GET", 302, "http://storage.example/file", storage=True) is None
    assert after("GET", 302, "http://127.0.0.1:9/file", storage=True) is not None


def test_redirects_are_counted() -> None:
    """A circle ends."""
    assert after("GET", 302, "/y", n=MAX_REDIRECTS - 1) is not None
    assert after("GET", 302, "/y", n=MAX_REDIRECTS) is None
