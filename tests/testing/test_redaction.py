from __future__ import annotations

import pytest

from tinker_lite.http import Headers
from tinker_lite.testing.redaction import Redactor

KEY = "tml-0123456789abcdef"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
SIGNED = "https://store/f?X-Goog-Signature=abc&X-Goog-Date=1"


@pytest.mark.parametrize(
    ("plain", "kept"),
    [
        pytest.param({"api_key": "a"}, {"api_key": "REDACTED"}, id="a key by name"),
        pytest.param({"apiKey": "a"}, {"apiKey": "REDACTED"}, id="in any spelling"),
        pytest.param({"jwt": "a", "n": 1}, {"jwt": "REDACTED", "n": 1}, id="a token by name"),
        pytest.param(
            {"his_access_token": "a"}, {"his_access_token": "REDACTED"}, id="an access token"
        ),
        pytest.param(
            {"credentials": {"user": "a"}}, {"credentials": "REDACTED"}, id="a whole mapping"
        ),
        pytest.param([{"secret": ["a", "b"]}], [{"secret": ["REDACTED"] * 2}], id="inside lists"),
        pytest.param({"note": KEY}, {"note": "REDACTED"}, id="a key by its looks"),
        pytest.param({"note": JWT}, {"note": "REDACTED"}, id="a token by its looks"),
        pytest.param(
            {"urls": {"f.bin": SIGNED}},
            {"urls": {"f.bin": "https://store/f?X-Goog-Signature=REDACTED&X-Goog-Date=REDACTED"}},
            id="a signed URL",
        ),
        pytest.param(
            {"url": "https://user:pw@h/a"}, {"url": "https://h/a"}, id="user info in a URL"
        ),
    ],
)  # fmt: skip
def test_secrets_leave_a_json_body(plain: object, kept: object) -> None:
    """By the name of a field, by what a value is, and the signatures of URLs."""
    assert Redactor().plain(plain) == kept


@pytest.mark.parametrize(
    "plain",
    [
        {"tokens": [1, 2], "max_tokens": 3, "target_tokens": {"data": [4]}},
        {"token": 17, "stop": ["token", "password"], "eos_token": "</s>", "next_page_token": "p"},
        {"text": "my password is hunter2, see https://h/a?sig=1 for more"},
        {"text": "https://h/search?q=secrets", "model_name": "tml-base", "key": "value"},
        {"text": "http://[broken", "secretary": "Ann", "password": None, "token": ""},
    ],
)
def test_what_users_write_and_train_on_stays(plain: object) -> None:
    """Numbers, words in texts and names that only resemble secret ones are left alone."""
    assert Redactor().plain(plain) == plain


def test_headers_are_redacted_by_name() -> None:
    """Those known to the library, and names that say it; other values stay."""
    redactor = Redactor(["X-Mine"])
    secret = ["X-API-Key", "Cookie", "CF-Access-Client-Id", "X-Auth-Token", "x-mine"]
    assert {redactor.header(name, "v") for name in secret} == {"REDACTED"}
    assert redactor.header("X-Idempotency-Key", "v") == "v"
    assert redactor.header("Location", "https://s/f?sig=1#part") == "https://s/f?sig=REDACTED#part"


def test_queries_are_redacted_by_name_and_outside_the_api_whole() -> None:
    """Who sees a file's URL may fetch it; an API's parameters are no secret in themselves."""
    redactor = Redactor(["mine"])
    assert redactor.query("a=1&token=x&mine=y&b=c+d", "/api/v1/x") == (
        "a=1&token=REDACTED&mine=REDACTED&b=c+d"
    )
    assert redactor.query("a=1&b=", "/bucket/f") == "a=REDACTED&b=REDACTED"
    assert redactor.query("a=1&X-Amz-Date=2", "/api/v1/x") == "a=REDACTED&X-Amz-Date=REDACTED"
    assert redactor.query("", "/bucket/f") == ""


def test_what_a_secret_header_held_is_found_everywhere() -> None:
    """Also inside a text; but nothing so short that it would be found by chance."""
    redactor = Redactor()
    redactor.learn(Headers([("X-API-Key", "key-12345"), ("Authorization", "Bearer abcdefgh")]))
    redactor.learn(Headers([("Cookie", "a=b"), ("User-Agent", "not-a-secret")]))
    assert redactor.raw(b"no such key: key-12345") == b"no such key: REDACTED"
    assert redactor.text("abcdefgh a=b not-a-secret") == "REDACTED a=b not-a-secret"
