"""The acceptance list is complete: every id has a test, or stands in the pending list."""

from __future__ import annotations

import ast
import re
from pathlib import Path

# Section -> how many S-items and how many X-items it has: 143 and 47 in all.
ITEMS = {
    1: (15, 8),
    2: (15, 6),
    3: (7, 3),
    4: (14, 5),
    5: (15, 3),
    6: (13, 5),
    7: (10, 5),
    8: (12, 3),
    9: (17, 3),
    10: (8, 3),
    11: (7, 3),
    12: (10, 0),
}

# Sections whose work has not begun; a section leaves this list when its tests arrive, whole.
PENDING = set(ITEMS) - {2, 3, 5, 6, 7, 8, 11}

HERE = Path(__file__).parent
NAME = re.compile(r"test_([sx])(\d+)_(\d+)_")


def wanted_ids() -> set[str]:
    """The ids of the sections that are not pending."""
    return {
        f"{kind}{section}.{number}"
        for section, counts in ITEMS.items()
        if section not in PENDING
        for kind, count in zip("SX", counts, strict=True)
        for number in range(1, count + 1)
    }


def ids_with_tests(folder: Path) -> set[str]:
    """The ids that the names of test functions carry."""
    names = [
        node.name
        for path in folder.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    matches = [match for name in names if (match := NAME.match(name)) is not None]
    return {f"{m[1].upper()}{m[2]}.{m[3]}" for m in matches}


def test_the_list_has_all_its_items() -> None:
    """143 S-items and 47 X-items, as in the list."""
    assert sum(s for s, _ in ITEMS.values()) == 143
    assert sum(x for _, x in ITEMS.values()) == 47


def test_every_id_of_a_begun_section_has_a_test() -> None:
    """No id is dropped silently."""
    assert wanted_ids() - ids_with_tests(HERE) == set()


def test_no_test_names_an_id_that_does_not_exist() -> None:
    """A typing error in a name would otherwise count for nothing."""
    known = {
        f"{kind}{section}.{number}"
        for section, counts in ITEMS.items()
        for kind, count in zip("SX", counts, strict=True)
        for number in range(1, count + 1)
    }
    assert ids_with_tests(HERE) - known == set()


def test_a_missing_id_is_noticed(tmp_path: Path) -> None:
    """The check itself can fail."""
    (tmp_path / "test_one.py").write_text("def test_s8_1_alias() -> None: ...\n")
    assert ids_with_tests(tmp_path) == {"S8.1"}
