"""The synthetic space that the tests of controllers share."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def tables() -> ModuleType:
    """Return the module `table_space`; tests are not a package, so it is loaded by its path."""
    path = Path(__file__).with_name("table_space.py")
    spec = importlib.util.spec_from_file_location("table_space", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
