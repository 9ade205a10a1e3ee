"""Sampling in protobuf: ``SampleResponse`` and ``SamplingParams`` of protocol section 3.9."""

from __future__ import annotations

from math import isnan, nan
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from tinker_lite.types import (
    PromptAltTokens,
    SampledSequence,
    SampleResponse,
    SamplingParams,
    StopReason,
    UnknownValue,
)
from tinker_lite.wire.protobuf.arrays import floats, integers, packed, tensor_fields, tensor_from
from tinker_lite.wire.protobuf.faults import (
    Fault,
    Inside,
    each,
    failing_to_decode,
    failing_to_encode,
)
from tinker_lite.wire.protobuf.reader import decode_message
from tinker_lite.wire.protobuf.schema import DType, Stop
from tinker_lite.wire.protobuf.writer import encode_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinker_lite.types import TensorData
    from tinker_lite.types.topk_logprobs import TopkRows
    from tinker_lite.wire.protobuf.body import Body
    from tinker_lite.wire.protobuf.varints import Raw

__all__ = [
    "decode_sample_response",
    "decode_sampling_params",
    "encode_sample_response",
    "encode_sampling_params",
]

_NAME = "SampleResponse"
_PARAMS = ("max_tokens", "seed", "temperature", "top_k", "top_p")
_STOP_FIELDS = ("stop_strs", "stop_tokens")
_NO_BYTES = memoryview(b"")
# What fills a row of top-k tokens that has fewer than k, and a whole row where there are none.
_FILLER = (0, -99999.0)
_STOPS: dict[StopReason, Stop] = {"stop": Stop.STOP, "length": Stop.LENGTH}
_STOP_REASONS: dict[int, StopReason] = {stop: reason for reason, stop in _STOPS.items()}

_Message: TypeAlias = dict[str, Any]
_Row: TypeAlias = list[tuple[int, float]]


def encode_sample_response(response: SampleResponse) -> Body:
    """The message of a result. Names of sequences are not part of it.

    Raises:
        ValueError: A token or logprob does not fit; the text holds the path.
    """
    targets, alternatives = response.target_prompt_logprobs, response.prompt_alt_tokens
    with failing_to_encode(_NAME):
        with Inside(".sequences"):
            sequences = each(response.sequences, _sequence_fields)
        with Inside(".prompt_logprobs"):
            prompt = _optional_floats(response.prompt_logprobs)
        with Inside(".topk_prompt_logprobs"):
            topk = _topk_fields(response.topk_prompt_logprobs)
        with Inside(".prompt_alt_tokens"):
            alternative_fields = None if alternatives is None else _alt_fields(alternatives)
    fields = {
        "sequences": sequences,
        "prompt_logprobs": prompt,
        "topk_prompt_logprobs": topk,
        "prompt_cache_hit_tokens": response.prompt_cache_hit_tokens,
        "target_prompt_logprobs": None if targets is None else tensor_fields(targets),
        "prompt_alt_tokens": alternative_fields,
    }
    return encode_message(_NAME, fields)


def _sequence_fields(sequence: SampledSequence) -> _Message:
    with Inside(".tokens"):
        tokens = packed(sequence.tokens, "i")
    with Inside(".logprobs"):
        logprobs = None if sequence.logprobs is None else packed(sequence.logprobs, "f")
    with Inside(".topk_sampled_logprobs"):
        topk = _topk_fields(sequence.topk_logprobs)
    return {
        "stop_reason": _stop(sequence.stop_reason),
        "tokens": tokens,
        "logprobs": logprobs,
        "topk_sampled_logprobs": topk,
    }


def _stop(reason: StopReason) -> int:
    if reason in _STOPS:
        return _STOPS[reason]
    if isinstance(reason, UnknownValue) and reason.removeprefix("-").isdecimal():
        return int(reason)  # as it was read
    raise Fault(f"{reason!r} is not known", ".stop_reason")


def _optional_floats(values: Sequence[float | None] | None) -> bytes | None:
    if values is None:
        return None
    return packed([nan if value is None else value for value in values], "f")


def _topk_fields(rows: TopkRows | None) -> _Message | None:
    if rows is None:
        return None
    # At least one cell, since a table of no columns is read as no table.
    k = max([1, *(len(row or ()) for row in rows)])
    cells = [cell for row in rows for cell in (*(row or ()), *[_FILLER] * (k - len(row or ())))]
    with Inside(".token_ids"):
        tokens = packed([token for token, _ in cells], "i")
    with Inside(".logprobs"):
        logprobs = packed([logprob for _, logprob in cells], "f")
    return {"token_ids": tokens, "logprobs": logprobs, "k": k, "length": len(rows)}


def _alt_fields(alternatives: PromptAltTokens) -> _Message:
    tokens = alternatives.tokens.to_dense()
    with Inside(".tokens"):  # the only tensor that is int32 on the wire
        dense = packed(tokens.data, "i")
    return {
        "tokens": {"dense": dense, "dtype": DType.INT32, "shape": tokens.shape},
        "logprobs": tensor_fields(alternatives.logprobs.to_dense()),
    }


def decode_sample_response(raw: Raw) -> SampleResponse:
    """Read a result; its sequences have no names yet (they came with the submission).

    Token ids and logprobs become lists, each in one call. Tensors are views of ``raw`` as far as
    ``tensor_from`` says, so that it must not change afterwards.

    Raises:
        DecodeError: The bytes are no such result; the text holds the path of the wrong value.
    """
    message = decode_message(_NAME, raw)
    with failing_to_decode(_NAME):
        with Inside(".sequences"):
            sequences = each(message.get("sequences", []), _sequence_from)
        with Inside(".prompt_logprobs"):
            prompt = floats(message.get("prompt_logprobs", _NO_BYTES))
        with Inside(".topk_prompt_logprobs"):
            topk = _topk_from(message.get("topk_prompt_logprobs", {}))
        targets = _tensor_from(message, "target_prompt_logprobs")
        alternatives = _alt_from(message.get("prompt_alt_tokens", {}))
    return SampleResponse(
        sequences=sequences,
        # NaN stands for a token that has none.
        prompt_logprobs=[None if isnan(value) else value for value in prompt] or None,
        topk_prompt_logprobs=topk,
        target_prompt_logprobs=targets,
        prompt_alt_tokens=alternatives,
        prompt_cache_hit_tokens=message.get("prompt_cache_hit_tokens", 0),
    )


def _sequence_from(fields: _Message) -> SampledSequence:
    stop = fields.get("stop_reason", Stop.STOP)
    unknown = cast("StopReason", UnknownValue(stop))
    with Inside(".tokens"):
        tokens = integers(fields.get("tokens", _NO_BYTES), "i")
    with Inside(".logprobs"):
        logprobs = floats(fields.get("logprobs", _NO_BYTES))
    with Inside(".topk_sampled_logprobs"):
        topk = _topk_from(fields.get("topk_sampled_logprobs", {}))
    return SampledSequence(
        stop_reason=_STOP_REASONS.get(stop, unknown),
        tokens=tokens,
        logprobs=logprobs or None,
        topk_logprobs=topk,
    )


def _topk_from(fields: _Message) -> TopkRows | None:
    k, n_rows = fields.get("k", 0), fields.get("length", 0)
    with Inside(".token_ids"):
        tokens = integers(fields.get("token_ids", _NO_BYTES), "i")
    with Inside(".logprobs"):
        logprobs = floats(fields.get("logprobs", _NO_BYTES))
    if k == 0 or n_rows == 0:
        return None
    if not len(tokens) == len(logprobs) == k * n_rows:
        n_cells = f"{len(tokens)} tokens and {len(logprobs)} logprobs"
        raise Fault(f"{n_cells} do not make {n_rows} rows of {k}")
    cells = list(zip(tokens, logprobs, strict=True))
    return [_row(cells[i : i + k]) for i in range(0, len(cells), k)]


def _row(cells: _Row) -> _Row | None:
    if cells[0] == _FILLER:
        return None
    while cells[-1] == _FILLER:
        cells.pop()
    return cells


def _tensor_from(fields: _Message, name: str) -> TensorData | None:
    """The tensor under a name, or None; an empty message is none, as with the other fields."""
    with Inside(f".{name}"):
        return tensor_from(fields[name]) if fields.get(name) else None


def _alt_from(fields: _Message) -> PromptAltTokens | None:
    with Inside(".prompt_alt_tokens"):
        tokens, logprobs = (_tensor_from(fields, name) for name in ("tokens", "logprobs"))
        if tokens is None and logprobs is None:
            return None
        if tokens is None or logprobs is None:
            raise Fault("has tokens or logprobs, but not both")
        return PromptAltTokens(tokens=tokens, logprobs=logprobs)


def encode_sampling_params(params: SamplingParams) -> Body:
    """The message of sampling settings; a single stop text becomes a list of one.

    Raises:
        ValueError: A value does not fit its field; the text holds the path.
    """
    fields: _Message = {name: getattr(params, name) for name in _PARAMS}
    stop = [params.stop] if isinstance(params.stop, str) else params.stop
    if stop is not None:
        is_texts = not stop or isinstance(stop[0], str)
        fields[_STOP_FIELDS[0 if is_texts else 1]] = {"values": stop}
    return encode_message("SamplingParams", fields)


def decode_sampling_params(raw: Raw) -> SamplingParams:
    """Read sampling settings; those that are absent get their defaults.

    Raises:
        DecodeError: The bytes are no such message; the text holds the path of the wrong value.
    """
    message = decode_message("SamplingParams", raw)
    # Of a oneof there is one member at most.
    stops: list[_Message] = [message.pop(name) for name in _STOP_FIELDS if name in message]
    return SamplingParams(stop=stops[0].get("values", []) if stops else None, **message)
