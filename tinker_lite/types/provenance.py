"""Provenance: which part of a text came from which sampled sequence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from tinker_lite.types._base import Wire

__all__ = ["PromptProvenanceSpan", "ProvenanceSpans", "SampledProvenanceSpan"]


class _Span(Wire, frozen=True, kw_only=True):
    sequence_id: str
    offset: int = 0
    length: int

    def __post_init__(self) -> None:
        """Refuse a span that no sequence has."""
        name = type(self).__name__
        if not self.sequence_id:
            raise ValueError(f"{name}.sequence_id is empty; name the sequence.")
        if self.offset < 0 or self.length < 0:
            raise ValueError(
                f"{name}: offset is {self.offset} and length {self.length}; neither may be below 0."
            )


class PromptProvenanceSpan(_Span, frozen=True, kw_only=True):
    """Tokens that were part of the prompt of a sampled sequence.

    Attributes:
        sequence_id: The sequence, by the name that sampling gave it.
        offset: Where in its prompt they begin.
        length: How many they are.

    Raises:
        ValueError: The name is empty, or a number is negative.

    Source: protocol section 3.3.
    """


class SampledProvenanceSpan(_Span, frozen=True, kw_only=True):
    """Tokens that were sampled; fields and errors are those of ``PromptProvenanceSpan``."""


ProvenanceSpans: TypeAlias = list[PromptProvenanceSpan | SampledProvenanceSpan]


class SpanForm(Wire, frozen=True, kw_only=True):
    """A span as JSON has it: an object with one field, which says the kind."""

    prompt_tokens: PromptProvenanceSpan | None = None
    sampled_tokens: SampledProvenanceSpan | None = None

    @classmethod
    def of(cls, span: PromptProvenanceSpan | SampledProvenanceSpan) -> SpanForm:
        """The form of a span."""
        if isinstance(span, PromptProvenanceSpan):
            return cls(prompt_tokens=span)
        return cls(sampled_tokens=span)

    def span(self) -> PromptProvenanceSpan | SampledProvenanceSpan:
        """The span; ValueError when there is none."""
        span = self.prompt_tokens or self.sampled_tokens
        if span is None:
            raise ValueError("A provenance span has a field prompt_tokens or sampled_tokens.")
        return span


def checked_spans(name: str, spans: Iterable[object], length: int | None) -> ProvenanceSpans:
    """A list of spans that cover ``length`` tokens, or any number when it is None.

    Raises:
        TypeError: An element is no span; the text names it.
        ValueError: The lengths do not add up.
    """
    checked: ProvenanceSpans = []
    for i, span in enumerate(spans):
        if not isinstance(span, PromptProvenanceSpan | SampledProvenanceSpan):
            raise TypeError(
                f"{name}[{i}] is a {type(span).__name__}; give PromptProvenanceSpan or "
                "SampledProvenanceSpan."
            )
        checked.append(span)
    covered = sum(span.length for span in checked)
    if length is not None and covered != length:
        raise ValueError(f"{name} covers {covered} tokens, but there are {length}.")
    return checked
