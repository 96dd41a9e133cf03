"""NSGA-II: sorting, crowding, survival, and the search."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from controllers.nsga2 import (
    NSGA2,
    Candidate,
    NSGA2Options,
    crowding_distances,
    order_by_fitness,
    rank_by_dominance,
    select_by_rank,
)
from controllers.random_search import RandomSearch
from controllers.trial import Objective, Record
from nas.hypervolume import hypervolume
from search_spaces.errors import InvalidInputError

OBJECTIVES = (Objective(), Objective("cost", "minimize"))


def cost(architecture: Any) -> float:
    """Return a cost at odds with the score of the tables' spaces: a sum of choices."""
    return float(sum(architecture.choices))


@pytest.fixture
def two_sided(tables: ModuleType) -> Any:
    """Return a function that makes an evaluation by score and cost."""
    return lambda space: lambda trial: tables.ok(space.score(trial.architecture), cost=cost(trial.architecture))


def scores_of(records: list[Record]) -> np.ndarray:
    return np.array([[objective.score(record.measurement) for objective in OBJECTIVES] for record in records])


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a >= b).all() and (a > b).any())


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_ranks_equal_peeling_fronts_pair_by_pair(objectives: int) -> None:
    """Whole numbers, so that many points are equal in an objective or wholly."""
    rng = np.random.default_rng(objectives)
    for _ in range(50):
        scores = rng.integers(0, 5, size=(rng.integers(0, 15), objectives)).astype(float)
        left, expected, front = set(range(len(scores))), {}, 0
        while left:
            best = {i for i in left if not any(dominates(scores[j], scores[i]) for j in left)}
            expected.update(dict.fromkeys(best, front))
            left, front = left - best, front + 1
        assert rank_by_dominance(scores).tolist() == [expected[i] for i in range(len(scores))]


def test_crowding_by_hand() -> None:
    """Extents 10 and 20: the second point's neighbours are 5 and 16 apart, the third's 8 and 12."""
    front = np.array([[0.0, 20.0], [2.0, 12.0], [5.0, 4.0], [10.0, 0.0]])
    assert crowding_distances(front).tolist() == [np.inf, pytest.approx(0.5 + 0.8), pytest.approx(0.8 + 0.6), np.inf]
    assert crowding_distances(front[::-1]).tolist() == crowding_distances(front)[::-1].tolist()


def test_copies_are_crowded_out() -> None:
    front = np.array([[0.0, 2.0], [0.0, 2.0], [1.0, 1.0], [1.0, 1.0], [2.0, 0.0]])
    assert crowding_distances(front).tolist() == [np.inf, 0, 2, 0, np.inf]


def test_small_fronts_and_an_objective_without_ends() -> None:
    assert crowding_distances(np.array([[1.0, 1.0]])).tolist() == [np.inf]
    flat = np.array([[0.0, 2.0, 7.0], [1.0, 1.0, 7.0], [2.0, 0.0, 7.0]])
    assert crowding_distances(flat).tolist() == [np.inf, 2, np.inf]


def test_the_fittest_are_of_the_first_front_and_far_from_others() -> None:
    scores = np.array([[3.0, 3.0], [0.0, 10.0], [10.0, 0.0], [9.0, 0.5], [2.0, 2.0]])
    assert order_by_fitness(scores).tolist() == [1, 2, 0, 3, 4]


def test_the_unit_of_an_objective_changes_no_order() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 30, size=(40, 2)).astype(float)
    assert order_by_fitness(scores * [1000, 0.5] + [7, -3]).tolist() == order_by_fitness(scores).tolist()


def test_a_tournament_of_two_is_won_by_rank(tables: ModuleType) -> None:
    """Of the 16 pairs of 4, drawn with replacement, the first wins 7, then 5, 3 and 1 (six standard deviations)."""
    space = tables.TableSpace()
    population = [Candidate(i, space.architecture([i] * 6), (0.0,)) for i in range(4)]
    rng = np.random.default_rng(0)
    winners = [select_by_rank(population, rng).number for _ in range(1_600)]
    for number, expected in enumerate([700, 500, 300, 100]):
        assert abs(winners.count(number) - expected) <= 6 * (expected * (1 - expected / 1_600)) ** 0.5


def test_with_one_objective_the_best_survive(tables: ModuleType) -> None:
    space = tables.TableSpace()
    controller = NSGA2(space, options=NSGA2Options(population=5))
    scores: list[float] = []
    for record in tables.run(controller, tables.by_table(space), 60):
        scores.append(record.measurement.metrics["val_accuracy"])
        if len(scores) > 5:
            parents = [scores[parent] for parent in record.trial.parents]
            assert min(parents) >= sorted(scores[:-1])[-5]
    assert [candidate.scores[0] for candidate in controller.population] == sorted(scores)[-5:][::-1]


def test_an_exhausted_space_leaves_its_exact_front(tables: ModuleType, two_sided: Any) -> None:
    """625 networks; the front that survives is that of all of them."""
    space = tables.TableSpace(4, 5, num_equal=1)
    controller = NSGA2(space, OBJECTIVES, options=NSGA2Options(population=30))
    records = tables.run(controller, two_sided(space), 1_000)
    assert len(records) == len({record.trial.architecture for record in records}) == 625
    scores = scores_of(records)
    front = {i for i in range(625) if not any(dominates(other, scores[i]) for other in scores)}
    assert 3 < len(front) < 30
    ranks = rank_by_dominance(np.array([candidate.scores for candidate in controller.population]))
    alive = {candidate.number for candidate, rank in zip(controller.population, ranks, strict=True) if rank == 0}
    assert alive == front
    assert controller.ask(2) == []


def test_without_crossover_a_child_differs_from_one_parent_in_one_decision(tables: ModuleType, two_sided: Any) -> None:
    space = tables.TableSpace()
    controller = NSGA2(space, OBJECTIVES, options=NSGA2Options(crossover=0.0))
    records = tables.run(controller, two_sided(space), 60)
    assert all(record.trial.parents == () for record in records[:20])
    for record in records[20:]:
        (parent,) = record.trial.parents
        pairs = zip(record.trial.architecture.choices, records[parent].trial.architecture.choices, strict=True)
        assert sum(ours != theirs for ours, theirs in pairs) == 1


def test_with_crossover_a_child_has_at_most_one_decision_of_neither_parent(tables: ModuleType, two_sided: Any) -> None:
    """While the nearest mutation is unseen, which in a space of 15,625 networks it is."""
    space = tables.TableSpace()
    records = tables.run(NSGA2(space, OBJECTIVES, options=NSGA2Options(crossover=1.0)), two_sided(space), 60)
    couples = [record for record in records if len(record.trial.parents) == 2]
    assert len(couples) > 25
    for record in couples:
        parents = [records[parent].trial.architecture.choices for parent in record.trial.parents]
        decisions = zip(record.trial.architecture.choices, *parents, strict=True)
        assert sum(ours not in theirs for ours, *theirs in decisions) <= 1


def test_a_population_never_filled_is_random_search(tables: ModuleType, two_sided: Any) -> None:
    space = tables.TableSpace()
    controller = NSGA2(space, OBJECTIVES, options=NSGA2Options(population=1_000))
    trials = [record.trial for record in tables.run(controller, two_sided(space), 40)]
    assert trials == RandomSearch(space).ask(40)


def test_failures_never_become_parents(tables: ModuleType, two_sided: Any) -> None:
    space = tables.TableSpace()
    events = tables.run_late(NSGA2(space, OBJECTIVES, options=NSGA2Options(population=6)), two_sided(space), 80)
    failures = {value.trial.number for kind, value in events if kind == "told" and not value.measurement.ok}
    parents = {parent for kind, value in events if kind == "asked" for parent in value.parents}
    assert failures
    assert parents
    assert not failures & parents


def test_the_order_of_results_does_not_change_the_front(tables: ModuleType, two_sided: Any) -> None:
    space = tables.TableSpace()
    fronts = []
    for step in (1, -1):
        controller = NSGA2(space, OBJECTIVES, options=NSGA2Options(population=40))
        trials = controller.ask(40)
        controller.tell([Record(trial, two_sided(space)(trial)) for trial in trials[::step]])
        fronts.append({candidate.number for candidate in controller.population})
    assert fronts[0] == fronts[1] == set(range(40))


def test_half_the_trials_beat_random_search(tables: ModuleType, two_sided: Any) -> None:
    """By the hypervolume of 100 trials against 200 of random search, on eight tables of 15,625 networks.

    A controller no better than random search with its budget halved exceeds a paired t (7 degrees of freedom)
    of 2 once in 23 times at most. The seeds are fixed.
    """
    advantages = []
    for i in range(8):
        space = tables.TableSpace(table=i)
        volumes = [
            hypervolume(scores_of(tables.run(controller, two_sided(space), trials)), reference=[0.0, -24.0])
            for controller, trials in ((NSGA2(space, OBJECTIVES, i), 100), (RandomSearch(space, seed=i + 100), 200))
        ]
        advantages.append(volumes[0] - volumes[1])
    assert np.mean(advantages) / (np.std(advantages, ddof=1) / len(advantages) ** 0.5) > 2


@pytest.mark.parametrize(("options", "message"), [({"population": 1}, "at least 2"), ({"crossover": 1.5}, "a share")])
def test_options_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        NSGA2Options(**options)


def test_no_objective_is_refused(tables: ModuleType) -> None:
    with pytest.raises(InvalidInputError, match="got none"):
        NSGA2(tables.TableSpace(), [])


def test_two_hundred_rounds_take_three_tenths_of_a_second_at_most(tables: ModuleType, two_sided: Any) -> None:
    """70 to 110 ms were measured; processor time, so that a busy machine does not count."""
    space = tables.TableSpace()
    controller = NSGA2(space, OBJECTIVES)
    start = time.process_time()
    tables.run(controller, two_sided(space), 200)
    assert time.process_time() - start < 0.3
