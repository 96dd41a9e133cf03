"""Neural architecture search for image classifiers: search, scale, compare.

>>> import nas
>>> run = nas.search(space="nasnet", data="digits", trials=24, seed=0)
>>> run.best.metrics["test_accuracy"], run.best.network()

Names are loaded when they are first used, so that importing this costs little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.lazy import lazy_attributes

if TYPE_CHECKING:
    from nas import baselines
    from nas.building import build, complexity, get_blueprint
    from nas.comparison.comparing import compare
    from nas.config import SearchConfig
    from nas.data import load_data
    from nas.errors import NASError
    from nas.exporting.running import export
    from nas.profiling import profile
    from nas.run import Run, load
    from nas.scaling.family import scale
    from nas.searching import resume, search
    from nas.testing import test
    from nas.training.runs.running import train
    from search_spaces.registry import as_space

_HOMES = {
    "NASError": "nas.errors",
    "Run": "nas.run",
    "SearchConfig": "nas.config",
    "as_space": "search_spaces.registry",
    "baselines": "nas.baselines",
    "build": "nas.building",
    "compare": "nas.comparison.comparing",
    "complexity": "nas.building",
    "export": "nas.exporting.running",
    "get_blueprint": "nas.building",
    "load": "nas.run",
    "load_data": "nas.data",
    "profile": "nas.profiling",
    "resume": "nas.searching",
    "scale": "nas.scaling.family",
    "search": "nas.searching",
    "test": "nas.testing",
    "train": "nas.training.runs.running",
}

__all__ = [
    "NASError",
    "Run",
    "SearchConfig",
    "as_space",
    "baselines",
    "build",
    "compare",
    "complexity",
    "export",
    "get_blueprint",
    "load",
    "load_data",
    "profile",
    "resume",
    "scale",
    "search",
    "test",
    "train",
]


__getattr__ = lazy_attributes(__name__, _HOMES)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
