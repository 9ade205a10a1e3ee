"""Sampling: parameters, request and result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

from tinker_lite.types._base import Wire, short_repr
from tinker_lite.types.answers import Answer, Open
from tinker_lite.types.model_input import ModelInput
from tinker_lite.types.reading import read_fields
from tinker_lite.types.tensor_data import TensorData
from tinker_lite.types.topk_logprobs import TopkLogprobs, TopkRows

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "PromptAltTokens",
    "SampleRequest",
    "SampleResponse",
    "SampledSequence",
    "SamplingParams",
    "StopReason",
]

StopReason = Literal["length", "stop"]

_PARAMS = ("max_tokens", "seed", "stop", "temperature", "top_k", "top_p")


class SamplingParams:
    """How to sample.

    Args:
        max_tokens: Most tokens to sample; None leaves it to the service.
        seed: Seed of the random numbers; None means a fresh one.
        stop: Where to stop: a text, several texts, or token ids. None means the model's end of
            text; an empty list means nowhere.
        temperature: Divides the logits; 0 takes the likeliest token.
        top_k: Only the k likeliest tokens; -1 is off.
        top_p: Only the likeliest tokens that together have this probability; 1 is off.
        unknown: Ignored, with no error, since callers pass settings of other services.

    Raises:
        TypeError: ``stop`` is something else, or mixes texts and token ids.

    Source: protocol section 3.4.
    """

    __slots__ = _PARAMS

    max_tokens: int | None
    seed: int | None
    stop: str | Sequence[str] | Sequence[int] | None
    temperature: float
    top_k: int
    top_p: float

    def __init__(
        self,
        *,
        max_tokens: int | None = None,
        seed: int | None = None,
        stop: str | Sequence[str] | Sequence[int] | None = None,
        temperature: float = 1.0,
        top_k: int = -1,
        top_p: float = 1.0,
        **unknown: object,
    ) -> None:
        del unknown
        given = (max_tokens, seed, _checked_stop(stop), _real(temperature), top_k, _real(top_p))
        for name, value in zip(_PARAMS, given, strict=True):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: a queued request still has to send these."""
        raise AttributeError(f"SamplingParams.{name} cannot be changed; make a new SamplingParams.")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy through the constructor, since nothing else may set a field."""
        fields: dict[str, Any] = self.to_wire()
        return partial(SamplingParams, **fields), ()

    def to_wire(self) -> dict[str, object]:
        """The JSON form; fields that are None are left out, an empty ``stop`` is sent."""
        fields = {name: getattr(self, name) for name in _PARAMS}
        return {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def from_wire(cls, fields: dict[str, Any]) -> SamplingParams:
        """Read the JSON form; unknown fields and nulls are ignored.

        Raises:
            ValueError: A field has the wrong type.
        """
        given = {name: value for name, value in fields.items() if value is not None}
        checked = read_fields(given, _SamplingFields)
        return cls(**{n: getattr(checked, n) for n in _PARAMS})

    def __eq__(self, other: object) -> bool:
        """Equal if all fields are."""
        if not isinstance(other, SamplingParams):
            return NotImplemented
        return self.to_wire() == other.to_wire()

    def __hash__(self) -> int:
        """Hash of the fields; a list under ``stop`` cannot be hashed."""
        return hash(tuple(getattr(self, name) for name in _PARAMS))

    def __repr__(self) -> str:
        """All fields."""
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in _PARAMS)
        return f"SamplingParams({fields})"


class _SamplingFields(Wire, frozen=True, kw_only=True):
    max_tokens: int | None = None
    seed: int | None = None
    stop: str | list[str | int] | None = None
    temperature: float = 1.0
    top_k: int = -1
    top_p: float = 1.0


def _real(value: Any) -> Any:
    """A whole number as the float it stands for; what is no number is the server's to refuse."""
    return float(value) if isinstance(value, int) else value


def _checked_stop(stop: Any) -> str | Sequence[str] | Sequence[int] | None:
    if stop is None or isinstance(stop, str):
        return stop
    if not isinstance(stop, Sequence) or isinstance(stop, bytes):
        raise TypeError(
            f"SamplingParams.stop must be a text, a list of texts or a list of token ids, not "
            f"{type(stop).__name__}."
        )
    items = cast("Iterable[Any]", stop)
    if len({isinstance(item, str) for item in items}) > 1:
        raise TypeError("SamplingParams.stop mixes texts and token ids; give one kind.")
    # A copy, so that later changes by the caller do not reach a queued request.
    return list(items) if isinstance(stop, list) else tuple(items)


class SampleRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/asample`` (protocol section 2.10)."""

    num_samples: int = 1
    prompt: ModelInput
    sampling_params: SamplingParams
    sampling_session_id: str | None = None
    seq_id: int | None = None
    base_model: str | None = None
    model_path: str | None = None
    prompt_logprobs: bool | None = None
    topk_prompt_logprobs: int = 0
    topk_sample_logprobs: int = 0
    target_prompt_logprobs: TensorData | None = None
    prompt_alt_tokens_k: int = 0
    prompt_logprobs_last_n: int | None = None
    record_stability_info: bool | None = None
    type: Literal["sample"] = "sample"


class SampledSequence(Answer, frozen=True, kw_only=True):
    """One sampled sequence.

    Attributes:
        stop_reason: ``"stop"`` or ``"length"``.
        tokens: Sampled token ids, (S,) ints; a stop token is included.
        logprobs: Log-probability of each sampled token, (S,) floats in nats, or None.
        topk_logprobs: Per sampled token the likeliest ``(token id, logprob)`` pairs, or None.
        sequence_id: The service's name for the sequence, or "".
    """

    stop_reason: Open[StopReason]
    tokens: list[int]
    logprobs: list[float] | None = None
    topk_logprobs: TopkRows | None = None
    sequence_id: str = ""

    @property
    def tokens_np(self) -> np.ndarray[Any, Any]:
        """``tokens`` as a fresh int32 array, (S,)."""
        return _array(self.tokens, "int32")

    @property
    def logprobs_np(self) -> np.ndarray[Any, Any] | None:
        """``logprobs`` as a fresh float32 array, (S,), or None."""
        return None if self.logprobs is None else _array(self.logprobs, "float32")

    @property
    def topk_logprobs_np(self) -> TopkLogprobs | None:
        """``topk_logprobs`` as arrays, or None."""
        return None if self.topk_logprobs is None else TopkLogprobs.from_rows(self.topk_logprobs)

    def __repr__(self) -> str:
        """Stop reason and count; the tokens can be many."""
        return f"SampledSequence(stop_reason={self.stop_reason!r}, <{len(self.tokens)} tokens>)"


class PromptAltTokens(Answer, frozen=True, kw_only=True):
    """The likeliest tokens at each position of a prompt but its first.

    Attributes:
        tokens: Token ids, (P - 1, k) int64, P being the length of the prompt.
        logprobs: Their log-probabilities in nats, (P - 1, k) float32.
    """

    tokens: TensorData
    logprobs: TensorData


class SampleResponse(Answer, frozen=True, kw_only=True):
    """Result of a sample call.

    Attributes:
        sequences: ``num_samples`` sequences.
        prompt_logprobs: Per prompt token its log-probability in nats; None where there is none, the
            first token above all.
        topk_prompt_logprobs: Per prompt token the likeliest ``(token id, logprob)`` pairs, or None.
        target_prompt_logprobs: The log-probabilities that were asked for, laid out as asked.
        prompt_alt_tokens: The likeliest tokens along the prompt, if asked for.
        prompt_cache_hit_tokens: Prompt tokens the service had cached.
    """

    sequences: list[SampledSequence]
    prompt_logprobs: list[float | None] | None = None
    topk_prompt_logprobs: TopkRows | None = None
    target_prompt_logprobs: TensorData | None = None
    prompt_alt_tokens: PromptAltTokens | None = None
    prompt_cache_hit_tokens: int = 0
    type: Literal["sample"] = "sample"

    @property
    def prompt_logprobs_np(self) -> np.ndarray[Any, Any] | None:
        """``prompt_logprobs`` as a fresh float32 array with NaN for None, or None."""
        return None if self.prompt_logprobs is None else _array(self.prompt_logprobs, "float32")

    @property
    def topk_prompt_logprobs_np(self) -> TopkLogprobs | None:
        """``topk_prompt_logprobs`` as arrays, or None."""
        rows = self.topk_prompt_logprobs
        return None if rows is None else TopkLogprobs.from_rows(rows)

    def __repr__(self) -> str:
        """The sequences, short."""
        return f"SampleResponse(sequences={short_repr(self.sequences)})"


def _array(values: Sequence[float | None], dtype: str) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.array(values, dtype)
