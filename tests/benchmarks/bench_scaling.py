"""The figures of scaling, measured: budgets met by five networks, and a grid of coefficients trained on digits.

    python tests/benchmarks/bench_scaling.py budgets
    python tests/benchmarks/bench_scaling.py families
    python tests/benchmarks/bench_scaling.py grid [--workers 2] [--seeds 3] [--out results/scale-digits]

Prints Markdown tables. The grid goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np

import nas
from nas.scaling import counting
from nas.scaling.budgets import Budgets
from nas.scaling.dimensions import make_scaler
from nas.scaling.family import Family, scale
from nas.scaling.laws import make_law
from nas.scaling.members import Line
from nas.scaling.solver import solve
from search_spaces.architecture import Blueprint
from search_spaces.registry import get_space

BUDGETS = 20  # a network, from 0.1 to 20 times its MACs
BASE = {"depth": 2, "width": 8, "resolution": 12}  # NASNet-A's cells on digits: 40 points, 14 networks


def networks() -> dict[str, Blueprint]:
    """Return the five that budgets are solved for."""
    cell = get_space("nasnet").sample(np.random.default_rng(3))
    named = {
        name: nas.get_blueprint(name) for name in ("nasnet-a-mobile", "efficientnet-b0", "resnet-18", "mobilenet-v2")
    }
    return {**named, "a drawn cell": nas.get_blueprint(cell, classes=10, input_shape=(3, 32, 32))}


def bench_budgets() -> None:
    """Solve for random budgets, with no count kept from one to the next."""
    print("| network | above 90 % | least use | slowest, s | of the CPU, s | members counted |\n" + "|---" * 6 + "|")
    for i, (name, blueprint) in enumerate(networks().items()):
        scaler = make_scaler(blueprint)
        base, used, seconds, cpu_seconds, counted = scaler.count(scaler.base).macs, [], [], [], []
        for factor in np.exp(np.random.default_rng(i).uniform(np.log(0.1), np.log(20), BUDGETS)):
            counting.count.cache_clear()
            start, cpu_start = time.perf_counter(), time.process_time()
            found = solve(scaler, make_law("compound"), Budgets(macs=base * factor))
            seconds.append(time.perf_counter() - start)
            cpu_seconds.append(time.process_time() - cpu_start)
            counted.append(found.counted)
            used.append(scaler.count(found.blueprint).macs / (base * factor))
        assert max(used) <= 1
        above = sum(share > 0.9 for share in used)
        slowest = f"{max(seconds):.3f} | {max(cpu_seconds):.3f}"
        print(f"| {name} | {above} of {BUDGETS} | {min(used):.1%} | {slowest} | {min(counted)} to {max(counted)} |")


def bench_families() -> None:
    """Print realised MACs of phi = 0 to 7 and their factors."""
    print("| network | phi 0 to 7: MACs over the base's | least and largest factor of a step |\n|---|---|---|")
    for name in ("nasnet-a-mobile", "efficientnet-b0"):
        scaler = make_scaler(nas.get_blueprint(name))
        family = Line(scaler, make_law("compound"), name)
        macs = [scaler.count(family.blueprint_at(phi)).macs for phi in range(8)]
        steps = [larger / smaller for smaller, larger in pairwise(macs)]
        shown = ", ".join(f"{count / macs[0]:.2f}" for count in macs)
        print(f"| {name} | {shown} | {min(steps):.2f}, {max(steps):.2f} |")


def bench_grid(*, workers: int, seeds: int, out: str) -> None:
    """Train the grid and the ablation."""
    executor = {"executor": "ray", "workers": workers} if workers > 1 else {}
    start = time.perf_counter()
    family = scale("nasnet-a", data="digits", **BASE, seeds=seeds, phi=[1], out=out, **executor)
    print(f"{time.perf_counter() - start:.0f} s; coefficients {family.coefficients}\n")
    print_grid(family)


def print_grid(family: Family) -> None:
    """Print the best points, and the ablation."""
    print("| point | MACs | validation accuracy | seeds |\n|---|---|---|---|")
    able = [point for point in family.grid if point.accuracy]
    best = sorted(able, key=lambda point: -point.accuracy.mean if point.accuracy else 0.0)[:10]
    for point in (*best, *family.ablation):
        if found := point.accuracy:
            row = f"{point.point.label} | {point.cost.macs:,} | {found.mean:.2%} +- {found.std:.2%} | {found.seeds}"
            print(f"| {row} |")


def main() -> None:
    """Run what is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="budgets", choices=["budgets", "families", "grid"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", default="results/scale-digits")
    given = parser.parse_args()
    jobs: dict[str, Callable[[], None]] = {"budgets": bench_budgets, "families": bench_families}
    jobs["grid"] = lambda: bench_grid(workers=given.workers, seeds=given.seeds, out=given.out)
    jobs[given.what]()


if __name__ == "__main__":
    main()
