"""From a method and a path to a row of the endpoint table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tinker_lite.local.exchange import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinker_lite.protocol.endpoints import Endpoint

__all__ = ["Router"]

ROOT = "/api/v1/"
# A checkpoint's id is `kind/name` with a raw slash, or the bare name (protocol section 2).
_SEGMENTS = {"checkpoint": "[^/]+(?:/[^/]+)?"}


class Router:
    """Finds endpoints below ``/api/v1``, whatever stands before it.

    Args:
        endpoints: The rows to choose from; where two match, the one with more fixed text wins.
    """

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        rows = sorted(endpoints, key=_n_fixed, reverse=True)
        self._rows = [(_pattern(row.path), row) for row in rows]

    def find(self, method: str, path: str) -> tuple[Endpoint, dict[str, str], str]:
        """Return the row, the placeholders' values, and what stood before ``/api/v1``.

        Raises:
            Refusal: 404 for an unknown path, 405 for a known one with another method.
        """
        prefix, root, rest = path.partition(ROOT)
        found = [(row, match) for pattern, row in self._rows if (match := pattern.match(rest))]
        for row, match in found:
            if root and row.method == method:
                values = {name: unquote(text) for name, text in match.groupdict().items()}
                return row, values, prefix
        if not root or not found:
            raise Refusal(404, f"There is no endpoint {method} {path} here.")
        allowed = ", ".join(sorted({row.method for row, _ in found}))
        raise Refusal(405, f"{path} takes {allowed}, not {method}.", headers=[("allow", allowed)])


def _n_fixed(row: Endpoint) -> int:
    return sum(not part.startswith("{") for part in row.path.split("/"))


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template.removeprefix("/"))
    text = "".join(
        f"(?P<{part}>{_SEGMENTS.get(part, '[^/]+')})" if i % 2 else re.escape(part)
        for i, part in enumerate(parts)
    )
    return re.compile(text + r"\Z")
