"""What type checkers see of the public names: checked by mypy and pyright, never run."""

from __future__ import annotations

from typing import assert_type

import tinker_lite

assert_type(tinker_lite.__version__, str)
