from __future__ import annotations

from scripts.endpoint_table import DOCUMENT, document
from tinker_lite.protocol.endpoints import ENDPOINTS


def test_the_table_of_the_documents_is_that_of_the_code() -> None:
    """After a change of a row, ``python -m scripts.endpoint_table`` writes it anew."""
    assert DOCUMENT.read_text(encoding="utf-8") == document()


def test_every_row_has_a_line() -> None:
    """With its name, its place and what it comes to."""
    lines = document().splitlines()
    for row in ENDPOINTS:
        [line] = [line for line in lines if line.startswith(f"| `{row.name}` |")]
        assert f"| `{row.method} {row.path}`" in line
        assert line.count("|") == 9
        assert row.result is None or f"`{row.result.__name__}`" in line
