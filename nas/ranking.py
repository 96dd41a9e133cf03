"""Which of several records is better: the one that is known best counts before the one that scores best.

A search with several fidelities measures most networks after a few epochs. Such a score is lower than the final one, or
luckily higher; it says little about a network that was trained to the end. So records are compared by fidelity
first, and by score within one.
"""

from __future__ import annotations

from collections.abc import Iterable

from controllers.trial import Objective, Record


def standing(record: Record, objective: Objective) -> tuple[float, float] | None:
    """Return what records are compared by, larger is better: fidelity, then score; None without a result.

    Raises:
        UnknownNameError: a result without a metric of the objective.
    """
    score = objective.score(record.measurement)
    return None if score is None else (record.trial.fidelity, score)


def is_new_network(record: Record) -> bool:
    """Whether a record is the first result of a network: neither a stored one nor that of a training further."""
    return record.measurement.ok and record.reused_from is None and record.trial.continues is None


def rank_records(records: Iterable[Record], objective: Objective) -> list[Record]:
    """Return the networks with a result, best first, each once: by its record of the highest fidelity.

    Networks are told apart by the trial that trained them first; records reused from another trial are left out.
    Of equals the earlier comes first.

    Raises:
        UnknownNameError: a result without a metric of the objective.
    """
    best: dict[int, tuple[tuple[float, float], Record]] = {}
    for record in records:
        rank = standing(record, objective)
        if rank is None or record.reused_from is not None:
            continue
        root = record.trial.root
        if root not in best or rank > best[root][0]:
            best[root] = rank, record
    ranked = sorted(best.values(), key=lambda pair: (-pair[0][0], -pair[0][1], pair[1].trial.number))
    return [record for _, record in ranked]
