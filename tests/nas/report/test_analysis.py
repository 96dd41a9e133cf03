"""What the records of a run say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from controllers.trial import Objective, Record
from nas.report.analysis import (
    Change,
    best_record,
    cost_names,
    failure_groups,
    front_numbers,
    front_records,
    fully_trained,
    lineage,
    objective_value,
    score_of,
    spent,
    top_records,
)
from nas.report.summary import RunSummary
from search_spaces.architecture import Decision

Make = Callable[..., Record]


def _numbers(records: list[Record]) -> list[int]:
    return [record.trial.number for record in records]


def test_best_networks_come_first_and_once(ok: Make, failed: Make) -> None:
    """A reused result, and the same network drawn again, are not a second network."""
    same = {"choices": (1, 1, 1, 1, 1, 1)}
    records = [ok(0, 0.5), ok(1, 0.9, **same), failed(2), ok(3, 0.9, reused_from=1), ok(4, 0.9, **same), ok(5, 0.7)]
    assert _numbers(top_records(records, objective=Objective(), count=9)) == [1, 5, 0]


def test_of_equal_results_the_earlier_is_best(ok: Make) -> None:
    assert _numbers(top_records([ok(3, 0.9), ok(4, 0.9)], objective=Objective(), count=1)) == [3]


def test_smaller_is_better_when_minimising(ok: Make) -> None:
    objective = Objective("params", "minimize")
    records = [ok(0, 0.9, params=5e5), ok(1, 0.9, params=1e5)]
    assert _numbers(top_records(records, objective=objective, count=1)) == [1]
    assert objective_value(records[1], objective) == 1e5


def test_a_missing_metric_is_no_score(ok: Make) -> None:
    assert score_of(ok(0, 0.9), Objective("latency_ms", "minimize")) is None


def test_nothing_is_best_among_failures(failed: Make) -> None:
    assert best_record(RunSummary("run", records=[failed(0)])) is None


def test_a_network_that_was_not_trained_in_full_is_on_no_front(ok: Make, failed: Make) -> None:
    """Small ones after two epochs would be on any, with what they score by chance."""
    records = [
        ok(0, 0.1, budget=2, params=1e3),
        ok(1, 0.99, budget=2, params=2e5),
        ok(2, 0.8, budget=8, params=1e5),
        ok(3, 0.9, budget=8, params=2e5),
        failed(4),
    ]
    assert _numbers(fully_trained(records)) == [2, 3]
    assert front_numbers(RunSummary("run", records=records), cost="params") == {2, 3}
    assert fully_trained([failed(4)]) == []


def test_the_front_leaves_out_reused_results(ok: Make) -> None:
    records = [ok(0, 0.8, params=1e5), ok(1, 0.9, params=2e5), ok(2, 0.7, params=3e5), ok(3, 0.9, params=2e5)]
    summary = RunSummary("run", records=[*records, ok(4, 0.9, params=2e5, reused_from=1)])
    assert front_numbers(summary, cost="params") == {0, 1, 3}


def test_lineage_follows_first_parents_and_names_changes(ok: Make) -> None:
    decisions = [Decision("kernel", (3, 5)), Decision("width", (8, 16))]
    records = [
        ok(0, 0.8, choices=(0, 0)),
        ok(1, 0.7, choices=(1, 1)),
        ok(5, 0.9, choices=(1, 0), parents=(0, 1)),
    ]
    summary = RunSummary("run", records=records, decisions=decisions)
    first, last = lineage(summary, records[2])
    assert (first.number, last.number, last.others) == (0, 5, (1,))
    assert last.changes == (Change("kernel", "3", "5"),)


def test_lineage_tells_decisions_by_place_without_names(ok: Make) -> None:
    records = [ok(0, 0.8, choices=(0, 2)), ok(1, 0.9, choices=(0, 1), parents=(0,))]
    assert lineage(RunSummary("run", records=records), records[1])[-1].changes == (
        Change("decision 1", "option 2", "option 1"),
    )


def test_lineage_ends_at_a_parent_without_record(ok: Make) -> None:
    winner = ok(7, 0.9, parents=(3,))
    assert [step.number for step in lineage(RunSummary("run", records=[winner]), winner)] == [3, 7]


def test_lineage_of_a_loop_ends(ok: Make) -> None:
    records = [ok(1, 0.9, parents=(2,)), ok(2, 0.8, parents=(1,))]
    assert len(lineage(RunSummary("run", records=records), records[0])) == 1


def test_costs_are_added_up(ok: Make, failed: Make) -> None:
    records = [
        ok(0, 0.9),
        ok(1, 0.9, budget=2, choices=(1,) * 6),
        ok(2, 0.9, reused_from=0),
        failed(3, "infeasible"),
        failed(4, "lost"),
    ]
    cost = spent(RunSummary("run", records=records, epochs=8))
    assert (cost.trained, cost.network_epochs, cost.reused, cost.infeasible, cost.failed) == (2, 10, 1, 1, 1)
    assert cost.worker_s == 6.0


def test_epochs_are_unknown_rather_than_wrong(ok: Make) -> None:
    assert spent(RunSummary("run", records=[ok(0, 0.9), ok(1, 0.8, budget=2)])).network_epochs is None


def test_failures_that_differ_in_numbers_only_are_one_group(failed: Make) -> None:
    records = [
        failed(0, error="Traceback\nValueError: 64 is not 128"),
        failed(1, error="other\nValueError: 3 is not 4"),
        failed(2, "diverged", "nan"),
        failed(3, "lost", ""),
    ]
    groups = failure_groups(records)
    assert [(g.status, g.reason, g.numbers) for g in groups] == [
        ("error", "ValueError: 64 is not 128", (0, 1)),
        ("diverged", "nan", (2,)),
        ("lost", "", (3,)),
    ]


def test_the_front_of_objectives_holds_each_network_once(ok: Make, failed: Make) -> None:
    records = [
        ok(0, 0.9, params=9),
        ok(1, 0.8, params=5),
        ok(2, 0.7, params=6),
        failed(3),
        ok(4, 0.8, params=5, reused_from=1),
    ]
    front = front_records(records, objectives=(Objective(), Objective("params", "minimize")))
    assert _numbers(front) == [0, 1]


def test_what_was_trained_longer_is_better_known(ok: Make) -> None:
    records = [ok(0, 0.9, budget=3), ok(1, 0.8, budget=27), ok(2, 0.7, budget=27)]
    assert _numbers(top_records(records, objective=Objective(), count=3)) == [1, 2, 0]


def test_costs_that_were_asked_for_come_before_the_sizes() -> None:
    assert cost_names(RunSummary("run", costs=("latency_ms", "macs"))) == ("latency_ms", "macs", "params")


def test_macs_trained_are_those_of_every_epoch_and_image(ok: Make, failed: Make) -> None:
    """2 and 5 epochs of 10 images at 4M and 3M MACs are 230M; a reused result costs nothing."""
    records = [ok(0, 0.9, macs=4e6), ok(1, 0.9, macs=3e6, budget=5), failed(2), ok(3, 0.9, macs=3e6, reused_from=1)]
    summary = RunSummary("run", records=records, epochs=2, train_images=10)
    assert spent(summary).trained_macs == 230e6
    assert spent(replace(summary, train_images=None)).trained_macs is None
    assert spent(replace(summary, epochs=None)).trained_macs is None
    assert spent(replace(summary, records=[failed(2)])).trained_macs is None
