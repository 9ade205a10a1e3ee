"""The version of the distribution, and as whom it shows itself to servers."""

from __future__ import annotations

import sys

__version__ = "0.1.0"

# The generation of the protocol that the client speaks; it travels as ``sdk_version``.
PROTOCOL_VERSION = "0.38.0"

_python = {"cpython": "CPython", "pypy": "PyPy"}.get(sys.implementation.name, "Python")
USER_AGENT = "tinker-lite/{} {}/{}.{}.{}".format(__version__, _python, *sys.version_info[:3])
