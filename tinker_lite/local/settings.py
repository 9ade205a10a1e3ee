"""The numbers by which the embedded service works."""

from __future__ import annotations

import msgspec

__all__ = ["ServiceSettings"]


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How patient and how large the service is; the defaults suit every ordinary use.

    Attributes:
        poll_s: How long a question for a pending result is held before "not yet", in seconds.
            Clients give up on a poll after 45 s (protocol section 4.2).
        gap_patience_s: How long a training request waits for a lower sequence number that has not
            come, counted from the latest arrival for that model, in seconds.
        archive_s: How long a link to a checkpoint's archive works, in seconds (protocol 2.9).
        min_kept_results: Fetched results that are kept whatever their size, for lost answers.
        max_kept_results: Fetched results that are kept at most.
        max_kept_bytes: Size of the fetched results that are kept at most, in bytes.
        max_snapshots: Models held in memory for sampling; others are read again when needed.
        proto_compress_fwdbwd: Whether clients are told to compress training passes (protocol 2.2).
    """

    poll_s: float = 30.0
    gap_patience_s: float = 5.0
    archive_s: float = 900.0
    min_kept_results: int = 64
    max_kept_results: int = 4096
    max_kept_bytes: int = 64 * 2**20
    max_snapshots: int = 8
    proto_compress_fwdbwd: bool = False
