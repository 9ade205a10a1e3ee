"""What a sampling request asks about its prompt, answered from one pass (protocol section 2.10).

A score belongs to a token given those before it, so that the first has none. Lists have a place for
it, which is None; tensors begin with the second token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from msgspec.structs import replace

from tinker_lite.local.generation import top_rows
from tinker_lite.types import PromptAltTokens, TensorData

if TYPE_CHECKING:
    from tinker_lite.local.adapted import ModelSnapshot
    from tinker_lite.local.layers import FloatArray
    from tinker_lite.local.transformer import IntArray
    from tinker_lite.types import SampleRequest, SampleResponse

__all__ = ["check_scores", "with_prompt_scores"]

V = TypeVar("V")

_NUMBERS_OF_TOKENS = ("topk_prompt_logprobs", "topk_sample_logprobs", "prompt_alt_tokens_k")


def check_scores(request: SampleRequest, n_tokens: int, n_vocab: int) -> None:
    """Check what is asked about a prompt of ``n_tokens``, and about what follows it.

    Raises:
        ValueError: It cannot be answered; the text names the field.
    """
    for name in _NUMBERS_OF_TOKENS:
        if not 0 <= getattr(request, name) <= n_vocab:
            raise ValueError(f"{name}: must be 0 to {n_vocab}, got {getattr(request, name)}")
    last_n, targets = request.prompt_logprobs_last_n, request.target_prompt_logprobs
    if last_n is not None and last_n < 0:
        raise ValueError(f"prompt_logprobs_last_n: must be 0 or more, got {last_n}")
    if targets is not None:
        _check_targets(targets, n_tokens - 1, n_vocab)


def _check_targets(targets: TensorData, n_rows: int, n_vocab: int) -> None:
    shape = targets.shape or ()
    if targets.dtype != "int64" or len(shape) != 2 or shape[0] != n_rows:
        raise ValueError(
            f"target_prompt_logprobs: must be int64 with {n_rows} rows, one for each token of the "
            f"prompt but the first, got {targets.dtype} of shape {targets.shape}"
        )
    tokens = np.asarray(targets.buffer)
    if ((tokens < 0) | (tokens >= n_vocab)).any():
        raise ValueError(f"target_prompt_logprobs: holds a token that is not in 0 to {n_vocab - 1}")


def with_prompt_scores(
    response: SampleResponse, snapshot: ModelSnapshot, prompt: IntArray, request: SampleRequest
) -> SampleResponse:
    """Add the scores that the request asks for."""
    k, n_alternatives = request.topk_prompt_logprobs, request.prompt_alt_tokens_k
    targets, last_n = request.target_prompt_logprobs, request.prompt_logprobs_last_n
    if not (request.prompt_logprobs or k or n_alternatives or targets is not None):
        return response
    table = snapshot.score_prompt(prompt)
    own: list[float] = table[np.arange(len(table)), prompt[1:]].tolist()
    return replace(
        response,
        prompt_logprobs=_last(last_n, [None, *own]) if request.prompt_logprobs else None,
        topk_prompt_logprobs=_last(last_n, [None, *top_rows(table, k)]) if k else None,
        target_prompt_logprobs=None if targets is None else _target_logprobs(table, targets),
        prompt_alt_tokens=_alternatives(table, n_alternatives) if n_alternatives else None,
    )


def _last(n: int | None, values: list[V | None]) -> list[V | None]:
    """The values with all but the last n blanked, if n is given."""
    n_blank = 0 if n is None else max(0, len(values) - n)
    return [None] * n_blank + values[n_blank:]


def _target_logprobs(table: FloatArray, targets: TensorData) -> TensorData:
    """The log-probabilities of the target tokens, laid out as those are."""
    crow, col, shape = targets.sparse_crow_indices, targets.sparse_col_indices, targets.shape
    n_per_row = len(targets) // max(1, len(table)) if crow is None else np.diff(crow)
    rows = np.repeat(np.arange(len(table)), n_per_row)
    return TensorData(table[rows, np.asarray(targets.buffer)], "float32", shape, crow, col)


def _alternatives(table: FloatArray, k: int) -> PromptAltTokens:
    cells = np.array(top_rows(table, k), np.float64).reshape(len(table), k, 2)
    return PromptAltTokens(
        tokens=TensorData.from_numpy(cells[..., 0].astype(np.int64)),
        logprobs=TensorData.from_numpy(cells[..., 1]),
    )
