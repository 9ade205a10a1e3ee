"""The messages of the protocol as data: protocol section 3.9, package ``tinker_public``, proto3.

A message is a tuple of fields; nothing else in this package knows a field's number. ``kind`` is a
scalar of the protobuf language, or the name of another message. Keys of maps are always strings.
No message contains itself, however deep, so nesting is bounded by this table.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal, TypeAlias

import msgspec

__all__ = ["MAX_MESSAGE_BYTES", "MESSAGES", "DType", "Field", "Kind", "Label", "Stop"]

# The format's own bound: implementations keep sizes in 32 bits with a sign.
MAX_MESSAGE_BYTES = 2**31 - 1

Kind: TypeAlias = str
Label = Literal["plain", "optional", "repeated", "map"]


class DType(IntEnum):
    """Element types of tensors on the wire."""

    UNSPECIFIED = 0
    FLOAT32 = 1
    INT64 = 2
    INT32 = 3
    BFLOAT16 = 4


class Stop(IntEnum):
    """Why a sequence ended, on the wire."""

    STOP = 0
    LENGTH = 1


class Field(msgspec.Struct, frozen=True):
    """One field of a message.

    Attributes:
        number: Its number on the wire.
        name: Its name, the key in a decoded message.
        kind: Type of its value, of its elements, or of a map's values.
        label: ``plain`` is left out when it has its default; ``optional`` is sent whenever it is
            there.
        oneof: Name of the group of which only the last one set is kept, or "".
    """

    number: int
    name: str
    kind: Kind
    label: Label = "plain"
    oneof: str = ""


def _optional(number: int, name: str, kind: Kind) -> Field:
    return Field(number, name, kind, "optional")


def _repeated(number: int, name: str, kind: Kind) -> Field:
    return Field(number, name, kind, "repeated")


def _map(number: int, name: str, kind: Kind) -> Field:
    return Field(number, name, kind, "map")


def _one_of(oneof: str, number: int, name: str, kind: Kind) -> Field:
    return Field(number, name, kind, "optional", oneof)


_SPAN = (
    Field(1, "sequence_id", "string"),
    Field(2, "offset", "int64"),
    Field(3, "length", "int64"),
)

MESSAGES: dict[str, tuple[Field, ...]] = {
    # The request of a training pass.
    "ForwardBackwardRequest": (
        Field(1, "model_id", "string"),
        Field(2, "seq_id", "int32"),
        _repeated(3, "data", "Datum"),
        Field(4, "loss_fn", "string"),
        _map(5, "loss_fn_config", "double"),
        Field(6, "forward_only", "bool"),
        _map(7, "loss_fn_config_v2", "LossConfigValue"),
    ),
    "LossConfigValue": (
        _one_of("value", 1, "number", "double"),
        _one_of("value", 2, "text", "string"),
    ),
    "Datum": (
        _repeated(1, "model_input", "Chunk"),
        _map(2, "loss_fn_inputs", "Tensor"),
        _repeated(3, "model_input_spans", "ProvenanceSpan"),
        _repeated(4, "loss_fn_input_spans", "ProvenanceSpan"),
    ),
    "ProvenanceSpan": (
        _one_of("span", 1, "prompt_tokens", "PromptProvenanceSpan"),
        _one_of("span", 2, "sampled_tokens", "SampledProvenanceSpan"),
    ),
    "PromptProvenanceSpan": _SPAN,
    "SampledProvenanceSpan": _SPAN,
    "Chunk": (
        _one_of("chunk", 1, "encoded_text", "EncodedTextChunk"),
        _one_of("chunk", 2, "image", "ImageChunk"),
        _one_of("chunk", 3, "dmel", "DmelChunk"),
    ),
    "EncodedTextChunk": (Field(1, "tokens", "bytes"),),  # int32
    "ImageChunk": (
        Field(1, "data", "bytes"),
        Field(2, "format", "string"),
        _optional(3, "expected_tokens", "int32"),
        _optional(4, "override_dimensions", "ImageDimensions"),
    ),
    "ImageDimensions": (Field(1, "width", "uint32"), Field(2, "height", "uint32")),
    "DmelChunk": (Field(1, "dmel", "bytes"),),
    # Tensors: every byte array is little-endian
    "Tensor": (
        _one_of("encoding", 1, "dense", "bytes"),
        _one_of("encoding", 2, "sparse_csr", "SparseCsr"),
        Field(3, "dtype", "enum"),
        _repeated(4, "shape", "int64"),
    ),
    "SparseCsr": (
        Field(1, "values", "bytes"),
        Field(2, "crow_indices", "bytes"),  # int64
        Field(3, "col_indices", "bytes"),  # int64
    ),
    # The result of a training pass.
    "ForwardBackwardOutput": (
        Field(1, "loss_fn_output_type", "string"),
        _repeated(2, "loss_fn_outputs", "ArrayRecord"),
        _map(3, "metrics", "double"),
    ),
    "ArrayRecord": (
        Field(1, "type_tag", "string"),
        _map(2, "fields", "BatchedTensor"),
        Field(3, "num_datums", "int64"),
    ),
    "BatchedTensor": (
        Field(1, "data", "bytes"),
        Field(2, "offsets", "bytes"),  # int64, in bytes; one more than there are datums
        Field(3, "dtype", "enum"),
        _repeated(4, "trailing_shape", "int64"),
    ),
    # Sampling.
    "SampleResponse": (
        _repeated(1, "sequences", "SampledSequence"),
        _optional(2, "prompt_logprobs", "bytes"),  # float32
        _optional(3, "topk_prompt_logprobs", "TopkLogprobs"),
        Field(4, "prompt_cache_hit_tokens", "int32"),
        _optional(5, "target_prompt_logprobs", "Tensor"),
        _optional(6, "prompt_alt_tokens", "PromptAltTokens"),
    ),
    "SampledSequence": (
        Field(1, "stop_reason", "enum"),
        Field(2, "tokens", "bytes"),  # int32
        _optional(3, "logprobs", "bytes"),  # float32
        _optional(4, "topk_sampled_logprobs", "TopkLogprobs"),
    ),
    "TopkLogprobs": (
        Field(1, "token_ids", "bytes"),  # int32, (length, k) row-major
        Field(2, "logprobs", "bytes"),  # float32, likewise
        Field(3, "k", "uint32"),
        Field(4, "length", "uint32"),
    ),
    "PromptAltTokens": (
        _optional(1, "tokens", "Tensor"),
        _optional(2, "logprobs", "Tensor"),
    ),
    "SamplingParams": (
        _optional(1, "max_tokens", "int32"),
        _optional(2, "seed", "uint64"),
        _optional(3, "temperature", "float"),
        _optional(4, "top_k", "int32"),
        _optional(5, "top_p", "float"),
        _one_of("stop", 6, "stop_strs", "StopStrings"),
        _one_of("stop", 7, "stop_tokens", "StopTokens"),
    ),
    "StopStrings": (_repeated(1, "values", "string"),),
    "StopTokens": (_repeated(1, "values", "int32"),),
}
