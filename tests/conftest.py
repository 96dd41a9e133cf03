"""What all tests share: one torch thread, as on a worker, and the golden files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """More threads than free cores slow small networks down a hundredfold, and tests run side by side."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def golden() -> Any:
    """Return a function that reads a golden file."""
    return lambda name: json.loads((GOLDEN / name).read_text())
