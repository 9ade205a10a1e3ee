"""Imports point down, as tests/rules/layers.py states."""

from __future__ import annotations

import pytest

from tests.rules.layers import MAY_IMPORT, Source, layer_of, violations
from tests.rules.sources import library_files


def test_the_library_keeps_to_the_table() -> None:
    """No module imports what its layer may not, none imports in a cycle, none has no layer."""
    sources = {
        module: Source(path.read_text(encoding="utf-8"), path.name == "__init__.py")
        for module, path in library_files().items()
    }
    assert "tinker_lite.protocol.endpoints" in sources
    assert violations(sources) == []


def test_every_layer_of_the_table_exists() -> None:
    """A row of the table that no module uses any more is taken out."""
    assert {layer_of(module) for module in library_files()} == set(MAY_IMPORT)


BROKEN_TREES = [
    pytest.param(
        {"tinker_lite.wire.json": "import tinker_lite.engine.calls"},
        "tinker_lite.wire.json line 1 imports tinker_lite.engine.calls: wire may not",
        id="upward",
    ),
    pytest.param(
        {"tinker_lite.wire.json": "from ..engine import calls", "tinker_lite.engine.calls": ""},
        "tinker_lite.wire.json line 1 imports tinker_lite.engine.calls: wire may not",
        id="upward by a relative name",
    ),
    pytest.param(
        {
            "tinker_lite.wire.json": "if TYPE_CHECKING:\n    from tinker_lite.engine import calls",
            "tinker_lite.engine.calls": "",
        },
        "tinker_lite.wire.json line 2 imports tinker_lite.engine.calls: wire may not",
        id="upward for type checkers only",
    ),
    pytest.param(
        {"tinker_lite.clients.rest": "import anyio"},
        "tinker_lite.clients.rest line 1 imports anyio: clients may not",
        id="anyio outside the engine",
    ),
    pytest.param(
        {"tinker_lite.types.datum": "import numpy as np"},
        "tinker_lite.types.datum line 1 imports numpy: types may not",
        id="numpy at the top",
    ),
    pytest.param(
        {"tinker_lite.engine.calls": "async def call():\n    from tinker_lite.types import Datum"},
        "tinker_lite.engine.calls line 2 imports tinker_lite.types inside a function: "
        "not in the list of what may be imported there",
        id="inside a function",
    ),
    pytest.param(
        {"tinker_lite.protocol.retry": "def f():\n    import safetensors"},
        "tinker_lite.protocol.retry line 2 imports safetensors inside a function: "
        "not in the list of what may be imported there",
        id="inside a function of the wrong layer",
    ),
    pytest.param(
        {"tinker_lite.protocol.retry": "from time import monotonic"},
        "tinker_lite.protocol.retry line 1 imports time: protocol decides as values",
        id="a clock in a pure layer",
    ),
    pytest.param(
        {
            "tinker_lite.engine.a": "from tinker_lite.engine import b",
            "tinker_lite.engine.b": "import tinker_lite.engine.a",
        },
        "a cycle of imports: tinker_lite.engine.a <- tinker_lite.engine.b <- tinker_lite.engine.a",
        id="a cycle",
    ),
    pytest.param(
        {"tinker_lite.extras": ""},
        "tinker_lite.extras belongs to no layer of the table",
        id="a module without a layer",
    ),
    pytest.param(
        {"tinker_lite.engine.calls": 'module = importlib.import_module("torch")'},
        "tinker_lite.engine.calls line 1 imports by name: only lazy package exports may",
        id="an import by name",
    ),
    pytest.param(
        {"tinker_lite.local.store": 'folder = os.environ["HOME"]'},
        "tinker_lite.local.store line 1 reads the environment: only config does",
        id="the environment",
    ),
    pytest.param(
        {"tinker_lite_conformance.cases": "from tinker_lite.protocol import retry"},
        "tinker_lite_conformance.cases line 1 imports tinker_lite.protocol: conformance may not",
        id="conformance behind the public names",
    ),
]


@pytest.mark.parametrize(("tree", "complaint"), BROKEN_TREES)
def test_a_broken_tree_is_found(tree: dict[str, str], complaint: str) -> None:
    """Each kind of breach is reported, once, with module, line and reason."""
    found = violations({module: Source(text) for module, text in tree.items()})
    if complaint.startswith("a cycle"):  # it may be told from either end
        assert len(found) == 1
        assert found[0].startswith("a cycle of imports: tinker_lite.engine.")
    else:
        assert found == [complaint]


SOUND_TREE = {
    "tinker_lite": Source(
        "import importlib\n"
        "if TYPE_CHECKING:\n    from tinker_lite.clients.service import ServiceClient\n"
        "def __getattr__(name):\n    return importlib.import_module(name)",
        is_package=True,
    ),
    "tinker_lite.config": Source("import os\nfrom tinker_lite.http import Timeout\nos.environ"),
    "tinker_lite.types.tensor": Source(
        "if TYPE_CHECKING:\n    import numpy\ndef to_numpy():\n    import numpy"
    ),
    "tinker_lite.clients.service": Source("def f():\n    from tinker_lite.local import service"),
    "tinker_lite.local.model": Source("import numpy\nfrom . import adam"),
    "tinker_lite.local.adam": Source("import numpy"),
    "tinker_lite_conformance.cases": Source("from tinker_lite.protocol.endpoints import ENDPOINTS"),
}


def test_what_the_table_allows_is_not_reported() -> None:
    """Lazy exports, listed imports inside functions, and downward imports are all fine."""
    assert violations(SOUND_TREE) == []
