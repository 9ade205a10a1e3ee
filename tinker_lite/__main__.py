"""``python -m tinker_lite`` is the command ``tinker-lite``."""

from __future__ import annotations

from tinker_lite.cli import main

main()
