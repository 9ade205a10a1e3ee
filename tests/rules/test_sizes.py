"""Files and functions stay short enough to read."""

from __future__ import annotations

from scripts.metrics import measure, python_files, too_long


def test_no_file_or_function_is_too_long() -> None:
    """Files end by line 450, functions by line 50 unless their def line says why not."""
    files = python_files("tinker_lite", "transports", "conformance", "tests", "scripts")
    assert len(files) > 10
    assert [line for path, found in files.items() for line in too_long(path, found)] == []


def test_a_long_function_is_found() -> None:
    """A function of 51 lines is reported by name; its docstring does not count."""
    body = "    pass\n" * 49
    fits = f'def short() -> None:\n    """One.\n\n    Three.\n    """\n{body}'
    assert too_long("a.py", measure(fits)) == []
    [complaint] = too_long("a.py", measure(f"{fits}    pass\n"))
    assert complaint.startswith("a.py: short has 51 lines, more than 50;")


def test_a_long_function_may_give_its_reason() -> None:
    """A reason on the def line, also of a signature over several lines, lifts the bound."""
    body = "    pass\n" * 60
    signature = "def table(\n    row: int,\n) -> None:  # long: one table, read from the top\n"
    assert too_long("a.py", measure(signature + body)) == []
    [complaint] = too_long("a.py", measure("def table() -> None:  # noqa: PLR0915\n" + body))
    assert "table has 61 lines" in complaint


def test_a_long_file_is_found() -> None:
    """A file of 451 lines is reported, one of 450 is not."""
    assert too_long("a.py", measure("pass\n" * 450)) == []
    assert too_long("a.py", measure("pass\n" * 451)) == ["a.py: 451 lines, more than 450; split it"]
