"""The numbered cases, by subject. A number is never given twice."""

from __future__ import annotations
