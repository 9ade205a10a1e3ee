"""``TopkLogprobs``: the likeliest tokens at each position, as two arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    import numpy as np

__all__ = ["TopkLogprobs", "TopkRows"]

# Per position the likeliest (token id, logprob) pairs, or None where there are none.
TopkRows: TypeAlias = list[list[tuple[int, float]] | None]

# What fills the cells of a row that has fewer pairs (protocol section 3.9).
_FILLER = (0, -99999.0)


class TopkLogprobs:
    """The likeliest tokens at each of n positions.

    Args:
        token_ids: Token ids, (n, k) int32, likeliest first; 0 in cells that are empty.
        logprobs: Their log-probabilities in nats, (n, k) float32; -99999.0 in empty cells.
    """

    __slots__ = ("logprobs", "token_ids")

    def __init__(self, token_ids: np.ndarray[Any, Any], logprobs: np.ndarray[Any, Any]) -> None:
        self.token_ids = token_ids
        self.logprobs = logprobs

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[tuple[int, float]] | None]) -> TopkLogprobs:
        """From rows of pairs; shorter rows are filled up."""
        import numpy as np

        k = max((len(row or ()) for row in rows), default=0)
        filled = [[*(row or ()), *[_FILLER] * (k - len(row or ()))] for row in rows]
        cells = np.array(filled, "float64").reshape(len(rows), k, 2)
        return cls(cells[..., 0].astype("int32"), cells[..., 1].astype("float32"))

    def to_rows(self) -> TopkRows:
        """As rows of pairs: a row of empty cells is None, trailing empty cells are cut."""
        rows: TopkRows = []
        for tokens, logprobs in zip(self.token_ids.tolist(), self.logprobs.tolist(), strict=True):
            row = cast("list[tuple[int, float]]", list(zip(tokens, logprobs, strict=True)))
            while row and row[-1] == _FILLER:
                row.pop()
            rows.append(row or None)
        return rows

    def __repr__(self) -> str:
        """The shape; the cells can be many."""
        return f"TopkLogprobs(<{self.token_ids.shape[0]} rows of {self.token_ids.shape[1]}>)"
