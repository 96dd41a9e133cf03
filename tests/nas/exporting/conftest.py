"""What the tests of exporting share: small networks of all kinds."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def nets() -> ModuleType:
    """Return the module `small_networks`; tests are not a package, so it is loaded by its path."""
    path = Path(__file__).with_name("small_networks.py")
    spec = importlib.util.spec_from_file_location("small_networks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give ``case`` every published cell network, and random architectures of every space."""
    from search_spaces.genotypes import NETWORKS

    if "case" in metafunc.fixturenames:
        numbered = [f"{space} {i}" for space in ("nasnet", "nasbench201", "mbconv") for i in range(20)]
        metafunc.parametrize("case", [*NETWORKS, *numbered])
