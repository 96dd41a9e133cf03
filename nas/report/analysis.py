"""What the records of a run say: the best networks, where the winner came from, what was spent, what failed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from controllers.trial import Objective, Record
from nas.errors import InvalidInputError
from nas.executors.simulated_executor import FINISHED
from nas.report.pareto import non_dominated, pareto_front
from nas.report.summary import RunSummary
from search_spaces.architecture import Architecture, Decision

SIZES = ("params", "macs")
_NUMBER = re.compile(r"\d[\d.,]*")


def score_of(record: Record, objective: Objective) -> float | None:
    """Return the number to maximise; None without a result, or without the metrics that the objective needs."""
    try:
        return objective.score(record.measurement)
    except InvalidInputError:
        return None


def objective_value(record: Record, objective: Objective) -> float | None:
    """Return the score with its own sign again: what people expect to read."""
    score = score_of(record, objective)
    return score if score is None or objective.direction == "maximize" else -score


def metric_of(record: Record, name: str) -> float | None:
    """Return a metric of a record with a result."""
    return record.measurement.metrics.get(name) if record.measurement.ok else None


def top_records(records: Sequence[Record], *, objective: Objective, count: int) -> list[Record]:
    """Return the best records of different networks, best first; of equals the earlier first.

    What was trained longer comes before what was trained less, as in `nas.ranking`.
    """
    scored = [
        ((record.trial.fidelity, score), record)
        for record in records
        if (score := score_of(record, objective)) is not None
    ]
    best: dict[Architecture, Record] = {}
    shown: set[int] = set()
    for _, record in sorted(scored, key=lambda pair: (-pair[0][0], -pair[0][1])):
        architecture, original = record.trial.architecture, record.reused_from
        if architecture not in best and original not in shown:
            best[architecture] = record
            shown |= {record.trial.number} | ({original} if original is not None else set())
        if len(best) == count:
            break
    return list(best.values())


def fully_trained(records: Sequence[Record]) -> list[Record]:
    """Return the results of the highest fidelity that has any: a score after few epochs says little of a network.

    As in `nas.ranking`; where all trainings are equally long these are all results.
    """
    results = [record for record in records if record.measurement.ok]
    fidelity = max((record.trial.fidelity for record in results), default=0.0)
    return [record for record in results if record.trial.fidelity == fidelity]


def best_record(summary: RunSummary) -> Record | None:
    """Return the record of the best network, or None when nothing has a result."""
    return next(iter(top_records(summary.records, objective=summary.objective, count=1)), None)


def front_numbers(summary: RunSummary, *, cost: str) -> set[int]:
    """Return the numbers of the trials on the Pareto front of the objective's metric against a cost.

    Only networks that were trained in full are on it.
    """
    sign = 1 if summary.objective.direction == "maximize" else -1
    points = []
    name = summary.objective.metric
    weighed = [r for r in summary.records if metric_of(r, name) is not None and metric_of(r, cost) is not None]
    for record in fully_trained(weighed):
        value, price = metric_of(record, name), metric_of(record, cost)
        if value is not None and price is not None and record.reused_from is None:
            points.append((record.trial.number, price, sign * value))
    front = pareto_front([price for _, price, _ in points], [value for _, _, value in points])
    return {points[i][0] for i in front}


def cost_names(summary: RunSummary) -> tuple[str, ...]:
    """Return the metrics that results are weighed up against: those that were asked for, then the sizes."""
    weighed = () if summary.objective.target is None else (summary.objective.cost,)
    return tuple(dict.fromkeys((*summary.costs, *weighed, *SIZES)))


def front_records(records: Iterable[Record], *, objectives: Sequence[Objective]) -> list[Record]:
    """Return the records on the Pareto front of several objectives, the best by the first one first.

    Each network counts once, with its first record; those without a score in every objective are left out.
    """
    scored: dict[Architecture, tuple[Record, list[float]]] = {}
    for record in records:
        scores = [score for objective in objectives if (score := score_of(record, objective)) is not None]
        if record.reused_from is None and len(scores) == len(objectives):
            scored.setdefault(record.trial.architecture, (record, scores))
    candidates = list(scored.values())
    front = [candidates[i] for i in non_dominated([scores for _, scores in candidates])]
    return [record for record, _ in sorted(front, key=lambda pair: (-pair[1][0], pair[0].trial.number))]


def simulated_seconds(records: Iterable[Record]) -> float | None:
    """Return what the simulated clock shows after the last record; None if time was real."""
    times = [time for record in records if (time := record.measurement.metrics.get(FINISHED)) is not None]
    return max(times, default=None)


@dataclass(frozen=True, slots=True)
class Change:
    """A decision in which a child differs from its parent; the options in words, the decision by name or place."""

    decision: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Ancestor:
    """One step of a lineage.

    Attributes:
        number: of the trial.
        record: what is known of it; None if nothing is.
        changes: against the step before; empty for the first.
        others: numbers of further parents.
    """

    number: int
    record: Record | None
    changes: tuple[Change, ...] = ()
    others: tuple[int, ...] = ()


def lineage(summary: RunSummary, winner: Record) -> list[Ancestor]:
    """Return the chain of first parents that ends in the winner, oldest first."""
    known = {record.trial.number: record for record in summary.records}
    steps: list[Ancestor] = []
    number: int | None = winner.trial.number
    while number is not None:
        record = known.get(number)
        parents = record.trial.parents if record else ()
        # parents are older than their children: anything else would be a loop
        parent = parents[0] if parents and parents[0] < number else None
        before = known.get(parent) if parent is not None else None
        changed = changes(before, record, decisions=summary.decisions) if before and record else ()
        steps.append(Ancestor(number, record, changed, tuple(parents[1:])))
        number = parent
    return steps[::-1]


def changes(before: Record, after: Record, *, decisions: Sequence[Decision]) -> tuple[Change, ...]:
    """Return what differs between the architectures of two records of the same space."""
    old, new = before.trial.architecture, after.trial.architecture
    if old.space != new.space or len(old.choices) != len(new.choices):
        return ()
    return tuple(
        Change(*_words(decisions, i, a, b))
        for i, (a, b) in enumerate(zip(old.choices, new.choices, strict=True))
        if a != b
    )


def _words(decisions: Sequence[Decision], i: int, a: int, b: int) -> tuple[str, str, str]:
    if i >= len(decisions) or max(a, b) >= len(decisions[i]):
        return f"decision {i}", f"option {a}", f"option {b}"
    return decisions[i].name.replace("_", " "), str(decisions[i].options[a]), str(decisions[i].options[b])


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run cost.

    Attributes:
        trained: networks evaluated with a result.
        continued: trials that trained one of them further.
        network_epochs: epochs of all these together; None if the length of some is unknown.
        worker_s: seconds of all evaluations together, failed ones included.
        reused: trials that were answered with a stored result.
        infeasible: trials refused before training.
        failed: trials that ended without a result.
        trained_macs: multiply-accumulates of the forward passes of these trainings; those of the backward passes are
            about twice as many. None if a network's, its epochs, or the number of images are unknown.
    """

    trained: int
    continued: int
    network_epochs: float | None
    worker_s: float
    reused: int
    infeasible: int
    failed: int
    trained_macs: float | None = None


def spent(summary: RunSummary) -> Spent:
    """Add up what a run cost."""
    own = [record for record in summary.records if record.reused_from is None]
    statuses = Counter(record.measurement.status for record in own)
    epochs = [_epochs_spent(record, default=summary.epochs) for record in own if record.measurement.ok]
    continued = sum(record.measurement.ok and record.trial.continues is not None for record in own)
    known = [value for value in epochs if value is not None]
    return Spent(
        trained=statuses["ok"] - continued,
        continued=continued,
        network_epochs=sum(known) if len(known) == len(epochs) else None,
        worker_s=sum(record.measurement.seconds for record in own),
        reused=len(summary.records) - len(own),
        infeasible=statuses["infeasible"],
        failed=len(own) - statuses["ok"] - statuses["infeasible"],
        trained_macs=_trained_macs([record for record in own if record.measurement.ok], summary),
    )


def _trained_macs(trained: Sequence[Record], summary: RunSummary) -> float | None:
    total = 0.0
    for record in trained:
        macs, epochs = metric_of(record, "macs"), _epochs_spent(record, default=summary.epochs)
        if summary.train_images is None or macs is None or epochs is None:
            return None
        total += macs * epochs * summary.train_images
    return total if trained else None


def _epochs_spent(record: Record, *, default: int | None) -> float | None:
    """Return the epochs that a trial itself took: those of the trials that it continues are theirs."""
    spent = record.measurement.metrics.get("epochs_spent")
    return spent if spent is not None else epochs_of(record, default=default)


def epochs_of(record: Record, *, default: int | None) -> float | None:
    """Return the epochs that a trial was trained for: as measured, else its budget, else the recipe's."""
    measured = record.measurement.metrics.get("epochs")
    return measured if measured is not None else record.trial.budget or default


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures for the same reason: their status, their trials, and the error text of the first."""

    status: str
    reason: str
    numbers: tuple[int, ...]
    text: str


def failure_groups(records: Sequence[Record]) -> list[FailureGroup]:
    """Group what has no result by status and reason, the commonest first; numbers in reasons may differ."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if not record.measurement.ok:
            key = (record.measurement.status, _NUMBER.sub("#", reason_of(record)))
            groups.setdefault(key, []).append(record)
    return [
        FailureGroup(
            members[0].measurement.status,
            reason_of(members[0]),
            tuple(member.trial.number for member in members),
            members[0].measurement.error,
        )
        for members in sorted(groups.values(), key=len, reverse=True)
    ]


def reason_of(record: Record) -> str:
    """Return the last line of a failure's text: where a traceback says what went wrong."""
    lines = record.measurement.error.strip().splitlines()
    return lines[-1].strip() if lines else ""
