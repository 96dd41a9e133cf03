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


RANDOM = 20  # architectures of every space
OFTEN = ("nasnet", "nasbench201", "mbconv", "own")  # the others are variants of the first


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give ``case`` every published cell network and cell, and random architectures of every space, a user's too."""
    from search_spaces.genotypes import CELLS, NETWORKS
    from search_spaces.registry import SPACES

    if "case" in metafunc.fixturenames:
        alone = CELLS.keys() - {network.cells for network in NETWORKS.values()}
        numbered = [
            pytest.param(f"{space} {i}", marks=() if space in OFTEN or i == 0 else pytest.mark.slow)
            for space in (*SPACES, "own")
            for i in range(RANDOM)
        ]
        metafunc.parametrize("case", [*NETWORKS, *sorted(alone), *numbered])
