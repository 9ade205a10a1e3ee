from __future__ import annotations

import datetime as dt
import io
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from tests.wire.parsed_forms import parse_with_email
from tinker_lite.wire.files import FileTypes
from tinker_lite.wire.form_fields import form_fields
from tinker_lite.wire.multipart import encode_form
from tinker_lite.wire.not_given import NOT_GIVEN
from tinker_lite.wire.part_head import guess_content_type


class Note(msgspec.Struct):
    """A struct of a caller's own."""

    text: str
    pages: list[int]
    author: Annotated[str | None, "who"] = None


def test_a_form_is_these_bytes() -> None:
    """Fields before files, each in its order; types given or guessed; names in both spellings."""
    files: dict[str, FileTypes] = {
        "doc": ("report.txt", b"words\n"),
        "raw": b"\x00\xff",
        "ü": ("é.json", io.BytesIO(b"{}"), None, {"X-Id": "7"}),
    }
    body = encode_form({"a": 1, "b": {"c": "x"}}, files, boundary="BOUND").measure()
    assert b"".join(body).decode("latin-1") == "\r\n".join(
        (
            "--BOUND",
            'Content-Disposition: form-data; name="a"',
            "",
            "1",
            "--BOUND",
            'Content-Disposition: form-data; name="b[c]"',
            "",
            "x",
            "--BOUND",
            'Content-Disposition: form-data; name="doc"; filename="report.txt"',
            "Content-Type: text/plain",
            "",
            "words\n",
            "--BOUND",
            'Content-Disposition: form-data; name="raw"; filename="upload"',
            "Content-Type: application/octet-stream",
            "",
            "\x00\xff",
            "--BOUND",
            'Content-Disposition: form-data; name="Ã¼"; filename="Ã©.json"; '
            "filename*=UTF-8''%C3%A9.json",
            "Content-Type: application/json",
            "X-Id: 7",
            "",
            "{}",
            "--BOUND--",
            "",
        )
    )
    assert body.content_type == "multipart/form-data; boundary=BOUND"
    assert body.content_length == len(b"".join(body))
    assert body.headers() == [
        ("Content-Type", "multipart/form-data; boundary=BOUND"),
        ("Content-Length", str(body.content_length)),
    ]


def test_a_form_without_parts_is_its_end() -> None:
    """It is still a form."""
    assert b"".join(encode_form(boundary="b").measure()) == b"--b--\r\n"


def test_the_same_form_twice_is_the_same_bytes() -> None:
    """But for the boundary, which is drawn anew."""
    forms = [encode_form({"b": 1, "a": [2]}, {"f": b"x"}) for _ in range(2)]
    assert forms[0].boundary != forms[1].boundary
    raws = [b"".join(form.measure()).replace(form.boundary.encode(), b"") for form in forms]
    assert raws[0] == raws[1]


# Fields


@pytest.mark.parametrize(
    ("fields", "pairs"),
    [
        pytest.param(None, [], id="nothing"),
        pytest.param({}, [], id="no field"),
        pytest.param({"a": "ü\r\n"}, [("a", "ü\r\n".encode())], id="text, line ends as they are"),
        pytest.param({"a": True, "b": False}, [("a", b"true"), ("b", b"false")], id="booleans"),
        pytest.param({"a": 2**70, "b": 1.5}, [("a", b"%d" % 2**70), ("b", b"1.5")], id="numbers"),
        pytest.param({"a": b"\xff"}, [("a", b"\xff")], id="bytes"),
        pytest.param({"a": None, "b": ""}, [("b", b"")], id="None is left out"),
        pytest.param({"a": NOT_GIVEN, "b": msgspec.UNSET}, [], id="what was not given"),
        pytest.param({"a": (), "b": [], "c": [()]}, [], id="empty containers"),
        pytest.param(
            {"a": {"b": {"c": 1}, "d": 2}}, [("a[b][c]", b"1"), ("a[d]", b"2")], id="mappings"
        ),
        pytest.param({"a": [1, (2, 3)]}, [("a[]", b"1"), *[("a[][]", b"%d" % n) for n in (2, 3)]]),
        pytest.param(
            {"a": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]},
            [("a[][x]", b"1"), ("a[][y]", b"2"), ("a[][x]", b"3"), ("a[][y]", b"4")],
            id="elements stay together",
        ),
        pytest.param(
            Note(text="t", pages=[1, 2]),
            [("text", b"t"), ("pages[]", b"1"), ("pages[]", b"2")],
            id="a struct",
        ),
        pytest.param({"n": Note("t", [])}, [("n[text]", b"t")], id="a struct inside"),
        pytest.param(
            {"t": dt.datetime(2024, 1, 2, tzinfo=dt.UTC), "d": Decimal("1.50")},
            [("t", b"2024-01-02T00:00:00Z"), ("d", b"1.50")],
            id="scalars as JSON has them",
        ),
    ],
)
def test_values_become_fields(fields: object, pairs: list[tuple[str, bytes]]) -> None:
    """Named as the official client names them, in the order of the body."""
    assert form_fields(fields) == pairs


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ([1], "a mapping or a struct, not a list"),
        ("a", "a mapping or a struct, not a str"),
        ({"a": {"b": object()}}, r"The field 'a\[b\]' is a object, which has no text"),
        ({"a": [Path("x")]}, r"The field 'a\[\]' is a \w+, which has no text"),
    ],
)
def test_what_has_no_text_is_refused(fields: object, text: str) -> None:
    """The error names the field, or says what a form is made of."""
    with pytest.raises(TypeError, match=text):
        form_fields(fields)


def test_repeated_names_repeat_parts() -> None:
    """Files in pairs may share a field, as those of a list in the body do."""
    body = encode_form(None, [("docs[]", ("a", b"1")), ("docs[]", ("b", b"2"))]).measure()
    parts = parse_with_email(body.content_type, b"".join(body))
    assert [part[:3] for part in parts] == [("docs[]", "a", b"1"), ("docs[]", "b", b"2")]


# Boundaries


def test_a_drawn_boundary_has_128_random_bits() -> None:
    """And needs no quotes in the Content-Type."""
    boundaries = {encode_form().boundary for _ in range(100)}
    assert len(boundaries) == 100
    assert all(re.fullmatch(r"[0-9a-f]{32}", boundary) for boundary in boundaries)


@pytest.mark.parametrize(
    ("fields", "files"),
    [
        pytest.param({"a": "one two"}, None, id="a value"),
        pytest.param({"a": {"one": 1}}, None, id="a name"),
        pytest.param(None, {"f": b"--one"}, id="a content"),
        pytest.param(None, {"f": ("one.txt", b"")}, id="a file name"),
        pytest.param(None, {"f": ("n", b"", None, {"X": "one"})}, id="a header"),
    ],
)
def test_a_boundary_that_occurs_is_drawn_again(fields: Any, files: Any) -> None:
    """Wherever in memory it occurs."""
    draws = iter(["one", "two2", "three"])
    assert encode_form(fields, files, draw_boundary=lambda: next(draws)).boundary == "two2"
    with pytest.raises(ValueError, match="'one' occurs in the form; give another one"):
        encode_form(fields, files, boundary="one")


def test_a_source_of_boundaries_that_never_fits_is_given_up() -> None:
    """Rather than asked for ever."""
    with pytest.raises(ValueError, match="10 drawn boundaries all occur"):
        encode_form({"a": "xyz"}, draw_boundary=lambda: "y")


@pytest.mark.parametrize("boundary", ["", "a" * 71, "a b", "ü", 'a"', "a\r\nb", "a\n", "a;b"])
def test_what_is_no_boundary_is_refused(boundary: str) -> None:
    """A boundary stands in a header too."""
    with pytest.raises(ValueError, match="is none: 1 to 70 letters"):
        encode_form({"a": 1}, boundary=boundary)
    with pytest.raises(ValueError, match="is none: 1 to 70 letters"):
        encode_form(draw_boundary=lambda: boundary)


def test_a_callers_boundary_is_kept() -> None:
    """Up to the length that MIME allows."""
    assert encode_form({"x": 1}, boundary="-" * 70).boundary == "-" * 70


# Content types


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.txt", "text/plain"),
        ("a.JSON", "application/json"),
        ("a.b.png", "image/png"),
        ("a.tar.gz", "application/octet-stream"),
        ("data:text/html,x", "application/octet-stream"),
        ("model", "application/octet-stream"),
        (".png", "application/octet-stream"),
        (None, "application/octet-stream"),
    ],
)
def test_a_type_is_guessed_from_the_end_of_the_name(name: str | None, content_type: str) -> None:
    """By a table that is the same everywhere, and never that of what is compressed."""
    assert guess_content_type(name) == content_type


def test_a_type_among_the_headers_counts() -> None:
    """As with the official client; it is checked like any other, and sent once."""
    files = {"f": ("a.txt", b"", "a/b", {"content-TYPE": "c/d", "X": "1"})}
    raw = b"".join(encode_form(None, files, boundary="b").measure())
    assert raw.count(b"ontent-Type") == 1
    assert b"Content-Type: c/d\r\nX: 1\r\n\r\n" in raw


def test_a_file_without_a_name_has_none() -> None:
    """None leaves it out, as for a part that is only data."""
    raw = b"".join(encode_form(None, {"f": (None, b"{}", "application/json")}).measure())
    assert b'form-data; name="f"\r\nContent-Type: application/json\r\n\r\n{}' in raw
