"""The import rules as data, and the checker that holds a set of modules against them.

The table says which layer may import which; what it does not name is forbidden. The checker works
on source text, so that a test can feed it a tree that breaks a rule.
"""

from __future__ import annotations

import ast
import graphlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_ENGINE_DOWN = {"protocol", "wire", "types", "http", "config", "errors"}
_TRANSPORT = {"http", "config", "errors"}

# Layer -> the layers of ours that it may import, besides itself and "version".
MAY_IMPORT: dict[str, set[str]] = {
    "version": set(),
    "errors": set(),
    "http": {"errors"},
    "config": {"http", "errors"},  # Timeout is part of the seam
    "types": {"errors"},
    "wire": {"types", "errors"},
    "protocol": {"wire", "types", "http", "errors"},
    "engine": _ENGINE_DOWN,
    "local": _ENGINE_DOWN,
    "testing": _ENGINE_DOWN,
    "clients": {"engine", *_ENGINE_DOWN},
    "public": {"clients", "engine", "testing", *_ENGINE_DOWN},
    "cli": {"public", "clients", "engine", "local", "testing", *_ENGINE_DOWN},
    "urllib3 transport": _TRANSPORT,
    "h11 transport": _TRANSPORT,
    "conformance": {"public", "testing", "types", "endpoints", *_TRANSPORT},
}

# Layer -> the other distributions that it may import at the top of a module.
MAY_IMPORT_OTHERS: dict[str, set[str]] = {
    "errors": set(),
    "http": {"msgspec"},
    "config": {"msgspec"},
    "types": {"msgspec"},
    "wire": {"msgspec"},
    "protocol": {"msgspec"},
    "engine": {"msgspec", "anyio"},
    "local": {"msgspec", "anyio", "h11", "numpy", "safetensors"},
    "testing": {"msgspec", "anyio"},
    "clients": {"msgspec"},
    "cli": {"msgspec", "click", "rich"},
    "urllib3 transport": {"urllib3"},
    "h11 transport": {"h11", "anyio"},
    # anyio: a kit for async transports has to drive and cancel them, on asyncio and on trio.
    "conformance": {"msgspec", "anyio", "pytest", "trustme"},
}

# What may be imported inside a function or for type checkers only, and by which layers (None: all).
IN_FUNCTIONS: dict[str, set[str] | None] = {
    "numpy": None,
    "torch": None,
    "_typeshed": None,  # for type checkers, which bring it along
    "jax": None,
    "transformers": None,
    "safetensors": {"local"},
    "ssl": {"config"},  # 15 ms that settings without https never need
    "socks": {"urllib3 transport"},  # an extra
    "compression": {"wire"},  # zstd, from Python 3.14 on
    "backports": {"wire"},  # the same before, an extra
    "tinker_lite_urllib3": {"engine", "clients", "cli"},
    "tinker_lite_h11": {"engine", "clients", "cli"},
    "tinker_lite.local": {"engine", "clients", "cli"},  # when the base URL says so
    "click": {"cli"},
    "rich": {"cli"},
    "tinker_lite_conformance": {"cli"},
}

# Decisions are values: these layers do no I/O and read no clock, no randomness and no environment.
PURE_LAYERS = {"protocol", "types", "errors"}
IMPURE_MODULES = {
    "asyncio", "concurrent", "multiprocessing", "os", "pathlib", "queue", "random", "secrets",
    "select", "selectors", "shutil", "signal", "socket", "ssl", "subprocess", "tempfile",
    "threading", "time", "urllib.request", "uuid",
}  # fmt: skip

BY_NAME = {"__import__", "import_module", "importlib.import_module"}
ENVIRONMENT = {"environ", "getenv", "os.environ", "os.getenv"}

_LAYER_OF_PACKAGE = {
    "tinker_lite_urllib3": "urllib3 transport",
    "tinker_lite_h11": "h11 transport",
    "tinker_lite_conformance": "conformance",
}
_OUR_PACKAGES = {"tinker_lite", *_LAYER_OF_PACKAGE}
_LAYER_OF_MODULE = {
    "tinker_lite": "public",
    "tinker_lite.__main__": "cli",
    "tinker_lite._version": "version",
    "tinker_lite.attempt": "http",
    "tinker_lite.framing": "http",
    "tinker_lite.headers": "http",
    "tinker_lite.safety": "http",
    "tinker_lite.target": "http",
    "tinker_lite.pooling": "config",
    "tinker_lite.proxies": "config",
    "tinker_lite.routes": "config",
    "tinker_lite.tls": "config",
}


@dataclass(frozen=True)
class Source:
    """The text of one module, and whether it is a package's ``__init__.py``."""

    text: str
    is_package: bool = False


@dataclass(frozen=True)
class Import:
    """One module that another one imports."""

    source: str
    target: str
    line: int
    in_function: bool
    for_types: bool

    def __str__(self) -> str:
        where = " inside a function" if self.in_function else ""
        return f"{self.source} line {self.line} imports {self.target}{where}"


def layer_of(module: str) -> str | None:
    """The layer of one of our modules; None when the table has no room for it."""
    package, _, rest = module.partition(".")
    if package != "tinker_lite":
        return _LAYER_OF_PACKAGE.get(package)
    layer = _LAYER_OF_MODULE.get(module) or rest.partition(".")[0]
    return layer if layer in MAY_IMPORT else None


def imports_of(sources: Mapping[str, Source]) -> list[Import]:
    """Every import in a set of modules, with relative names made absolute."""
    return [
        found
        for module, source in sources.items()
        for found in _Reader(module, source.is_package, set(sources)).read(ast.parse(source.text))
    ]


def violations(sources: Mapping[str, Source]) -> list[str]:
    """Everything in a set of modules that breaks a rule, one sentence each."""
    imports = imports_of(sources)
    homeless = [
        f"{module} belongs to no layer of the table" for module in sources if not layer_of(module)
    ]
    return [
        *homeless,
        *(complaint for found in imports if (complaint := _complaint(found))),
        *_cycles(imports, set(sources)),
        *(line for module, source in sources.items() for line in _back_doors(module, source)),
    ]


class _Reader:
    """Reads the imports of one module."""

    def __init__(self, module: str, is_package: bool, known: set[str]) -> None:
        self.module = module
        self.package = (module if is_package else module.rpartition(".")[0]).split(".")
        self.known = known

    def read(
        self, tree: ast.AST, *, in_function: bool = False, for_types: bool = False
    ) -> Iterator[Import]:
        for node in ast.iter_child_nodes(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for target in self._targets(node):
                    yield Import(self.module, target, node.lineno, in_function, for_types)
            yield from self.read(
                node,
                in_function=in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef),
                for_types=for_types or _is_type_checking_block(node),
            )

    def _targets(self, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
            return
        parents = self.package[: len(self.package) - node.level + 1] if node.level else []
        base = ".".join([*parents, *([node.module] if node.module else [])])
        for alias in node.names:
            dotted = f"{base}.{alias.name}"
            yield dotted if dotted in self.known else base


def _is_type_checking_block(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def _complaint(found: Import) -> str | None:
    layer = layer_of(found.source)
    if layer is None or found.target == "__future__":
        return None
    lazily = _allowed_in_functions(found.target, layer)
    if found.in_function and not found.for_types:
        return None if lazily else f"{found}: not in the list of what may be imported there"
    top = found.target.partition(".")[0]
    if top in sys.stdlib_module_names:
        impure = layer in PURE_LAYERS and _is_within(found.target, IMPURE_MODULES)
        return f"{found}: {layer} decides as values" if impure and not found.for_types else None
    if top in _OUR_PACKAGES:
        allowed = bool(_layers_named_by(found.target) & {layer, "version", *MAY_IMPORT[layer]})
    else:
        allowed = top in MAY_IMPORT_OTHERS.get(layer, set())
    allowed |= found.for_types and lazily
    return None if allowed else f"{found}: {layer} may not"


def _allowed_in_functions(target: str, layer: str) -> bool:
    return any(
        _is_within(target, {name}) and (layers is None or layer in layers)
        for name, layers in IN_FUNCTIONS.items()
    )


def _is_within(target: str, modules: set[str]) -> bool:
    return any(target == module or target.startswith(f"{module}.") for module in modules)


def _layers_named_by(module: str) -> set[str]:
    names = {layer_of(module) or ""}
    return names | ({"endpoints"} if module == "tinker_lite.protocol.endpoints" else set[str]())


def _cycles(imports: Iterable[Import], modules: set[str]) -> list[str]:
    needs: dict[str, set[str]] = {module: set() for module in modules}
    for found in imports:
        runs_at_import = not found.in_function and not found.for_types
        if runs_at_import and found.target in modules and found.target != found.source:
            needs[found.source].add(found.target)
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError as error:
        return ["a cycle of imports: " + " <- ".join(error.args[1])]
    return []


def _back_doors(module: str, source: Source) -> Iterator[str]:
    """Ways around the table: an import by name, and the environment read outside config."""
    for node in ast.walk(ast.parse(source.text)):
        if not isinstance(node, ast.Name | ast.Attribute):
            continue
        name = ast.unparse(node)
        if name in BY_NAME and not source.is_package:
            yield f"{module} line {node.lineno} imports by name: only lazy package exports may"
        if name in ENVIRONMENT and layer_of(module) != "config":
            yield f"{module} line {node.lineno} reads the environment: only config does"
