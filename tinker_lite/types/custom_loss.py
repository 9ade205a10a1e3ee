"""Custom losses that the server runs, as graphs of operations."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from tinker_lite.types._base import Wire
from tinker_lite.types.answers import Answer

__all__ = [
    "CreateCustomLossRequest",
    "CreateCustomLossResponse",
    "CustomLossGraph",
    "CustomLossInput",
    "CustomLossInputRank",
    "CustomLossNode",
    "CustomLossOp",
]

CustomLossInputRank: TypeAlias = Literal[0, 1, 2]
CustomLossOp: TypeAlias = Literal[
    "placeholder", "get_attr", "call_function", "call_method", "call_module", "output"
]


class CustomLossInput(Wire, frozen=True, kw_only=True):
    """A tensor that a loss takes: its name, and how many dimensions it has."""

    name: str
    rank: CustomLossInputRank


class CustomLossNode(Wire, frozen=True, kw_only=True):
    """One operation.

    Attributes:
        op: Its kind.
        name: Its own name, unique in the graph.
        target: The parameter, the function by its qualified name, the method, or ``output``.
        args: Its arguments: null, truth values, numbers and texts as they are, lists, and objects
            with one key such as ``{"ref": name}`` or ``{"float": "inf"}``.
        kwargs: The same by keyword.

    Source: protocol section 6.3.
    """

    op: CustomLossOp
    name: str
    target: str
    args: list[Any] = msgspec.field(default_factory=list[Any])
    kwargs: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])


class CustomLossGraph(Wire, frozen=True, kw_only=True):
    """Operations in the order they are carried out."""

    format: Literal[1] = 1
    nodes: list[CustomLossNode]


class CreateCustomLossRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/create_custom_loss``; the first input is ``logprobs`` (protocol 6.3)."""

    session_id: str
    custom_loss_seq_id: int
    name: str
    inputs: list[CustomLossInput]
    graph: CustomLossGraph
    type: Literal["create_custom_loss"] = "create_custom_loss"


class CreateCustomLossResponse(Answer, frozen=True, kw_only=True):
    """The loss that was made; ``loss_id`` goes into the configuration of a pass."""

    loss_id: str
    type: str | None = None
