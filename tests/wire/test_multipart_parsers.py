from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wire.parsed_forms import (
    ParsedPart,
    ParseForm,
    parse_with_email,
    parse_with_python_multipart,
)
from tinker_lite.wire.multipart import encode_form

if TYPE_CHECKING:
    from tinker_lite.wire.files import FileTypes

PARSERS = [
    pytest.param(parse_with_email, id="email"),
    pytest.param(parse_with_python_multipart, id="python-multipart"),
]
# What a name may hold: everything but control characters, lone surrogates and a last backslash.
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20).filter(
    lambda name: not name.endswith("\\")
)
FILE_NAMES = NAMES.filter(lambda name: name not in {"", ".", ".."})
# Contents that look like the end of a part, of a line or of the form.
CONTENTS = st.binary(max_size=50) | st.lists(
    st.sampled_from((b"\r\n", b"\n", b"\r", b"--", b"-", b"x", b"\x00", b"\xff", b"\r\n--x--\r\n")),
    max_size=8,
).map(b"".join)
TYPES = st.none() | st.sampled_from(("text/plain; charset=utf-8", "image/png", "a/b;c=d"))
FILES = st.lists(st.tuples(NAMES, FILE_NAMES, CONTENTS, TYPES, st.booleans()), max_size=4)
FIELDS = st.dictionaries(NAMES, st.text(st.characters(exclude_categories=["Cs"])), max_size=4)


def check_that_both_parsers_agree(
    fields: dict[str, str], files: list[tuple[str, str, bytes, str | None, bool]]
) -> None:
    """Send a form with files in memory and files to read, and look for it in what is parsed."""
    given: list[tuple[str, FileTypes]] = [
        (field, (name, io.BytesIO(content) if is_read else content, content_type))
        for field, name, content, content_type, is_read in files
    ]
    body = encode_form(fields, given).measure()
    raw = b"".join(body)
    assert body.content_length == len(raw)
    expected: list[tuple[str, str | None, bytes]] = [
        (name, None, text.encode()) for name, text in fields.items()
    ]
    expected += [(field, name, content) for field, name, content, _, _ in files]
    if not expected:
        return  # a form without parts is none for either parser
    for parse in (parse_with_email, parse_with_python_multipart):
        parts = parse(body.content_type, raw)
        assert [part[:3] for part in parts] == expected
        types = [dict(part.headers)["content-type"] for part in parts[len(fields) :]]
        wanted = [content_type for _, _, _, content_type, _ in files]
        assert [t for t, w in zip(types, wanted, strict=True) if w is not None] == [
            w for w in wanted if w is not None
        ]


@settings(max_examples=300)
@given(FIELDS, FILES)
def test_every_form_is_read_back_by_both_parsers(
    fields: dict[str, str], files: list[tuple[str, str, bytes, str | None, bool]]
) -> None:
    """Names, contents, types, order and the announced length, whatever the values."""
    check_that_both_parsers_agree(fields, files)


@pytest.mark.slow
@settings(max_examples=10_000, suppress_health_check=[HealthCheck.too_slow])
@given(FIELDS, FILES)
def test_ten_thousand_forms_are_read_back_by_both_parsers(
    fields: dict[str, str], files: list[tuple[str, str, bytes, str | None, bool]]
) -> None:
    """The same, with more patience."""
    check_that_both_parsers_agree(fields, files)


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param('a"b.txt', id="a quote"),
        pytest.param("a\\b.txt", id="a backslash"),
        pytest.param('\\"', id="a backslash before a quote"),
        pytest.param("a%22b%0D.txt", id="percent signs"),
        pytest.param("a;b=c.txt", id="what separates parameters"),
        pytest.param("Füße.txt", id="umlauts"),
        pytest.param("模型.safetensors", id="Chinese"),
        pytest.param("🦜.bin", id="beyond the basic plane"),
        pytest.param(" a ", id="spaces around"),
        pytest.param("../../etc/passwd", id="a path"),
        pytest.param("=?utf-8?q?x?=", id="what mail takes for an encoded word"),
        pytest.param("a\u2028b.txt", id="a line separator of Unicode"),
    ],
)
def test_names_are_read_back_as_they_were(parse: ParseForm, name: str) -> None:
    """The field's name and the file's name, by receivers that know no filename*, too."""
    body = encode_form(None, {name: (name, b"content")}).measure()
    [part] = parse(body.content_type, b"".join(body))
    assert part[:3] == (name, name, b"content")


@pytest.mark.parametrize("parse", PARSERS)
def test_headers_of_a_part_are_read_back(parse: ParseForm) -> None:
    """After its type, in the order given."""
    headers = {"X-Checksum": "abc=", "Content-Language": "de"}
    body = encode_form({"a": "1"}, {"f": ("f.bin", b"x", "a/b", headers)}).measure()
    assert parse(body.content_type, b"".join(body)) == [
        ParsedPart("a", None, b"1", ()),
        ParsedPart(
            "f",
            "f.bin",
            b"x",
            (("content-type", "a/b"), ("x-checksum", "abc="), ("content-language", "de")),
        ),
    ]


@pytest.mark.parametrize("parse", PARSERS)
def test_nested_fields_are_read_back(parse: ParseForm) -> None:
    """With the names that they are sent under."""
    fields = {"a": {"b": [1, {"c": True}]}}
    body = encode_form(fields).measure()
    parts = parse(body.content_type, b"".join(body))
    assert [(part.name, part.content) for part in parts] == [
        ("a[b][]", b"1"),
        ("a[b][][c]", b"true"),
    ]
