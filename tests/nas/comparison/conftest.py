"""Settings of comparisons that take a second, and a search to compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import nas

QUICK: dict[str, Any] = {
    "train_limit": 100,
    "recipe_changes": {"epochs": 1},
    "measure": False,
    "random": 0,
    "random_search": 0,
}
SEARCH: dict[str, Any] = {
    "space": "nasbench201",
    "controller": "evolution",
    "train_limit": 100,
    "trials": 2,
    "depth": 1,
    "width": 4,
    "recipe_changes": {"epochs": 1},
    "final_recipe": "proxy",
}
OWN = """from torch import nn


def Net(choose):
    filters = choose("filters", [2, 4, 8, 16])
    return nn.Sequential(nn.Conv2d(1, filters, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36 * filters, 10))
"""


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished search."""
    folder = tmp_path_factory.mktemp("comparison") / "found"
    nas.search(out=folder, **SEARCH)
    return folder


@pytest.fixture(scope="session")
def found_in_own_space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished search of a user's own space, whose file is gone."""
    folder = tmp_path_factory.mktemp("own")
    file = folder / "own.py"
    file.write_text(OWN)
    settings = {name: value for name, value in SEARCH.items() if name not in ("depth", "width")}
    nas.search(out=folder / "run", **{**settings, "space": str(file)})
    file.unlink()
    return folder / "run"
