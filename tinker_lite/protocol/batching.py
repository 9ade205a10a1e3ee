"""Cutting a batch into chunks, and putting their results together again.

Chunks are filled greedily in order; one oversized example makes a chunk of its own (protocol 5.5).
Combining follows protocol section 5.6, with two departures that lose less: a metric whose name does
not hold exactly one colon is kept from the first chunk instead of failing the whole result, and an
unknown reduction is kept from the first chunk instead of being dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinker_lite.types import (
    Datum,
    DmelChunk,
    EncodedTextChunk,
    ForwardBackwardOutput,
    ImageAssetPointerChunk,
    ModelInput,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["chunked", "combine_outputs", "estimated_bytes", "reduce_metrics"]

TEXT_TOKEN_BYTES = 4  # int32 on the wire


def estimated_bytes(datum: Datum) -> int:
    """Bytes of one example as the chunk limit counts them."""
    tensors = sum(tensor.size_bytes for tensor in datum.loss_fn_inputs.values())
    return _input_bytes(datum.model_input) + tensors


def _input_bytes(model_input: ModelInput) -> int:
    total = 0
    for chunk in model_input.chunks:
        if isinstance(chunk, EncodedTextChunk):
            total += TEXT_TOKEN_BYTES * len(chunk.tokens)
        elif isinstance(chunk, ImageAssetPointerChunk):
            total += len(chunk.location)
        elif isinstance(chunk, DmelChunk):
            total += len(chunk.dmel)
        else:
            total += len(chunk.data)
    return total


def chunked(data: Sequence[Datum], *, max_len: int, max_bytes: int) -> list[list[Datum]]:
    """Split a batch in order into chunks of at most ``max_len`` examples and ``max_bytes`` bytes.

    Every chunk holds at least one example.
    """
    chunks: list[list[Datum]] = []
    size_bytes = 0
    for datum in data:
        bytes_here = estimated_bytes(datum)
        full = chunks and (size_bytes + bytes_here > max_bytes or len(chunks[-1]) >= max_len)
        if not chunks or full:
            chunks.append([])
            size_bytes = 0
        chunks[-1].append(datum)
        size_bytes += bytes_here
    return chunks


def combine_outputs(outputs: Sequence[ForwardBackwardOutput]) -> ForwardBackwardOutput:
    """One output from the outputs of all chunks, in chunk order."""
    weights = [len(output.loss_fn_outputs) for output in outputs]
    return ForwardBackwardOutput(
        loss_fn_output_type=outputs[0].loss_fn_output_type,
        loss_fn_outputs=[record for output in outputs for record in output.loss_fn_outputs],
        metrics=reduce_metrics([output.metrics for output in outputs], weights),
    )


def reduce_metrics(
    metrics: Sequence[Mapping[str, float]], weights: Sequence[int]
) -> dict[str, float]:
    """Reduce each metric over the chunks by the suffix of its name.

    Args:
        metrics: The metrics of each chunk.
        weights: How many outputs each chunk has, for weighted means.

    Returns:
        The metrics that every chunk has, reduced.
    """
    reduced: dict[str, float] = {}
    for name in metrics[0] if metrics else ():
        if any(name not in chunk for chunk in metrics):
            continue
        values = [chunk[name] for chunk in metrics]
        reduction = name.partition(":")[2]
        if reduction == "unique":
            reduced.update({_numbered(name, i): value for i, value in enumerate(values)})
        else:
            reduced[name] = _REDUCTIONS.get(reduction, _first)(values, weights)
    return reduced


def _numbered(name: str, i: int) -> str:
    return f"{name}_{i}" if i else name


def _first(values: Sequence[float], _weights: Sequence[int]) -> float:
    return values[0]


def _sum(values: Sequence[float], _weights: Sequence[int]) -> float:
    return sum(values)


def _mean(values: Sequence[float], weights: Sequence[int]) -> float:
    total = sum(weights)
    if total == 0:
        return values[0]
    return sum(w * x for w, x in zip(weights, values, strict=True)) / total


def _min(values: Sequence[float], _weights: Sequence[int]) -> float:
    return min(values)


def _max(values: Sequence[float], _weights: Sequence[int]) -> float:
    return max(values)


def _slack(values: Sequence[float], weights: Sequence[int]) -> float:
    return max(values) - _mean(values, weights)


def _hash2(values: Sequence[float], _weights: Sequence[int]) -> float:
    return sum(int(x) % 2**64 for x in values) % 2**64


_REDUCTIONS: dict[str, Callable[[Sequence[float], Sequence[int]], float]] = {
    "sum": _sum,
    "mean": _mean,
    "min": _min,
    "max": _max,
    "slack": _slack,
    "hash2": _hash2,
}
