"""The head of an answer: all that HTTP says of it but the body."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tinker_lite.engine.streaming import charset

if TYPE_CHECKING:
    from tinker_lite.engine.answer import Answer
    from tinker_lite.http import Headers

__all__ = ["ResponseHead", "check_hashable"]


def check_hashable(type_: Any) -> None:
    """Refuse a type that no decoder can be kept for.

    Raises:
        TypeError: It holds a mark that cannot be hashed.
    """
    try:
        hash(type_)
    except TypeError as error:
        raise TypeError(f"{type_!r} cannot be hashed; give it without such marks.") from error


class ResponseHead:
    """What both forms of an answer know without reading its body.

    Args:
        answer: The answer.
        type_: The type that its body is read as.

    Attributes:
        answer: The same.
        type_: The same.
    """

    def __init__(self, answer: Answer, type_: Any) -> None:
        self.answer = answer
        self.type_ = type_

    @property
    def status_code(self) -> int:
        """The HTTP status, a success."""
        return self.answer.head.status

    @property
    def status(self) -> int:
        """``status_code``, as the answers of transports call it."""
        return self.status_code

    @property
    def headers(self) -> Headers:
        """The response headers."""
        return self.answer.head.headers

    @property
    def url(self) -> str:
        """Where the answer came from, after redirects; with its query, so mind what you log."""
        return self.answer.call.url

    @property
    def method(self) -> str:
        """The method of the request that was answered."""
        return self.answer.call.method

    @property
    def http_version(self) -> str:
        """``"1.1"`` or ``"1.0"``."""
        return self.answer.head.http_version

    @property
    def elapsed_s(self) -> float:
        """Seconds from sending the attempt that was answered to the end of the body.

        While the body is unread, to the head.
        """
        return self.answer.body.elapsed_s

    @property
    def elapsed(self) -> timedelta:
        """``elapsed_s`` as a ``timedelta``."""
        return timedelta(seconds=self.elapsed_s)

    @property
    def retries_taken(self) -> int:
        """How many repeats it took."""
        return self.answer.head.n_retries

    @property
    def request_id(self) -> str | None:
        """The service's own name for the request, if it gave one (``x-request-id``)."""
        return self.headers.get("x-request-id")

    @property
    def is_closed(self) -> bool:
        """Whether the connection has been let go of."""
        return self.answer.body.is_closed

    def __repr__(self) -> str:
        name = getattr(self.type_, "__name__", str(self.type_))
        return f"<{type(self).__name__} [{self.status_code}] {self.answer.head.url} type={name}>"

    @property
    def encoding(self) -> str:
        """The character set of the body, by its headers; UTF-8 where they name none."""
        return charset(self.headers)
