from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.parsed_forms import parse_with_email, parse_with_python_multipart
from tinker_lite.wire.files import File
from tinker_lite.wire.multipart import encode_form
from tinker_lite.wire.part_head import field_head, file_head

if TYPE_CHECKING:
    from tinker_lite.wire.files import FileTypes

CONTROLS = [chr(code) for code in (*range(0x20), 0x7F)]
INJECTIONS = [
    pytest.param("\r\nX-Injected: 1", id="CR LF and a header"),
    pytest.param("\nX-Injected: 1", id="LF and a header"),
    pytest.param("\rX-Injected: 1", id="CR and a header"),
    pytest.param("\r\n\r\ncontent", id="the end of the head"),
    pytest.param("\r\n--b\r\n", id="another part"),
    pytest.param("\x00", id="NUL"),
    pytest.param("\x0b", id="a vertical tab"),
    pytest.param("\x7f", id="DEL"),
]


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("before", ["a", ""])
def test_no_control_character_gets_into_a_head(text: str, before: str) -> None:
    """Not by the field's name, the file's name, the type, a header's name or its value."""
    bad = before + text
    places: list[tuple[str, str, FileTypes]] = [
        ("The field name", bad, b""),
        ("The file name of", "f", (bad, b"")),
        ("The content type of", "f", ("n", b"", bad)),
        ("The content type of", "f", ("n", b"", f"text/plain{bad}")),
        ("The content type of", "f", ("n", b"", f"text/plain; {bad}")),
        ("is no header name", "f", ("n", b"", None, {bad: "1"})),
        ("The header X of", "f", ("n", b"", None, {"X": bad})),
        ("The content type of", "f", ("n", b"", None, {"Content-Type": bad})),
    ]
    for message, field, file in places:
        with pytest.raises(ValueError, match=message):
            encode_form(None, [(field, file)])
    with pytest.raises(ValueError, match="The field name"):
        encode_form({bad: 1})
    with pytest.raises(ValueError, match="The field name"):
        encode_form({"a": {bad: [1]}})


@pytest.mark.parametrize("character", CONTROLS)
def test_every_control_character_is_refused_in_names(character: str) -> None:
    """The text of the error shows it in a form that can be read."""
    for name in (character, f"a{character}", f"{character}b"):
        with pytest.raises(ValueError, match="has no place in a name") as caught:
            field_head(name)
        assert repr(character) in str(caught.value)
        with pytest.raises(ValueError, match=r"The file name of files\['f'\]"):
            file_head("f", File(name, b""))


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text",
        "text/",
        "/plain",
        "text/plain, image/png",
        "tëxt/plain",
        "a/b;ü",
        "a b/c",
        "a/b;",
        "a/b;c",
        "a/b;c*=d",
        'a/b;c="d',
    ],
)
def test_what_is_no_media_type_is_refused(content_type: str) -> None:
    """A receiver would take it for something else."""
    with pytest.raises(ValueError, match=r"The content type of files\['f'\] is .*text/plain"):
        encode_form(None, {"f": ("n", b"", content_type)})


@pytest.mark.parametrize("name", ["", "X Y", "X:", "Ü", "(x)", "content-disposition"])
def test_what_is_no_header_of_a_part_is_refused(name: str) -> None:
    """Nor may a caller replace the disposition that was checked."""
    with pytest.raises(ValueError, match=r"files\['f'\] has a (header|Content-Disposition)"):
        encode_form(None, {"f": ("n", b"", None, {name: "1"})})


@pytest.mark.parametrize("text", ["a\ud800", "\udcff.txt"])
def test_names_without_a_form_in_utf_8_are_refused(text: str) -> None:
    """As disks have them whose names are no Unicode; another name can be given."""
    with pytest.raises(ValueError, match="no UTF-8 form; give another"):
        encode_form(None, {"f": (text, b"")})
    with pytest.raises(ValueError, match="no UTF-8 form"):
        encode_form({text: 1})
    with pytest.raises(ValueError, match="The field 'f' has no UTF-8 form"):
        encode_form({"f": text})
    with pytest.raises(ValueError, match=r"The header X of .* no UTF-8 form"):
        encode_form(None, {"f": ("n", b"", None, {"X": text})})


@pytest.mark.parametrize("name", ["\\", "a\\", "a\\\\", '"\\'])
def test_a_backslash_at_the_end_of_a_name_is_refused(name: str) -> None:
    """Some receivers take it for an escape of the quote, and read on into the next parameter."""
    with pytest.raises(ValueError, match=r"The field name is .* cannot end in a backslash"):
        encode_form({name: 1})
    with pytest.raises(ValueError, match=r"The file name of .* cannot end in a backslash"):
        encode_form(None, {"f": (name, b"")})


def test_an_empty_file_name_is_refused() -> None:
    """Browsers send one to say that no file was chosen."""
    with pytest.raises(ValueError, match=r"The file name of files\['f'\] is empty"):
        encode_form(None, {"f": ("", b"")})


@given(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))
def test_whatever_is_given_there_is_one_part_or_an_error(
    field: str, name: str, content_type: str, header: str
) -> None:
    """No name, type or header makes a second part or a header of its own."""
    try:
        form = encode_form(None, {field: (name, b"", f"a/b;c={content_type}", {"X": header})})
    except ValueError:
        return
    body = form.measure()
    raw = b"".join(body)
    for parse in (parse_with_email, parse_with_python_multipart):
        [part] = parse(body.content_type, raw)
        assert part[:3] == (field, name, b"")
        assert [key for key, _ in part.headers] == ["content-type", "x"]
