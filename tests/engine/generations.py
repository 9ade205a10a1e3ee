"""A server of any generation: which forms of passes it takes, and of results it gives."""

from __future__ import annotations

import tinker_lite as tl
from tests.engine.scripted import ScriptedService, path_of, refusal
from tinker_lite.http import Request
from tinker_lite.testing import FakeReply
from tinker_lite.types import ForwardBackwardRequest
from tinker_lite.wire.json import decode_json
from tinker_lite.wire.protobuf import (
    decode_forward_backward_request,
    encode_forward_backward_output,
    encode_sample_response,
)

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
PASSES = ("/forward", "/forward_backward")


def form_of(request: Request) -> str:
    """The form of a request's body."""
    content_type = request.headers.get("content-type", "")
    return {PROTOBUF: "protobuf", JSON: "json"}[content_type]


class Generation(ScriptedService):
    """A server that takes passes in some forms, and gives results in some.

    Args:
        takes: The forms that it takes.
        refusal_status: How it answers the others.
        gives: The form of results that may be protobuf.
    """

    def __init__(self, *takes: str, refusal_status: int = 415, gives: str = "protobuf") -> None:
        super().__init__()
        self.takes, self.refusal_status, self.gives = takes, refusal_status, gives

    def answer(self, request: Request) -> FakeReply:
        """Refuse a form that is not known; otherwise answer plainly."""
        path = path_of(request)
        if path in PASSES and form_of(request) not in self.takes:
            return refusal(self.refusal_status, f"no {form_of(request)} here")
        reply = super().answer(request)
        wants_protobuf = request.headers.get("accept") == PROTOBUF
        if path == "/retrieve_future" and wants_protobuf and self.gives == "protobuf":
            return in_protobuf(reply)
        return reply

    def passes(self) -> list[Request]:
        """The passes that came, in order."""
        return [request for request in self.requests if path_of(request) in PASSES]

    def forms(self) -> list[str]:
        """Their forms."""
        return [*map(form_of, self.passes())]

    def accepted(self, *kinds: str) -> list[str | None]:
        """What the polls for these kinds of results asked for."""
        polls = self.to("/retrieve_future")
        wanted = [p for p in polls if p.headers.get("x-tinker-request-type") in kinds]
        return [poll.headers.get("accept") for poll in wanted]


def in_protobuf(reply: FakeReply) -> FakeReply:
    """The same answer as protobuf."""
    raw = reply.encoded()[1]
    if b"sequences" in raw:
        body = encode_sample_response(decode_json(raw, tl.SampleResponse))
    else:
        body = encode_forward_backward_output(decode_json(raw, tl.ForwardBackwardOutput))
    return FakeReply(bytes(body), headers=(("Content-Type", PROTOBUF),))


def read_pass(raw: bytes) -> ForwardBackwardRequest:
    """A pass with gradients from its message."""
    request = decode_forward_backward_request(raw)
    assert isinstance(request, ForwardBackwardRequest)
    return request
