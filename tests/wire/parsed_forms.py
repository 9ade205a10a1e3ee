"""Forms as two foreign parsers read them: the standard library's email, and python-multipart."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from email.message import EmailMessage, Message
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

from python_multipart.multipart import MultipartParser, parse_options_header

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


class ParsedPart(NamedTuple):
    """One part of a form."""

    name: str
    file_name: str | None
    content: bytes
    headers: tuple[tuple[str, str], ...]  # names in lower case, without Content-Disposition


ParseForm: TypeAlias = Callable[[str, bytes], list[ParsedPart]]


def parse_with_email(content_type: str, body: bytes) -> list[ParsedPart]:
    """Read a form as a MIME message."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    assert not message.defects
    parts = cast("list[EmailMessage]", message.get_payload())
    return [_of_email(part) for part in parts]


def _of_email(part: EmailMessage) -> ParsedPart:
    assert not part.defects
    # As HTTP has them: UTF-8, and no encoded words, which the policies for mail would look for.
    headers = [(name.lower(), _utf8(str(value))) for name, value in part.raw_items()]
    head = Message()
    for pair in headers:
        head.add_header(*pair)
    assert head.get_content_disposition() == "form-data"
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    name, file_name = _parameter(head, "name"), _parameter(head, "filename")
    assert name is not None
    others = [pair for pair in headers if pair[0] != "content-disposition"]
    return ParsedPart(name, file_name, content, tuple(others))


def _utf8(text: str) -> str:
    return text.encode("ascii", "surrogateescape").decode()


def _parameter(head: Message, name: str) -> str | None:
    value = head.get_param(name, header="content-disposition")
    assert value is None or isinstance(value, str)
    return value


def parse_with_python_multipart(content_type: str, body: bytes) -> list[ParsedPart]:
    """Read a form with the parser below Starlette."""
    kind, options = parse_options_header(content_type)
    assert kind == b"multipart/form-data"
    reader = _Reader()
    parser = MultipartParser(options[b"boundary"], reader.callbacks())
    # Split anywhere: the parser keeps its state between writes.
    middle = len(body) // 2
    parser.write(body[:middle])
    parser.write(body[middle:])
    parser.finalize()
    assert reader.is_ended
    return reader.parts


class _Reader:
    def __init__(self) -> None:
        self.parts: list[ParsedPart] = []
        self.is_ended = False
        self._headers: list[tuple[bytes, bytes]] = []
        self._field = self._value = self._content = b""

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": partial(self._add, "_field"),
            "on_header_value": partial(self._add, "_value"),
            "on_header_end": self._end_header,
            "on_part_data": partial(self._add, "_content"),
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._headers = []
        self._content = b""

    def _add(self, name: str, data: bytes, start: int, end: int) -> None:
        setattr(self, name, getattr(self, name) + data[start:end])

    def _end_header(self) -> None:
        self._headers.append((self._field.lower(), self._value))
        self._field = self._value = b""

    def _end_part(self) -> None:
        headers = dict(self._headers)
        kind, options = parse_options_header(headers.pop(b"content-disposition"))
        assert kind == b"form-data"
        file_name = options.get(b"filename")
        others = [(name.decode(), value.decode()) for name, value in headers.items()]
        self.parts.append(
            ParsedPart(
                options[b"name"].decode(),
                None if file_name is None else file_name.decode(),
                self._content,
                tuple(others),
            )
        )

    def _end(self) -> None:
        self.is_ended = True
