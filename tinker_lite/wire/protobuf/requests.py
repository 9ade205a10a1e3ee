"""The request of a training pass: ``ForwardBackwardRequest`` of protocol section 3.9.

``/forward`` has no message of its own: it is this one with ``forward_only``. Both directions, since
the embedded service reads what the client writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import structs

from tinker_lite.types import (
    Datum,
    DmelChunk,
    EncodedTextChunk,
    ForwardBackwardInput,
    ForwardBackwardRequest,
    ForwardRequest,
    ImageAssetPointerChunk,
    ImageChunk,
    ModelInput,
    ModelInputChunk,
    PromptProvenanceSpan,
    SampledProvenanceSpan,
)
from tinker_lite.wire.protobuf.arrays import integers, packed, tensor_fields, tensor_from
from tinker_lite.wire.protobuf.faults import (
    Fault,
    Inside,
    each,
    each_entry,
    failing_to_decode,
    failing_to_encode,
)
from tinker_lite.wire.protobuf.reader import decode_message
from tinker_lite.wire.protobuf.writer import encode_message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinker_lite.types.provenance import ProvenanceSpans
    from tinker_lite.wire.protobuf.body import Body
    from tinker_lite.wire.protobuf.varints import Raw

__all__ = ["decode_forward_backward_request", "encode_forward_backward_request"]

_NAME = "ForwardBackwardRequest"
_NO_BYTES = memoryview(b"")

_Message: TypeAlias = dict[str, Any]
_Setting: TypeAlias = float | str
_Span: TypeAlias = PromptProvenanceSpan | SampledProvenanceSpan

_SPANS: dict[str, type[_Span]] = {
    "prompt_tokens": PromptProvenanceSpan,
    "sampled_tokens": SampledProvenanceSpan,
}


def encode_forward_backward_request(request: ForwardBackwardRequest | ForwardRequest) -> Body:
    """The body of a pass; a ``ForwardRequest`` becomes one that is forward only.

    Values of tensors are referenced, token ids are packed into arrays.

    Raises:
        ValueError: A value does not fit its field, or a chunk only points to a picture, for which
            the message has no form; the text holds the path.
    """
    if isinstance(request, ForwardRequest):
        passed = request.forward_input
    else:
        passed = request.forward_backward_input
    settings = passed.loss_fn_config or {}
    with failing_to_encode(_NAME), Inside(".data"):
        data = each(passed.data, _datum_fields)
    return encode_message(
        _NAME,
        {
            "model_id": request.model_id,
            "seq_id": request.seq_id,
            "data": data,
            "loss_fn": passed.loss_fn,
            # Servers that do not know field 7 read the numbers here.
            "loss_fn_config": {k: v for k, v in settings.items() if not isinstance(v, str)},
            "forward_only": isinstance(request, ForwardRequest),
            "loss_fn_config_v2": {key: _setting(value) for key, value in settings.items()},
        },
    )


def _setting(value: _Setting) -> _Message:
    return {"text" if isinstance(value, str) else "number": value}


def _datum_fields(datum: Datum) -> _Message:
    with Inside(".model_input"):
        chunks = each(datum.model_input.chunks, _chunk_fields)
    inputs = {name: tensor_fields(tensor) for name, tensor in datum.loss_fn_inputs.items()}
    return {
        "model_input": chunks,
        "loss_fn_inputs": inputs,
        "model_input_spans": _spans_fields(datum.model_input_spans),
        "loss_fn_input_spans": _spans_fields(datum.loss_fn_input_spans),
    }


def _spans_fields(spans: ProvenanceSpans | None) -> list[_Message]:
    return [
        {name: structs.asdict(span)}
        for span in spans or ()
        for name, kind in _SPANS.items()
        if isinstance(span, kind)
    ]


def _chunk_fields(chunk: ModelInputChunk) -> _Message:
    if isinstance(chunk, EncodedTextChunk):
        with Inside(".encoded_text.tokens"):
            return {"encoded_text": {"tokens": packed(chunk.tokens, "i")}}
    if isinstance(chunk, ImageAssetPointerChunk):
        raise Fault("a pointer to a picture cannot be trained on; give the picture itself")
    if isinstance(chunk, DmelChunk):
        return {"dmel": {"dmel": chunk.dmel}}
    image = {
        "data": chunk.data,
        "format": chunk.format,
        "expected_tokens": chunk.expected_tokens,
    }
    return {"image": image}


def decode_forward_backward_request(raw: Raw) -> ForwardBackwardRequest | ForwardRequest:
    """Read the body of a pass; one that is forward only gives a ``ForwardRequest``.

    Dense float32 and int64 tensors are views of ``raw``, which must not change afterwards. Of
    pictures the dimensions that override their own are not kept: no struct has them.

    Raises:
        DecodeError: The bytes are no such request; the text holds the path of the wrong value.
    """
    message = decode_message(_NAME, raw)
    with failing_to_decode(_NAME):
        passed = _input_from(message)
    model_id, seq_id = message.get("model_id", ""), message.get("seq_id") or None
    if message.get("forward_only"):
        return ForwardRequest(forward_input=passed, model_id=model_id, seq_id=seq_id)
    return ForwardBackwardRequest(forward_backward_input=passed, model_id=model_id, seq_id=seq_id)


def _input_from(message: _Message) -> ForwardBackwardInput:
    with Inside(".data"):
        data = each(message.get("data", []), _datum_from)
    with Inside(".loss_fn_config_v2"):
        settings = each_entry(message.get("loss_fn_config_v2", {}), _setting_from)
    legacy: Mapping[str, _Setting] = message.get("loss_fn_config", {})
    return ForwardBackwardInput(
        data=data,
        loss_fn=message.get("loss_fn", ""),
        loss_fn_config={**legacy, **settings} or None,
    )


def _setting_from(fields: _Message) -> _Setting:
    # Of a oneof there is one member at most.
    value: _Setting | None = next(iter(fields.values()), None)
    if value is None:
        raise Fault("has neither number nor text")
    return value


def _datum_from(fields: _Message) -> Datum:
    with Inside(".model_input"):
        chunks = each(fields.get("model_input", []), _chunk_from)
    with Inside(".loss_fn_inputs"):
        tensors = each_entry(fields.get("loss_fn_inputs", {}), tensor_from)
    spans = [_spans_from(fields, name) for name in ("model_input_spans", "loss_fn_input_spans")]
    try:
        # An empty list does not show on the wire, so that one there makes the other one empty.
        return Datum(ModelInput(chunks=chunks), tensors, *(spans if any(spans) else ()))
    except ValueError as error:
        raise Fault(str(error).rstrip(".")) from None


def _spans_from(fields: _Message, name: str) -> ProvenanceSpans:
    with Inside(f".{name}"):
        return each(fields.get(name, []), _span_from)


def _span_from(fields: _Message) -> _Span:
    if not fields:
        raise Fault("has neither prompt_tokens nor sampled_tokens")
    [name] = fields  # of a oneof there is one member at most
    span: _Message = {"sequence_id": "", "length": 0, **fields[name]}
    try:
        return _SPANS[name](**span)
    except ValueError as error:
        raise Fault(str(error).rstrip("."), f".{name}") from None


def _chunk_from(fields: _Message) -> ModelInputChunk:
    if "encoded_text" in fields:
        with Inside(".encoded_text.tokens"):
            tokens = integers(fields["encoded_text"].get("tokens", _NO_BYTES), "i")
        return EncodedTextChunk(tokens=tokens)
    if "image" in fields:
        return _image_from(fields["image"])
    if "dmel" in fields:
        return DmelChunk(dmel=bytes(fields["dmel"].get("dmel", _NO_BYTES)))
    raise Fault(f"is of no kind that is known here: {', '.join(fields) or 'empty'}")


def _image_from(fields: _Message) -> ImageChunk:
    try:
        return ImageChunk(
            data=bytes(fields.get("data", b"")),
            format=fields.get("format", ""),
            expected_tokens=fields.get("expected_tokens"),
        )
    except ValueError as error:
        raise Fault(str(error).rstrip("."), ".image.format") from None
