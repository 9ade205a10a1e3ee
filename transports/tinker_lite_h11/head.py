"""The heads of requests, written here, and those of answers, read by h11."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h11

from tinker_lite.attempt import BadAnswer, HeadTooLarge

if TYPE_CHECKING:
    from tinker_lite.framing import RequestFraming

__all__ = ["HeadReader", "request_head"]

MAX_INTERIM_ANSWERS = 100  # 1xx before the final answer; more is an attack or a loop
SWITCHING_PROTOCOLS = 101
HEADERS_TOO_LARGE = 431  # what h11 says with "Receive buffer too long"
_ANY_HOST = [(b"Host", b"any")]


def request_head(method: str, target: str, framing: RequestFraming) -> bytes:
    """A request's head; ``HeadReader`` looks at the method, ``parse_target`` at the target."""
    lines = [f"{method} {target} HTTP/1.1\r\n"]
    lines.extend(f"{name}: {value}\r\n" for name, value in framing.headers)
    lines.append("\r\n")
    return "".join(lines).encode("latin-1")


class HeadReader:
    """One request's h11 state, so that nothing of one exchange can reach the next.

    Args:
        method: The request's method, all that h11 must know of it to read the answer.
        max_bytes: Largest answer head, interim ones included.

    Attributes:
        machine: The state.
        answer: The final answer, once its head is in.

    Raises:
        h11.LocalProtocolError: The method is none.
    """

    __slots__ = ("_max_bytes", "_n_interim", "_n_received", "answer", "machine")

    def __init__(self, method: str, max_bytes: int) -> None:
        self.machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=max_bytes)
        self.machine.send(h11.Request(method=method, target=b"/", headers=_ANY_HOST))
        self.answer: h11.Response | None = None
        self._max_bytes = max_bytes
        self._n_received = 0
        self._n_interim = 0

    @property
    def rest(self) -> bytes:
        """What came behind the head."""
        return self.machine.trailing_data[0]

    def feed(self, data: bytes) -> None:
        """Take bytes of the peer; those behind the head are left.

        Raises:
            BadAnswer: This is not HTTP/1.1, or there are too many interim answers.
            HeadTooLarge: The heads are larger than allowed.
        """
        self._n_received += len(data)
        self.machine.receive_data(data)
        try:
            self._advance()
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == HEADERS_TOO_LARGE:
                raise HeadTooLarge from error
            raise BadAnswer(str(error)) from error
        if self.answer is not None and self._n_received - len(self.rest) > self._max_bytes:
            raise HeadTooLarge

    def _advance(self) -> None:
        while self.answer is None:
            event = self.machine.next_event()
            if isinstance(event, h11.Response):
                self.answer = _checked(event)
            elif isinstance(event, h11.InformationalResponse):
                self._count_interim(event)
            else:
                return

    def _count_interim(self, answer: h11.InformationalResponse) -> None:
        if answer.status_code == SWITCHING_PROTOCOLS:
            raise BadAnswer("it switches to another protocol")
        self._n_interim += 1
        if self._n_interim > MAX_INTERIM_ANSWERS:
            raise BadAnswer(f"more than {MAX_INTERIM_ANSWERS} interim answers came")


def _checked(answer: h11.Response) -> h11.Response:
    if not answer.http_version.startswith(b"1."):  # h11 takes any digit
        raise BadAnswer(f"the answer is in HTTP/{answer.http_version.decode('ascii')}")
    return answer
