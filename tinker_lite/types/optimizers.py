"""Optimisers: which family a model is trained with, and the settings of its steps.

A family or its settings are a mapping with a ``type``, since servers may know families that this
library does not (protocol section 3.5). The classes here are such mappings, made by keyword and
with their fields as attributes, and equal to any other mapping of the same fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

__all__ = ["AdamOptimizerConfig", "DimuonOptimizerConfig", "DimuonParams", "OptimizerConfig"]

# Any object with a ``type``: families that this library does not know pass through.
OptimizerConfig: TypeAlias = Mapping[str, Any]


class _Family(Mapping[str, Any]):
    """An unchanging mapping of the fields that a subclass takes."""

    __slots__ = ("_fields",)

    _fields: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __getattr__(self, name: str) -> Any:
        # Not through self._fields: pickling asks for attributes before there are any.
        fields: dict[str, Any] = object.__getattribute__(self, "_fields")
        if name in fields:
            return fields[name]
        raise AttributeError(f"{type(self).__name__} has no field {name!r}.")

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: a queued request still has to send these."""
        cls = type(self).__name__
        raise AttributeError(f"{cls}.{name} cannot be changed; make a new {cls}.")

    def __getstate__(self) -> dict[str, Any]:
        return self._fields

    def __setstate__(self, fields: dict[str, Any]) -> None:
        object.__setattr__(self, "_fields", fields)

    def __hash__(self) -> int:
        return hash(frozenset(self._fields.items()))

    def __repr__(self) -> str:
        shown = ", ".join(f"{n}={v!r}" for n, v in self._fields.items() if n != "type")
        return f"{type(self).__name__}({shown})"


class AdamOptimizerConfig(_Family):
    """Train with Adam; its settings come with each step, as ``AdamParams``."""

    __slots__ = ()

    type: str

    def __init__(self) -> None:
        self.__setstate__({"type": "adamw"})


class DimuonOptimizerConfig(_Family):
    """Train with Dimuon; its settings come with each step, as ``DimuonParams``.

    Args:
        version: Generation of the method.
    """

    __slots__ = ()

    type: str
    version: int

    def __init__(self, *, version: int = 1) -> None:
        self.__setstate__({"type": "dimuon", "version": version})


class DimuonParams(_Family):
    """Settings of one Dimuon step.

    Args:
        learning_rate: Step size, 0 or more.
        grad_clip_norm: Largest global gradient norm; 0 or less is off.
        beta1: Decay of the momentum, in [0, 1).

    Raises:
        ValueError: A number is outside its range.

    Source: protocol section 3.5.
    """

    __slots__ = ()

    type: str
    learning_rate: float
    grad_clip_norm: float
    beta1: float

    def __init__(
        self, *, learning_rate: float, grad_clip_norm: float = 0.0, beta1: float = 0.9
    ) -> None:
        if not learning_rate >= 0:
            raise ValueError(f"DimuonParams.learning_rate is {learning_rate}, not 0 or more.")
        if not 0 <= beta1 < 1:
            raise ValueError(f"DimuonParams.beta1 is {beta1}; it must be in [0, 1).")
        self.__setstate__(
            {
                "type": "dimuon",
                "learning_rate": learning_rate,
                "grad_clip_norm": grad_clip_norm,
                "beta1": beta1,
            }
        )


def adamw() -> OptimizerConfig:
    """The optimiser family that is used when none is named."""
    return {"type": "adamw"}
