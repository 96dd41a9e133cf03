"""A benchmark of the engine in words."""

from __future__ import annotations

import statistics

from nas.benchmarking.engine.results import EngineResult, Side
from nas.training.clock import PHASES

COLUMNS = ("", "networks/hour", "ms a step", *PHASES, "idle")


def heading(result: EngineResult) -> str:
    """Return what was run."""
    ours = result.side("ours")
    assert ours is not None
    count, rounds = len(ours.accuracies), len(result.rounds)
    return f"{count} networks of stream {result.stream!r} on {result.device}, in {rounds} rounds"


def rows(result: EngineResult) -> list[list[str]]:
    """Return a line of text for each way of training, under `COLUMNS`."""
    ours, plain = result.side("ours"), result.side("plain")
    found = [] if ours is None else [_row(f"this engine, {_workers(ours)}", ours)]
    threads = result.threads[1]
    return found + ([] if plain is None else [_row(f"plain loop, {threads} thread{'s' * (threads > 1)}", plain)])


def conclusions(result: EngineResult) -> list[str]:
    """Return what the comparison says, a line each."""
    lines = []
    if result.ratios:
        ratios = result.ratios
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        lines.append(f"{statistics.median(ratios):.2f} times the plain loop's networks per hour (rounds: {spread})")
    lines += _difference("ours less the plain loop's", result.difference())
    return lines + _difference("ours with two seeds", result.seed_difference())


def _difference(what: str, pair: tuple[float, float] | None) -> list[str]:
    if pair is None:
        return []
    mean, error = pair
    return [f"validation accuracy, {what}: {mean:+.2%} ± {error:.2%} (mean over networks, standard error)"]


def _workers(side: Side) -> str:
    return "1 worker" if side.workers == 1 else f"{side.workers} workers"


def _row(name: str, side: Side) -> list[str]:
    shares = side.shares()
    percents = [f"{shares[phase]:.0%}" for phase in (*PHASES, "idle")]
    return [name, f"{side.networks_per_hour:,.0f}", f"{side.step_ms:.1f}", *percents]
