"""What tests of executors share: an evaluator that other processes can import, and trials."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controllers.trial import Trial
from nas.executors.executor import Completion, Executor
from search_spaces.nasnet import cell_space

SPACE = cell_space("nasnet:blocks=1")


@pytest.fixture
def misbehaving(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that makes an evaluator of `misbehaving`, which leaves its files in the test's folder."""
    from misbehaving import Misbehaving

    return lambda how=None, seconds=0.0: Misbehaving(str(tmp_path), how or {}, seconds)


@pytest.fixture(scope="session")
def trials() -> Callable[[int], list[Trial]]:
    """Return a function that gives so many trials."""

    def make(count: int) -> list[Trial]:
        rng = np.random.default_rng(0)
        return [Trial(number, SPACE.sample(rng)) for number in range(count)]

    return make


@pytest.fixture(scope="session")
def drain() -> Callable[..., list[Completion]]:
    """Return a function that waits until so many trials came back."""

    def wait(executor: Executor, count: int, *, limit_s: float = 120.0) -> list[Completion]:
        done: list[Completion] = []
        end = time.monotonic() + limit_s
        while len(done) < count:
            assert time.monotonic() < end, f"only {len(done)} of {count} trials came back"
            done += executor.wait(1.0)
        return done

    return wait
