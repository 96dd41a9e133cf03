"""Arithmetic on one thread.

A controller proposes while workers train on every processor. There threads wait for each other, spinning: with two
trainings on two cores the predictor's proposals took four times as long on two threads as on one, and those of Optuna's
Gaussian process more than twelve times.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


@cache
def _libraries(*, torch_is_loaded: bool) -> ThreadpoolController:
    return ThreadpoolController()  # a search through what is loaded by now, some milliseconds


def one_thread() -> AbstractContextManager[object]:
    """Return a context in which BLAS and OpenMP, as far as they are loaded by now, keep to the caller's thread."""
    found: AbstractContextManager[object] = _libraries(torch_is_loaded="torch" in sys.modules).limit(limits=1)
    return found
