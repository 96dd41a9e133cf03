"""The layers: search_spaces <- controllers <- nas, no cycles, heavy packages in their adapters only."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx
import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("search_spaces", "controllers", "nas")
# Where each heavy package may be imported; everywhere else it may be missing.
HOMES = {
    "ray": {"nas.executors.ray_cluster", "nas.tuning", "nas.tuning.searcher", "nas.tuning.trainable"},
    "optuna": {"controllers.optuna_adapter", "controllers.optuna_sampler", "nas.optuna_study"},
}


def modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path, *, at_load: bool) -> Iterator[str]:
    """Names that a module imports: when it is loaded, or anywhere in it; type checking apart."""
    tree = ast.parse(path.read_text())
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if at_load and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        pending.extend(ast.iter_child_nodes(node))


def test_imports_point_downwards() -> None:
    wrong = []
    for name, path in modules().items():
        allowed = PACKAGES[: PACKAGES.index(name.split(".")[0]) + 1]
        for imported in imports(path, at_load=False):
            if imported.split(".")[0] in PACKAGES and imported.split(".")[0] not in allowed:
                wrong.append(f"{name} -> {imported}")
    assert wrong == []


def test_no_import_cycles() -> None:
    known = modules()
    graph = networkx.DiGraph()
    for name, path in known.items():
        for imported in set(imports(path, at_load=True)) & known.keys():
            if imported != name and not name.startswith(f"{imported}."):
                graph.add_edge(name, imported)
    assert list(networkx.simple_cycles(graph)) == []


@pytest.mark.parametrize("package", HOMES)
def test_heavy_packages_stay_in_their_adapters(package: str) -> None:
    users = {
        name
        for name, path in modules().items()
        if any(imported.split(".")[0] == package for imported in imports(path, at_load=False))
    }
    assert users <= HOMES[package]


def test_import_nas_needs_neither_ray_nor_optuna() -> None:
    """With both packages hidden, everything but their adapters can be imported and used."""
    code = """
import sys
sys.modules["ray"] = sys.modules["optuna"] = None
import nas, controllers, search_spaces
from nas.searching import search
from controllers import make_controller
space = search_spaces.get_space("nasnet")
print(len(make_controller("evolution", space).ask(3)))
for name in ("torchvision", "sklearn", "matplotlib"):
    assert name not in sys.modules, name
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "3"
