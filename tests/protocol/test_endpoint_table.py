from __future__ import annotations

from scripts.endpoint_table import DOCUMENT, document
from tinker_lite.local.service import NOT_SERVED
from tinker_lite.protocol.endpoints import ENDPOINTS


def test_the_table_of_the_documents_is_that_of_the_code() -> None:
    """After a change of a row, ``python -m scripts.endpoint_table`` writes it anew."""
    assert DOCUMENT.read_text(encoding="utf-8") == document()


def test_the_arguments_of_methods_are_listed() -> None:
    """With their defaults, and without the options that every method takes."""
    lines = {line.split("`")[1]: line for line in document().splitlines() if line.startswith("| `")}
    assert "| `training_run_id, access_scope='owned'` |" in lines["training_runs.get"]
    assert "| `starting_on, ending_before` |" in lines["billing.usage_events"]
    assert "| `request` |" in lines["models.create"]
    assert lines["service.health_check"].startswith("| `service.health_check` |  | `GET")


def test_what_the_embedded_service_lacks_is_marked() -> None:
    """Those rows end in a no, and no other does."""
    lines = document().splitlines()
    marked = {line.split("`")[1] for line in lines if line.endswith("| no |")}
    assert marked == NOT_SERVED


def test_every_row_has_a_line() -> None:
    """With its name, its place and what it comes to."""
    lines = document().splitlines()
    for row in ENDPOINTS:
        [line] = [line for line in lines if line.startswith(f"| `{row.name}` |")]
        assert f"| `{row.method} {row.path}`" in line
        assert line.count("|") == 11
        assert row.result is None or f"`{row.result.__name__}`" in line
