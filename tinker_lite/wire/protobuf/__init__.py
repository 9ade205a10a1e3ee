"""The protobuf messages of the protocol (section 3.9), without the protobuf package.

Four layers, each of which knows only what is below it:

* ``schema``: the messages as data.
* ``reader`` and ``writer``: any message of the schema between bytes and a dict of its fields.
* ``arrays``: runs of bytes as numbers and tensors, in place.
* ``requests``, ``outputs`` and ``sampling``: the structs that messages stand for.

What cannot be read is a ``DecodeError``, what cannot be written a ``ValueError``; the text of both
holds the path of the value. Nothing is copied on the way but token ids and other lists of Python
numbers.
"""

from __future__ import annotations

from tinker_lite.wire.protobuf.body import Body
from tinker_lite.wire.protobuf.outputs import (
    decode_forward_backward_output,
    encode_forward_backward_output,
)
from tinker_lite.wire.protobuf.reader import decode_message
from tinker_lite.wire.protobuf.requests import (
    decode_forward_backward_request,
    encode_forward_backward_request,
)
from tinker_lite.wire.protobuf.sampling import (
    decode_sample_response,
    decode_sampling_params,
    encode_sample_response,
    encode_sampling_params,
)
from tinker_lite.wire.protobuf.writer import encode_message

__all__ = [
    "Body",
    "decode_forward_backward_output",
    "decode_forward_backward_request",
    "decode_message",
    "decode_sample_response",
    "decode_sampling_params",
    "encode_forward_backward_output",
    "encode_forward_backward_request",
    "encode_message",
    "encode_sample_response",
    "encode_sampling_params",
]
