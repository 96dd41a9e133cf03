"""Comparing controllers on a table: many seeds of each, in all processors, and what they found by when.

Every asked network counts as one evaluation, one that was asked for before included. No journal is written.
Where a table says which rows are the same network, a controller that never repeats one sees one row of each.
With fidelities an evaluation lasts as many epochs as it trains for, from the first one on: a table's columns are
runs of their own, so a longer one does not go on from a shorter one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import product

import numpy as np

from controllers.trial import Direction, Objective
from nas.benchmarking.controllers import ControllerSpec, read_controllers
from nas.benchmarking.processes import OnRun, carry_out
from nas.benchmarking.results import BenchResult, ControllerResult
from nas.benchmarking.rules import BenchRules, FrontScale, complete_rows, front_scale, values_of_rows
from nas.benchmarking.running import Bench, Run, Trace, read_columns
from nas.errors import InvalidInputError
from nas.evaluators.table import Table
from nas.evaluators.table_evaluator import TableEvaluator


def bench_table(
    table: Table,
    *,
    metric: str,
    controllers: Sequence[str],
    report_metric: str | None = None,
    trials: int = 200,
    seeds: int = 100,
    minimize: bool = False,
    rules: BenchRules | None = None,
    processes: int | None = None,
    on_run: OnRun = lambda done, total: None,
) -> BenchResult:
    """Run every controller with every seed on a table; the result does not depend on the number of processes.

    Args:
        table: what to search.
        metric: the column to search by.
        controllers: names, as `nas list controllers` shows them, with options such as ``evolution(population=50)``.
        report_metric: the column to report of the network that is best by `metric`; None for `metric` itself.
        trials: evaluations of a run; a run whose controller finds nothing new ends early. No limit where the
            rules have one of epochs.
        seeds: runs of each controller; run s has seed s.
        minimize: whether smaller is better.
        rules: costs, fidelities and a prior; None for none of them.
        processes: None for one per processor. With more than one, a script that calls this needs the usual
            ``if __name__ == "__main__":``, since every process loads it.
        on_run: told after every run how many are done, and of how many.

    Raises:
        InvalidInputError: a column, a controller or a number that cannot be.
        NASError: a process died.
    """
    _check(trials=trials, seeds=seeds, processes=processes)
    specs = read_controllers(controllers)
    direction: Direction = "minimize" if minimize else "maximize"
    bench = _prepare(table, rules or BenchRules(), metric=metric, report_metric=report_metric, direction=direction)
    for spec in specs:  # a controller that cannot be is said before anything runs
        bench.check(spec)
    bench.check_prior(specs)
    runs = [Run(spec, seed, trials) for spec, seed in product(specs, range(seeds))]
    traces = carry_out(bench, runs, processes=min(processes or os.cpu_count() or 1, len(runs)), on_run=on_run)
    return _combine_all(bench, specs, traces)


def _check(*, trials: int, seeds: int, processes: int | None) -> None:
    for name, value in (("trials", trials), ("seeds", seeds), ("processes", processes)):
        if value is not None and value < 1:
            raise InvalidInputError(f"{name} must be at least 1, got {value}.")


def _prepare(table: Table, rules: BenchRules, *, metric: str, report_metric: str | None, direction: Direction) -> Bench:
    objectives = rules.objectives(metric, direction)
    reported = report_metric or metric
    complete = complete_rows(table, rules, metric=metric).with_columns(read_columns(rules, (metric, reported)))
    evaluator = TableEvaluator(complete, metric=metric, fidelities=rules.fidelities or None)
    return Bench(complete, evaluator, objectives, reported, rules, _scale(complete, rules, objectives[0]))


def _scale(table: Table, rules: BenchRules, first: Objective) -> FrontScale | None:
    if not rules.costs:
        return None
    sides = (Objective(first.metric, first.direction), *(Objective(cost, "minimize") for cost in rules.costs))
    return front_scale(table, sides, reference=rules.reference)


def _combine_all(bench: Bench, specs: Sequence[ControllerSpec], traces: Sequence[Trace]) -> BenchResult:
    values = values_of_rows(bench.table, bench.objectives[0])
    best, worst = float(values.max()), float(values.min())
    if bench.objectives[0].direction == "minimize":
        best, worst = worst, best
    seeds = len(traces) // len(specs)
    parts = {spec.text: traces[i * seeds : (i + 1) * seeds] for i, spec in enumerate(specs)}
    found = {name: _combine(bench, part, optimum=best, worst=worst) for name, part in parts.items()}
    return BenchResult(best, found, {} if bench.scale is None else bench.scale.named_reference())


def _combine(bench: Bench, traces: Sequence[Trace], *, optimum: float, worst: float) -> ControllerResult:
    curves = np.array([trace.best for trace in traces])
    best = np.where(np.isfinite(curves), curves, worst)
    fronts = [trace.front for trace in traces if trace.front is not None]
    return ControllerResult(
        best=best,
        regret=np.abs(best - optimum),
        reported=np.array([trace.reported for trace in traces]),
        seconds=np.array([trace.seconds for trace in traces]),
        hypervolume=np.array(fronts) if fronts else None,
        epochs=np.array([float(trace.epochs) for trace in traces]) if bench.rules.fidelities else None,
        max_epochs=bench.rules.epochs,
        num_trials=np.array([float(trace.num_trials) for trace in traces]),
    )
