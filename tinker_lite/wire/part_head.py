"""The head of one part of a form: names and types as bytes that cannot become anything else.

Whatever a caller gives ends up in one quoted text of one header line, or is refused: no control
character passes, so that no name can end a line, add a header or start a part, and nothing that
receivers are known to read in two ways.

A name is sent as UTF-8 (RFC 7578 section 5.1) in a quoted string, quotes and backslashes escaped
(RFC 9110 section 5.6.4). A file name that is more than plain ASCII is sent a second time as
``filename*`` (RFC 5987), which has one reading only; RFC 7578 section 4.2 would rather not see it,
and receivers that do not know it pass over it.
"""

from __future__ import annotations

import functools
import mimetypes
import re
from pathlib import PurePath
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from tinker_lite.wire.files import File

__all__ = ["field_head", "file_head", "guess_content_type"]

DEFAULT_CONTENT_TYPE = "application/octet-stream"

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  of HTTP's grammar (RFC 9110 section 5.6.2)
_HEADER_NAME = re.compile(_TOKEN)
# A parameter's name has no * (RFC 2231): a lone one makes some receivers fail.
_PARAMETER = rf'[ \t]*;[ \t]*[!#$&+.^_`|~0-9A-Za-z-]+=({_TOKEN}|"[\t !#-\[\]-~]*")'
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}({_PARAMETER})*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_BUT_TAB = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_PLAIN_NAME = re.compile(r'[^\x00-\x1f"%\\\x7f-\U0010ffff]*')
_ATTRIBUTE_SAFE = "!#$&+-.^_`|~"  # attr-char of RFC 5987 section 3.2.1, besides letters and digits


def field_head(name: str) -> bytes:
    """The head of a part that is a plain field; it has no type, which means UTF-8 text.

    Raises:
        ValueError: The name holds a control character, ends in a backslash, or has no UTF-8 form.
    """
    return _line("Content-Disposition", _disposition(name))


def file_head(name: str, file: File) -> bytes:
    """The head of a part that is a file: disposition, type, then the caller's own headers.

    Raises:
        ValueError: A name, the type or a header holds what no header may hold.
    """
    place = f"files[{name!r}]"
    own_type = [value for key, value in file.headers if key.lower() == "content-type"]
    content_type = file.content_type if not own_type else own_type[-1]
    if content_type is None:
        content_type = guess_content_type(file.name)
    if not _MEDIA_TYPE.fullmatch(content_type):
        raise ValueError(
            f"The content type of {place} is {content_type!r}; it must look like 'text/plain' "
            "or 'text/plain; charset=utf-8', in ASCII."
        )
    lines = [
        _line("Content-Disposition", _disposition(name, file.name)),
        _line("Content-Type", content_type),
        *(_own_line(*pair, place) for pair in file.headers if pair[0].lower() != "content-type"),
    ]
    return b"".join(lines)


def _line(name: str, value: str) -> bytes:
    return f"{name}: {value}\r\n".encode()


def _own_line(name: str, value: str, place: str) -> bytes:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{place} has a header {name!r}, which is no header name.")
    if name.lower() == "content-disposition":
        raise ValueError(f"{place} has a Content-Disposition of its own; name the file instead.")
    if _CONTROL_BUT_TAB.search(value):
        raise ValueError(f"The header {name} of {place} is {value!r}: no control characters.")
    _must_encode(value, f"The header {name} of {place}")
    return _line(name, value)


def _disposition(name: str, file_name: str | None = None) -> str:
    text = f"form-data; name={_quoted(name, 'The field name')}"
    if file_name is None:
        return text
    if not file_name:
        raise ValueError(f"The file name of files[{name!r}] is empty; give None for no name.")
    text += f"; filename={_quoted(file_name, f'The file name of files[{name!r}]')}"
    if not _PLAIN_NAME.fullmatch(file_name):
        text += f"; filename*=UTF-8''{quote(file_name, safe=_ATTRIBUTE_SAFE)}"
    return text


def _quoted(text: str, subject: str) -> str:
    found = _CONTROL.search(text)
    if found is not None:
        raise ValueError(
            f"{subject} is {text!r}: the character {found[0]!r} has no place in a name."
        )
    if text.endswith("\\"):
        # Some receivers, the email package among them, take it for an escape of the quote after it.
        raise ValueError(f"{subject} is {text!r}: a name cannot end in a backslash.")
    _must_encode(text, subject)
    escaped = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'


def _must_encode(text: str, subject: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        # Names from disk that are no Unicode come with lone surrogates in the place of their bytes.
        raise ValueError(
            f"{subject} is {text!r}, which has no UTF-8 form; give another."
        ) from error


def guess_content_type(file_name: str | None) -> str:
    """The media type that the end of a file name suggests, the same on every machine."""
    if file_name is None:
        return DEFAULT_CONTENT_TYPE
    # Only the last part: guess_type takes its argument for a URL. A compressed file is not of the
    # type of what it holds.
    guessed, encoding = _types().guess_type("name" + "".join(PurePath(file_name).suffixes[-2:]))
    return guessed if guessed is not None and encoding is None else DEFAULT_CONTENT_TYPE


@functools.cache
def _types() -> mimetypes.MimeTypes:
    return mimetypes.MimeTypes()
