"""Handlers: results that are asked for, or wanted no more (protocol section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tinker_lite.types as t
from tinker_lite.local.exchange import Call, Reply, json_reply

if TYPE_CHECKING:
    from tinker_lite.local.promises import Promise
    from tinker_lite.local.state import Handlers, State

__all__ = ["FUTURE_HANDLERS"]


def retrieve(state: State, call: Call) -> Promise:
    """Find a result; the transports wait for it."""
    return state.ledger.find(call.read(t.FutureRetrieveRequest).request_id)


def cancel(state: State, call: Call) -> Reply:
    """Drop a sample, which is not drawn if that has not begun. Training has no cancel (4.7)."""
    promise = state.ledger.find(call.read(t.CancelFutureRequest).request_id)
    if promise.submission.sample_sequence_ids is not None:
        failure = t.RequestFailedResponse(error="The request was cancelled.", category="user")
        promise.finish(failure)
    return json_reply({})


FUTURE_HANDLERS: Handlers = {"futures.retrieve": retrieve, "futures.cancel": cancel}
