"""The numbered cases, by subject. A number is never given twice."""

from __future__ import annotations

import pkgutil

import pytest

# Before the cases are imported: their assertions then tell the values they compared.
pytest.register_assert_rewrite(
    *(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__))
)
