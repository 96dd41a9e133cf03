"""The rows of a comparison: what every network scored and cost, and whether its distance from the best is chance."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from controllers.trial import Record
from nas.comparison.competitors import Competitor
from nas.comparison.statistics import Difference, Outcome, differences
from nas.comparison.testing import Costs, Tested
from nas.comparison.training import training_of
from nas.report.formatting import status_words
from nas.scaling.grid import PointSpace
from search_spaces.architecture import Blueprint


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation of some trainings; None for the deviation of a single one."""

    mean: float
    std: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """Return that of these values; None where there are none."""
        if not values:
            return None
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {"mean": self.mean, "std": self.std}


@dataclass(frozen=True, slots=True)
class Row:
    """A network of a comparison, or several random ones as one.

    Attributes:
        label: what it is called.
        kind: see `nas.comparison.competitors.Competitor`.
        note: what is to be known of it; empty for nothing.
        networks: how many networks the row stands for.
        blueprint: the network; None for several.
        params, macs: counted; means of several networks.
        top1, top5: shares of the test images, over seeds, or over random networks; None where nothing was trained, and
            `top5` where there are no more than five classes.
        accuracies: `top1` of each training.
        difference: from the best; None for the best itself, and where nothing was trained.
        costs: memory and latency; means of several networks.
        train_s: mean seconds of a training.
        epochs: mean epochs of a training.
        failures: reasons, one a failed training.
    """

    label: str
    kind: str
    note: str
    networks: int
    blueprint: Blueprint | None
    params: float
    macs: float
    top1: Spread | None
    top5: Spread | None
    accuracies: tuple[float, ...]
    difference: Difference | None
    costs: Costs | None
    train_s: float | None
    epochs: float | None
    failures: tuple[str, ...]

    @property
    def density(self) -> float | None:
        """Accuracy in percent per million parameters (Bianco 2018, "accuracy density")."""
        return None if self.top1 is None else 100 * self.top1.mean / (self.params / 1e6)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        plain = ("label", "kind", "note", "networks", "params", "macs", "train_s", "epochs", "density")
        parts = {name: getattr(self, name) for name in ("top1", "top5", "difference", "costs", "blueprint")}
        return {
            **{name: getattr(self, name) for name in plain},
            **{name: None if part is None else part.to_json() for name, part in parts.items()},
            "accuracies": list(self.accuracies),
            "failures": list(self.failures),
        }


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that was measured.

    Attributes:
        space: the trainings.
        records: their results.
        tests: of the trained networks, by number of training.
        costs: of the networks, by label.
    """

    space: PointSpace
    records: tuple[Record, ...]
    tests: Mapping[int, Tested]
    costs: Mapping[str, Costs]


def make_rows(competitors: Sequence[Competitor], results: Results) -> tuple[Row, ...]:
    """Return the rows, the most accurate first; networks without any training last.

    Args:
        competitors: in the order in which they were named.
        results: what was measured of them.
    """
    groups: dict[str, list[Competitor]] = {}
    for one in competitors:
        groups.setdefault(one.group or one.label, []).append(one)
    made = [_make_row(label, members, results) for label, members in groups.items()]
    able = [(row, outcome) for row, outcome in made if outcome is not None]
    contenders = [pair for pair in able if pair[0].kind != "random"] or able
    if not contenders:
        return tuple(row for row, _ in made)
    best = max(contenders, key=lambda pair: _accuracy(pair[0]))
    others = [pair for pair in able if pair is not best]
    found = differences(best[1], [outcome for _, outcome in others])
    compared = [replace(row, difference=gap) for (row, _), gap in zip(others, found, strict=True)]
    failed = [row for row, outcome in made if outcome is None]
    return (*sorted([best[0], *compared], key=_accuracy, reverse=True), *failed)


def _accuracy(row: Row) -> float:
    return row.top1.mean if row.top1 else -math.inf


def _make_row(label: str, members: Sequence[Competitor], results: Results) -> tuple[Row, Outcome | None]:
    labels = {one.label for one in members}
    of_these = [r for r in results.records if training_of(results.space, r.trial.architecture)[0].label in labels]
    records = sorted(of_these, key=lambda record: record.trial.number)  # workers end in any order
    good = [record for record in records if record.trial.number in results.tests]
    tests = [results.tests[record.trial.number] for record in good]
    seeds = tuple(record.trial.architecture.choices[1] for record in good)
    accuracies = tuple(test.top1 for test in tests)
    grouped = bool(members[0].group)
    row = Row(
        label,
        members[0].kind,
        "; ".join(note for note in (members[0].note, _parts_note(good)) if note),
        len(members),
        None if grouped else members[0].blueprint,
        statistics.fmean([one.cost.params for one in members]),
        statistics.fmean([one.cost.macs for one in members]),
        Spread.of(accuracies),
        Spread.of([test.top5 for test in tests if test.top5 is not None]),
        accuracies,
        None,
        _mean_costs([results.costs[one.label] for one in members if one.label in results.costs]),
        _mean([record.measurement.metrics["train_s"] for record in good]),
        _mean([record.measurement.metrics["epochs"] for record in good]),
        _failures(records, results, members),
    )
    if not tests:
        return row, None
    return row, Outcome(accuracies, seeds, np.stack([test.correct for test in tests]), paired=not grouped)


def _parts_note(records: Sequence[Record]) -> str:
    """Say that batches were computed in more parts than the recipe's, for the memory there was."""
    parts = max((int(record.measurement.metrics.get("accumulation", 0)) for record in records), default=0)
    return f"its batches were computed in up to {parts} parts, for the memory there was" if parts else ""


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _mean_costs(costs: Sequence[Costs]) -> Costs | None:
    if not costs:
        return None
    times = [
        _mean([value for one in costs if (value := getattr(one, name)) is not None])
        for name in ("latency_ms", "latency_64_ms")
    ]
    sizes = [
        statistics.fmean([getattr(one, name) for one in costs]) for name in ("activation_bytes", "peak_memory_bytes")
    ]
    return Costs(round(sizes[0]), round(sizes[1]), *times)


def _failures(records: Sequence[Record], results: Results, members: Sequence[Competitor]) -> tuple[str, ...]:
    reasons = []
    for record in records:
        measured = record.measurement
        if measured.ok:
            continue
        point, seed = training_of(results.space, record.trial.architecture)
        last = (measured.error.strip() or "no reason given").splitlines()[-1]
        who = f"{point.label}, " if len(members) > 1 else ""
        reasons.append(f"{who}seed {seed}: {status_words(measured.status)}: {last}")
    return tuple(reasons)
