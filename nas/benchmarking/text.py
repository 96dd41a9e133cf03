"""A comparison in words: a heading, remarks on what the table lacks, and a line of text a controller."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nas.benchmarking.results import BenchResult
from nas.benchmarking.rules import BenchRules, differing_costs
from nas.evaluators.table import Table


def describe_runs(result: BenchResult, rules: BenchRules, *, metric: str, seeds: int, trials: int) -> str:
    """Return what was run and what the best possible is."""
    length = f"{trials} evaluations" if rules.epochs is None else f"{rules.epochs:,} epochs"
    weighed = "" if rules.target is None else f", weighed against {rules.costs[0]} (target {rules.target:g})"
    runs = "1 run" if seeds == 1 else f"{seeds} runs"
    return f"{runs} of {length} by {metric}{weighed}; its optimum is {result.optimum:.6g}"


def remarks(result: BenchResult, rules: BenchRules, *, table: Table, metric: str, trials: int) -> list[str]:
    """Return what is to be known beside the numbers, a line each: what the table lacks, runs that ended early."""
    space = table.space
    lacking = _num_incomplete(table, (metric, *rules.costs))
    parts = []
    if space.num_rows < space.size:
        parts.append(f"{space.size - space.num_rows:,} of {space.size:,} points have no row and are infeasible")
    if lacking:
        what = "the metric or a cost" if rules.costs else "the metric"
        parts.append(f"{lacking:,} of {space.num_rows:,} rows lack {what} and count as failed")
    if differing := differing_costs(table, rules.costs):
        parts.append(f"rows of the same network differ in {', '.join(differing)} and count as different networks")
    if result.reference:
        corner = ", ".join(f"{name} {value:.6g}" for name, value in result.reference.items())
        parts.append(f"front@N: hypervolume as a share of the table's own front's, measured from {corner}")
    if rules.epochs is None:
        parts += _early_ends(result, trials)
    return parts


def columns_of(result: BenchResult, rules: BenchRules, *, metric: str, report_metric: str) -> list[str]:
    """Return the headings over `rows_of`."""
    checkpoints = list(next(iter(result.controllers.values())).checkpoints)
    regrets = [f"regret@{count}" for count in _shown(checkpoints, rules)]
    fronts = [f"front@{count}" for count in checkpoints] if result.reference else []
    best = "best" if rules.target is None else "best reward"
    reported = [report_metric] if _has_report(rules, metric=metric, report_metric=report_metric) else []
    epochs = ["epochs"] if rules.fidelities else []
    return ["controller", *fronts, *regrets, best, *reported, "optimum found", *epochs, "s a run"]


def rows_of(result: BenchResult, rules: BenchRules, *, metric: str, report_metric: str) -> list[list[str]]:
    """Return a line of text a controller, with as many decimals in every line."""
    found = {name: controller.to_json() for name, controller in result.controllers.items()}
    pairs = [pair for entry in found.values() for pair in (entry["best"], entry["reported"]) if pair]
    regret_decimals = _decimals([regret for entry in found.values() for regret in entry["regret"].values()])
    decimals = _decimals([sd for _, sd in pairs])
    one_seed = all(len(controller.seconds) == 1 for controller in result.controllers.values())
    has_report = _has_report(rules, metric=metric, report_metric=report_metric)
    return [
        [
            name,
            *(f"{share:.2%}" for share in entry.get("hypervolume", {}).values()),
            *(f"{regret:.{regret_decimals}f}" for regret in _shown(list(entry["regret"].values()), rules)),
            _spread(entry["best"], decimals, one_seed=one_seed),
            *([_spread(entry["reported"], decimals, one_seed=one_seed)] if has_report else []),
            f"{entry['found_optimum']:.0%}",
            *([f"{entry['epochs']:.0f}"] if rules.fidelities else []),
            f"{entry['seconds']:.2g}",
        ]
        for name, entry in found.items()
    ]


def _has_report(rules: BenchRules, *, metric: str, report_metric: str) -> bool:
    """Return whether the report metric says more than the best value does."""
    return report_metric != metric or rules.target is not None


def _shown(regrets: list[Any], rules: BenchRules) -> list[Any]:
    """Return all of a controller's regrets, or only the last where the front is what the comparison is about."""
    return regrets[-1:] if rules.costs and rules.target is None else regrets


def _early_ends(result: BenchResult, trials: int) -> Iterator[str]:
    ended = {
        name: int(found.num_trials.max())
        for name, found in result.controllers.items()
        if found.num_trials is not None and found.num_trials.max() < trials
    }
    for count in sorted(set(ended.values())):
        names = ", ".join(name for name, most in ended.items() if most == count)
        yield f"{names}: no network is left after {count:,} of {trials:,} evaluations, so the runs end there"


def _num_incomplete(table: Table, names: Sequence[str]) -> int:
    known = np.all([np.isfinite(table.column(name)) for name in names], axis=0)
    return int(np.count_nonzero(~known))


def _spread(pair: Sequence[float] | None, decimals: int, *, one_seed: bool) -> str:
    if pair is None:
        return "-"
    return f"{pair[0]:.{decimals}f}" if one_seed else f"{pair[0]:.{decimals}f} ± {pair[1]:.{decimals}f}"


def _decimals(values: Sequence[float]) -> int:
    """Return how many decimals show the smallest of these numbers that is not 0 with two digits, within 2 to 5."""
    smallest = min((abs(value) for value in values if value), default=1.0)
    return min(5, max(2, 1 - math.floor(math.log10(smallest))))
