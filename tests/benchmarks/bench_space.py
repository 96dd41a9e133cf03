"""What the space costs: keys, complexity and building a second, and importing `nas` beside torch alone.

Run by `make bench`; prints a Markdown table.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from search_spaces.architecture import Architecture, Blueprint
from search_spaces.graph import canonical, cell_key
from search_spaces.nasnet import cell_space

SPACE = cell_space("nasnet")
REPEATS = 5


def rate(work: Callable[[list[Architecture]], None], count: int) -> list[float]:
    """Things a second, on fresh random architectures each time and with empty caches."""
    rates = []
    for seed in range(REPEATS):
        rng = np.random.default_rng(seed)
        architectures = [SPACE.sample(rng) for _ in range(count)]
        canonical.cache_clear()
        cell_key.cache_clear()
        start = time.perf_counter()
        work(architectures)
        rates.append(count / (time.perf_counter() - start))
    return rates


def blueprint(architecture: Architecture) -> Blueprint:
    """A CIFAR network of the search's size in the paper, N = 2, and of the final size, N = 6."""
    return Blueprint(architecture, 32, stem="cifar", depth=6, width=32)


def import_seconds(code: str) -> float:
    """Wall time of a fresh interpreter that runs `code`."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def report(name: str, values: list[float], unit: str) -> None:
    """Print one row."""
    print(
        f"| {name} | {statistics.median(values):,.2f} {unit} | {min(values):,.2f} to {max(values):,.2f} |", flush=True
    )


def main() -> None:
    """Print the table."""
    print(f"| what | median of {REPEATS} | spread |\n|---|---|---|")
    report("key, full-size random architectures", rate(lambda a: [SPACE.key(x) for x in a] and None, 1000), "/s")
    costs = rate(lambda a: [SPACE.complexity(blueprint(x)) for x in a] and None, 1000)
    report("complexity, CIFAR network N = 6, F = 32", costs, "/s")
    builds = [1000 / r for r in rate(lambda a: [SPACE.build(blueprint(x)) for x in a] and None, 5)]
    report("build, CIFAR network N = 6, F = 32", builds, "ms")
    pairs = [(import_seconds("import torch"), import_seconds("import torch, nas")) for _ in range(REPEATS)]
    report("import torch", [1000 * torch for torch, _ in pairs], "ms")
    report("import nas, more than torch", [1000 * (both - torch) for torch, both in pairs], "ms")
    used = "import torch; from nas.searching import search"
    more = [1000 * (import_seconds(used) - torch) for torch, _ in pairs]
    report("import what a search needs, more than torch", more, "ms")


if __name__ == "__main__":
    main()
