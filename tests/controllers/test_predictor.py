"""Predictor-guided search, small and large spaces."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from controllers import Objective, PredictorSearch, RandomSearch, Record
from controllers.candidates import ENUMERABLE_SIZE
from controllers.predictor import RANDOM_START


def test_it_starts_as_random_search(tables: ModuleType) -> None:
    space = tables.TableSpace()
    records = tables.run(PredictorSearch(space), tables.by_table(space), RANDOM_START)
    assert [record.trial for record in records] == RandomSearch(space).ask(RANDOM_START)


def test_an_additive_table_is_solved_soon(tables: ModuleType) -> None:
    """Best of 64 networks when 26 are measured, in all of ten seeds; random search would find it in 4 of 10."""
    space = tables.TableSpace(3, 4, num_equal=1)
    space._pairs[:] = 0
    everything = [space.architecture([a, b, c]) for a in range(4) for b in range(4) for c in range(4)]
    best = max(space.score(architecture) for architecture in everything)
    for seed in range(10):
        records = tables.run(PredictorSearch(space, seed=seed), tables.by_table(space), 26)
        assert max(record.measurement.metrics["val_accuracy"] for record in records) == best


def test_the_unit_of_the_score_does_not_matter(tables: ModuleType) -> None:
    space = tables.TableSpace()

    def in_percent(trial: object) -> object:
        return tables.ok(100 * space.score(trial.architecture))  # type: ignore[attr-defined]

    shares = tables.run(PredictorSearch(space), tables.by_table(space), 40)
    percents = tables.run(PredictorSearch(space), in_percent, 40)
    assert [r.trial for r in shares] == [r.trial for r in percents]


def test_two_workers_get_different_networks(tables: ModuleType) -> None:
    space = tables.TableSpace()
    controller = PredictorSearch(space)
    tables.run(controller, tables.by_table(space), 15)
    asked = controller.ask(6)
    assert len({space.key(trial.architecture) for trial in asked}) == 6


def test_a_space_too_large_to_enumerate_is_searched_around_the_best(tables: ModuleType) -> None:
    """Twenty decisions: most proposals after the start are a few mutations from something measured."""
    space = tables.TableSpace(20, 4)
    assert space.size > ENUMERABLE_SIZE
    records = tables.run(PredictorSearch(space), tables.by_table(space), 40)
    random = tables.run(RandomSearch(space), tables.by_table(space), 40)
    near = 0
    for i, record in enumerate(records[RANDOM_START:], start=RANDOM_START):
        mine = np.array(record.trial.architecture.choices)
        near += min((mine != np.array(r.trial.architecture.choices)).sum() for r in records[:i]) <= 3
    assert near > 20
    scores = [[r.measurement.metrics["val_accuracy"] for r in run[20:]] for run in (records, random)]
    assert np.mean(scores[0]) > np.mean(scores[1])


def test_failures_only_still_propose_new_networks(tables: ModuleType) -> None:
    space = tables.TableSpace()
    controller = PredictorSearch(space)
    for _ in range(25):
        (trial,) = controller.ask()
        controller.tell([Record(trial, tables.failed())])
    assert len(controller.ask(3)) == 3


def test_several_objectives_give_a_front(tables: ModuleType) -> None:
    """Score against a size that grows with every choice: after 60 trials more of the front than random search has."""

    def size(trial: object) -> float:
        return float(sum(trial.architecture.choices))  # type: ignore[attr-defined]

    objectives = (Objective(), Objective("size", "minimize"))
    shares = []
    for seed in range(4):
        space = tables.TableSpace(table=seed)

        def evaluate(trial: object, space: object = space) -> object:
            return tables.ok(space.score(trial.architecture), size=size(trial))  # type: ignore[attr-defined]

        fronts = []
        for kind in (PredictorSearch, RandomSearch):
            records = tables.run(kind(space, objectives, seed), evaluate, 60)
            points = [(r.measurement.metrics["val_accuracy"], -r.measurement.metrics["size"]) for r in records]
            fronts.append(sum(max((a for a, b in points if b >= -limit), default=0.0) for limit in range(20)))
        shares.append(fronts[0] - fronts[1])
    assert np.mean(shares) > 0
    assert min(shares) > -0.1


def test_a_failure_ranks_below_every_objective(tables: ModuleType) -> None:
    controller = PredictorSearch(tables.TableSpace(), (Objective(), Objective("size", "minimize")))
    first, second = controller.ask(2)
    controller.tell([Record(first, tables.failed()), Record(second, tables.ok(0.1, size=5.0))])
    values = controller._values(np.array([0.5, 0.5]))
    assert values[0] < values[1]
