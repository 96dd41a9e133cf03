"""Processes that evaluate import the evaluators of these tests, and those of the executors' tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session", autouse=True)
def _importable() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for folder in (str(HERE), str(HERE.parent / "executors")):
            patch.syspath_prepend(folder)
            patch.setenv("PYTHONPATH", folder, prepend=os.pathsep)
        yield
