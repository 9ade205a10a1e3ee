"""Billing: what was used, and what stored checkpoints cost."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

import msgspec

from tinker_lite.types._base import Wire
from tinker_lite.types.answers import Answer, AnswerVariant, Moment, UnknownVariant

__all__ = [
    "BillingEventInfo",
    "BillingUsageEvent",
    "BillingUsageResponse",
    "BillingUsageSession",
    "CheckpointBillingEvent",
    "CurrentCheckpointStorageUsageItem",
    "CurrentCheckpointStorageUsageResponse",
    "GetBillingUsageRequest",
    "GetCurrentCheckpointStorageUsageRequest",
    "SamplingPrefillBillingEvent",
    "SamplingSampleBillingEvent",
    "StorageBillingEvent",
    "TrainingBillingEvent",
    "UnknownBillingEvent",
]


class TrainingBillingEvent(AnswerVariant, frozen=True, kw_only=True, tag="training"):
    """Tokens that were trained on."""

    token_count: int


class SamplingPrefillBillingEvent(AnswerVariant, frozen=True, kw_only=True, tag="sampling_prefill"):
    """Prompt tokens that were read, from the cache or not."""

    cached: bool
    token_count: int


class SamplingSampleBillingEvent(AnswerVariant, frozen=True, kw_only=True, tag="sampling_sample"):
    """Tokens that were sampled."""

    token_count: int


class CheckpointBillingEvent(AnswerVariant, frozen=True, kw_only=True, tag="checkpoint"):
    """Checkpoints that were saved."""

    count: int


class StorageBillingEvent(AnswerVariant, frozen=True, kw_only=True, tag="storage"):
    """Gigabyte hours of stored checkpoints."""

    free: bool = False
    gigabyte_hours: float


class UnknownBillingEvent(UnknownVariant, frozen=True, kw_only=True):
    """A kind of use that is not known here; all its fields are in ``extra``."""


BillingEventInfo: TypeAlias = (
    TrainingBillingEvent
    | SamplingPrefillBillingEvent
    | SamplingSampleBillingEvent
    | CheckpointBillingEvent
    | StorageBillingEvent
    | UnknownBillingEvent
)


class BillingUsageEvent(Answer, frozen=True, kw_only=True):
    """What was used of one kind within one hour.

    Attributes:
        bucket_start: Start of the hour.
        bucket_end: End of the hour.
        base_model: The model, where there is one.
        user_id: Who used it.
        user_name: The user's name.
        session_id: In which session.
        project_id: For which project.
        estimated_cost_usd: Estimated cost, in US dollars.
        effective_rate_usd_per_million_tokens: Rate of what is counted in tokens.
        effective_rate_usd_per_gigabyte_month: Rate of what is stored.
        event_info: What was used, and how much.

    Source: protocol section 2.13.
    """

    bucket_start: Moment
    bucket_end: Moment
    base_model: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    session_id: str | None = None
    project_id: str | None = None
    estimated_cost_usd: float | None = None
    effective_rate_usd_per_million_tokens: float | None = None
    effective_rate_usd_per_gigabyte_month: float | None = None
    event_info: BillingEventInfo


class BillingUsageSession(Answer, frozen=True, kw_only=True):
    """What is known of a session that events name."""

    user_metadata: dict[str, str] | None = None


class BillingUsageResponse(Answer, frozen=True, kw_only=True):
    """The answer of ``GET /billing/usage/events``.

    Attributes:
        data: The events.
        sessions: The sessions they name, by id.
        cost_data_through: Until when costs are known.
    """

    data: list[BillingUsageEvent]
    sessions: dict[str, BillingUsageSession] = msgspec.field(
        default_factory=dict[str, BillingUsageSession]
    )
    cost_data_through: Moment | None = None


class GetBillingUsageRequest(Wire, frozen=True, kw_only=True):
    """Which hours are asked for: aligned to the hour, 14 days at most."""

    starting_on: datetime
    ending_before: datetime


class CurrentCheckpointStorageUsageItem(Answer, frozen=True, kw_only=True):
    """The checkpoints that one user stores in one project.

    Attributes:
        project_id: The project.
        org_user_urn: The user.
        user_email: The user's address.
        user_name: The user's name.
        checkpoint_count: How many checkpoints.
        size_bytes: Their size.
        size_gigabytes: The same in gigabytes.
        estimated_monthly_cost_usd: Estimated cost of a month, in US dollars.
    """

    project_id: str | None = None
    org_user_urn: str | None = None
    user_email: str | None = None
    user_name: str | None = None
    checkpoint_count: int
    size_bytes: int
    size_gigabytes: float
    estimated_monthly_cost_usd: float | None = None


class CurrentCheckpointStorageUsageResponse(Answer, frozen=True, kw_only=True):
    """The answer of ``GET /billing/usage/checkpoints/current``."""

    effective_rate_usd_per_gigabyte_month: float | None = None
    data: list[CurrentCheckpointStorageUsageItem]


class GetCurrentCheckpointStorageUsageRequest(Wire, frozen=True, kw_only=True):
    """Whose storage is asked for; None means all projects."""

    project_id: str | None = None
