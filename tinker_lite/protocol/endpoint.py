"""What a row of the endpoint table says."""

from __future__ import annotations

from typing import Generic, Literal, TypeAlias, TypeVar

import msgspec

from tinker_lite.types import UntypedAPIFuture

__all__ = ["Endpoint", "Form", "Method", "RetryClass", "Row", "Submission"]

A = TypeVar("A")
R = TypeVar("R")

# What a body can be encoded as.
Form: TypeAlias = Literal["json", "protobuf"]

Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

# standard: repeated as the retry policy says. once: one attempt, since the caller repeats by itself
# (heartbeats). poll: one attempt, since the poll machine decides what comes next. paced: standard,
# but a 429 is back-pressure, which the caller obeys.
RetryClass: TypeAlias = Literal["standard", "once", "poll", "paced"]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table.

    Attributes:
        name: ``resource.method``, unique.
        method: HTTP method.
        path: Path below ``/api/v1``, with ``{placeholders}``.
        request: Type of the body, or None.
        response: Type of the immediate answer, or None when there is nothing to read or its type
            depends on what was asked.
        result: For a submission, the type its future resolves to.
        request_type: For a submission, the value of ``X-Tinker-Request-Type``.
        protobuf_path: For a training pass, where it goes as protobuf.
        retry: How failures are repeated.
        timeout_s: Seconds for one attempt.
        accept: The media type that is asked for.
        versions: Which generations of the official client call it, for people.
        leads_to_storage: A redirect to another origin is followed, without any secret.
        answers_by_redirect: A redirect is the answer and never followed.
    """

    name: str
    method: Method
    path: str
    request: type | None = None
    response: type | None = None
    result: type | None = None
    request_type: str = ""
    protobuf_path: str = ""
    retry: RetryClass = "standard"
    timeout_s: float = 60.0
    accept: str = "application/json"
    versions: str = "all"
    leads_to_storage: bool = False
    answers_by_redirect: bool = False

    def path_for(self, form: Form) -> str:
        """Where a body of this form goes."""
        return self.protobuf_path if form == "protobuf" else self.path


class Row(Endpoint, Generic[A], frozen=True, kw_only=True):
    """An endpoint whose answer is an ``A``; None where there is nothing to read."""


class Submission(Row[UntypedAPIFuture], Generic[R], frozen=True, kw_only=True):
    """An endpoint whose answer is a future that comes to an ``R``."""
