"""The protocol's messages in the protobuf package, built from their definition at run time.

The text below was written from protocol section 3.9 and owes nothing to our own schema, so that a
slip in either shows as a difference between the two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

PROTO = """
enum StopReason { STOP = 0; LENGTH = 1; }
enum DType { UNSPECIFIED = 0; FLOAT32 = 1; INT64 = 2; INT32 = 3; BFLOAT16 = 4; }
message ForwardBackwardRequest {
  string model_id = 1; int32 seq_id = 2; repeated Datum data = 3; string loss_fn = 4;
  map<string,double> loss_fn_config = 5; bool forward_only = 6;
  map<string,LossConfigValue> loss_fn_config_v2 = 7;
}
message LossConfigValue { oneof:value double number = 1; oneof:value string text = 2; }
message Datum {
  repeated Chunk model_input = 1; map<string,Tensor> loss_fn_inputs = 2;
  repeated ProvenanceSpan model_input_spans = 3; repeated ProvenanceSpan loss_fn_input_spans = 4;
}
message ProvenanceSpan {
  oneof:span PromptProvenanceSpan prompt_tokens = 1;
  oneof:span SampledProvenanceSpan sampled_tokens = 2;
}
message PromptProvenanceSpan { string sequence_id = 1; int64 offset = 2; int64 length = 3; }
message SampledProvenanceSpan { string sequence_id = 1; int64 offset = 2; int64 length = 3; }
message Chunk {
  oneof:chunk EncodedTextChunk encoded_text = 1; oneof:chunk ImageChunk image = 2;
  oneof:chunk DmelChunk dmel = 3;
}
message EncodedTextChunk { bytes tokens = 1; }
message ImageChunk {
  bytes data = 1; string format = 2; optional int32 expected_tokens = 3;
  optional ImageDimensions override_dimensions = 4;
}
message ImageDimensions { uint32 width = 1; uint32 height = 2; }
message DmelChunk { bytes dmel = 1; }
message Tensor {
  oneof:encoding bytes dense = 1; oneof:encoding SparseCsr sparse_csr = 2; DType dtype = 3;
  repeated int64 shape = 4;
}
message SparseCsr { bytes values = 1; bytes crow_indices = 2; bytes col_indices = 3; }
message ForwardBackwardOutput {
  string loss_fn_output_type = 1; repeated ArrayRecord loss_fn_outputs = 2;
  map<string,double> metrics = 3;
}
message ArrayRecord {
  string type_tag = 1; map<string,BatchedTensor> fields = 2; int64 num_datums = 3;
}
message BatchedTensor {
  bytes data = 1; bytes offsets = 2; DType dtype = 3; repeated int64 trailing_shape = 4;
}
message SampleResponse {
  repeated SampledSequence sequences = 1; optional bytes prompt_logprobs = 2;
  optional TopkLogprobs topk_prompt_logprobs = 3; int32 prompt_cache_hit_tokens = 4;
  optional Tensor target_prompt_logprobs = 5; optional PromptAltTokens prompt_alt_tokens = 6;
}
message SampledSequence {
  StopReason stop_reason = 1; bytes tokens = 2; optional bytes logprobs = 3;
  optional TopkLogprobs topk_sampled_logprobs = 4;
}
message TopkLogprobs { bytes token_ids = 1; bytes logprobs = 2; uint32 k = 3; uint32 length = 4; }
message PromptAltTokens { Tensor tokens = 1; Tensor logprobs = 2; }
message SamplingParams {
  optional int32 max_tokens = 1; optional uint64 seed = 2; optional float temperature = 3;
  optional int32 top_k = 4; optional float top_p = 5; oneof:stop StopStrings stop_strs = 6;
  oneof:stop StopTokens stop_tokens = 7;
}
message StopStrings { repeated string values = 1; }
message StopTokens { repeated int32 values = 1; }
"""

_PACKAGE = "tinker_public"
_BLOCK = re.compile(r"(enum|message) (\w+) \{(.*?)\}", re.DOTALL)
_FIELD = re.compile(r"(?:(repeated|optional|oneof:\w+) )?([\w<>,]+) (\w+) = (\d+);")
_F = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _F.TYPE_STRING,
    "bytes": _F.TYPE_BYTES,
    "bool": _F.TYPE_BOOL,
    "int32": _F.TYPE_INT32,
    "int64": _F.TYPE_INT64,
    "uint32": _F.TYPE_UINT32,
    "uint64": _F.TYPE_UINT64,
    "float": _F.TYPE_FLOAT,
    "double": _F.TYPE_DOUBLE,
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package=_PACKAGE, syntax="proto3")
    for kind, name, block in _BLOCK.findall(PROTO):
        if kind == "enum":
            enum = file.enum_type.add(name=name)
            for word, number in re.findall(r"(\w+) = (\d+)", block):
                # Values of an enum share one name space with those of the others.
                enum.value.add(name=f"{name}_{word}", number=int(number))
        else:
            _add_message(file.message_type.add(name=name), block)
    return file


def _add_message(message: descriptor_pb2.DescriptorProto, block: str) -> None:
    fields = _FIELD.findall(block)
    real = dict.fromkeys(label[6:] for label, *_ in fields if label.startswith("oneof:"))
    optional = [f"_{name}" for label, _, name, _ in fields if label == "optional"]
    oneofs = [*real, *optional]  # an optional field is a oneof of its own, after the real ones
    for name in oneofs:
        message.oneof_decl.add(name=name)
    for label, type_, name, number in fields:
        field = message.field.add(name=name, number=int(number), label=_F.LABEL_OPTIONAL)
        if label == "repeated":
            field.label = _F.LABEL_REPEATED
        elif label == "optional":
            field.proto3_optional = True
            field.oneof_index = oneofs.index(f"_{name}")
        elif label:
            field.oneof_index = oneofs.index(label[6:])
        _set_type(message, field, type_)


def _set_type(
    message: descriptor_pb2.DescriptorProto, field: descriptor_pb2.FieldDescriptorProto, type_: str
) -> None:
    if type_.startswith("map<"):
        words = [word.capitalize() for word in field.name.split("_")]
        entry = message.nested_type.add(name="".join([*words, "Entry"]))
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, label=_F.LABEL_OPTIONAL, type=_F.TYPE_STRING)
        value = entry.field.add(name="value", number=2, label=_F.LABEL_OPTIONAL)
        _set_type(message, value, type_[11:-1])
        field.label = _F.LABEL_REPEATED
        field.type, field.type_name = _F.TYPE_MESSAGE, f".{_PACKAGE}.{message.name}.{entry.name}"
    elif type_ in _SCALARS:
        field.type = _SCALARS[type_]
    else:
        is_enum = type_ in {"DType", "StopReason"}
        field.type = _F.TYPE_ENUM if is_enum else _F.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{type_}"


_POOL = descriptor_pool.DescriptorPool()
_POOL.AddSerializedFile(_file().SerializeToString())
NAMES = [name for kind, name, _ in _BLOCK.findall(PROTO) if kind == "message"]


def foreign(name: str, fields: Mapping[str, Any] | None = None) -> Message:
    """A message of the protobuf package, with some fields set."""
    message = message_factory.GetMessageClass(_descriptor(name))()
    _fill(message, fields or {})
    return message


def _descriptor(name: str) -> Descriptor:
    found: Descriptor = _POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}")
    return found


def _fill(message: Any, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        field = message.DESCRIPTOR.fields_by_name[name]
        held = getattr(message, name)
        if entry := _entry(field):
            _fill_map(held, value, holds_messages=bool(entry.fields_by_name["value"].message_type))
        elif not field.message_type:
            _set_numbers(message, field, value)
        elif field.is_repeated:
            for item in value:
                _fill(held.add(), item)
        else:
            held.SetInParent()
            _fill(held, value)


def _set_numbers(message: Any, field: FieldDescriptor, value: Any) -> None:
    if field.is_repeated:
        getattr(message, field.name).extend(value)
    else:
        setattr(message, field.name, value)


def _fill_map(held: Any, items: Mapping[str, Any], *, holds_messages: bool) -> None:
    for key, item in items.items():
        if holds_messages:
            _fill(held[key], item)
        else:
            held[key] = item


def _entry(field: FieldDescriptor) -> Descriptor | None:
    """The message of a map's entries; None for any other field."""
    message = field.message_type
    return message if message and message.GetOptions().map_entry else None


# Values

_NUMBERS = {
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_ENUM: st.integers(0, 4) | st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_FLOAT: st.floats(width=32, allow_nan=False),
    FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False),
    FieldDescriptor.TYPE_STRING: st.text(max_size=4),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=9),
}


@st.composite
def messages(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """The fields of a message: those set, without plain ones that have their default."""
    fields: dict[str, Any] = {}
    taken: set[str] = set()
    for field in _descriptor(name).fields:
        oneof = field.containing_oneof
        if not draw(st.booleans()) or (oneof and oneof.name in taken):
            continue
        taken |= {oneof.name} if oneof else set()
        value = draw(_values(field))
        if value or field.has_presence:
            fields[field.name] = value
    return fields


def _values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if entry := _entry(field):
        values = _elements(entry.fields_by_name["value"])
        return st.dictionaries(st.text(max_size=4), values, max_size=2)
    return st.lists(_elements(field), max_size=3) if field.is_repeated else _elements(field)


def _elements(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    return messages(field.message_type.name) if field.message_type else _NUMBERS[field.type]
