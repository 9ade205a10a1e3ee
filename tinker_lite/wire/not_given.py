"""The value of an argument that was not given, where None would mean something."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal, TypeAlias

__all__ = ["NOT_GIVEN", "NotGiven"]


class _Absence(Enum):
    # An enumeration of one: copies, pickles and type checkers all know that there is only one.
    NOT_GIVEN = "NOT_GIVEN"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NotGiven: TypeAlias = Literal[_Absence.NOT_GIVEN]
NOT_GIVEN: Final = _Absence.NOT_GIVEN
