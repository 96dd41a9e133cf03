"""Regularized evolution."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from controllers import EvolutionOptions, Objective, RandomSearch, Record, RegularizedEvolution
from controllers.evolution import Individual, select_by_tournament
from search_spaces.errors import InvalidInputError


@pytest.fixture
def population(tables: ModuleType) -> list[Individual]:
    space = tables.TableSpace()
    scores = [0.3, 0.9, 0.1, 0.5]
    return [Individual(i, space.architecture([i] * 6), score) for i, score in enumerate(scores)]


def test_golden_trace(tables: ModuleType, golden: Any) -> None:
    """Made by `python tests/controllers/table_space.py random evolution`; exact while numpy's streams are."""
    assert tables.trace("evolution", seed=0) == golden("controller_traces.json")["evolution"]


@pytest.mark.parametrize("size", [4, 9])
def test_a_tournament_of_all_is_won_by_the_best(population: list[Individual], size: int) -> None:
    for seed in range(20):
        assert select_by_tournament(population, size, np.random.default_rng(seed)).number == 1


def test_a_tournament_of_one_is_a_uniform_draw(population: list[Individual]) -> None:
    """1,000 draws of 4: each 250 times (sd 13.7); five sd is passed once in 400,000."""
    rng = np.random.default_rng(0)
    winners = [select_by_tournament(population, 1, rng).number for _ in range(1_000)]
    assert all(abs(winners.count(number) - 250) < 5 * 13.7 for number in range(4))


def test_a_tournament_of_two_is_won_by_rank(population: list[Individual]) -> None:
    """Of the 6 pairs of 4 the best wins 3, the next 2, the next 1, the worst none (six standard deviations)."""
    rng = np.random.default_rng(0)
    winners = [select_by_tournament(population, 2, rng).number for _ in range(600)]
    for number, expected in {1: 300, 3: 200, 0: 100, 2: 0}.items():
        assert abs(winners.count(number) - expected) <= 6 * (expected * (1 - expected / 600)) ** 0.5


def test_a_population_never_filled_is_random_search(tables: ModuleType) -> None:
    space = tables.TableSpace()
    evolution = RegularizedEvolution(space, options=EvolutionOptions(population=1_000, tournament=1))
    trials = [record.trial for record in tables.run(evolution, tables.by_table(space), 40)]
    assert trials == RandomSearch(space).ask(40)


def test_a_child_differs_from_its_parent_in_one_decision(tables: ModuleType) -> None:
    space = tables.TableSpace()
    records = tables.run(RegularizedEvolution(space), tables.by_table(space), 60)
    assert all(record.trial.parents == () for record in records[:20])
    for record in records[20:]:
        (parent,) = record.trial.parents
        pairs = zip(record.trial.architecture.choices, records[parent].trial.architecture.choices, strict=True)
        assert sum(ours != theirs for ours, theirs in pairs) == 1


def test_parents_are_the_best_of_the_latest(tables: ModuleType) -> None:
    """With a tournament of the whole population the parent is known: however good, the old are dead."""
    space = tables.TableSpace()
    controller = RegularizedEvolution(space, options=EvolutionOptions(population=5, tournament=5))
    records = tables.run(controller, tables.by_table(space), 60)
    scores = [record.measurement.metrics["val_accuracy"] for record in records]
    for i in range(5, 60):
        (parent,) = records[i].trial.parents
        assert i - 5 <= parent < i
        assert scores[parent] == max(scores[i - 5 : i])


def test_a_custom_mutation_is_used(tables: ModuleType) -> None:
    space = tables.TableSpace()

    def shift(architecture, rng):
        return space.architecture([(choice + 1) % 5 for choice in architecture.choices])

    controller = RegularizedEvolution(space, options=EvolutionOptions(population=1, tournament=1), mutate=shift)
    first, second, third = (record.trial for record in tables.run(controller, tables.by_table(space), 3))
    assert second.architecture == shift(first.architecture, None)
    assert third.architecture == shift(second.architecture, None)


def test_where_mutation_leads_nowhere_a_random_network_without_parents_is_proposed(tables: ModuleType) -> None:
    space = tables.TableSpace()
    options = EvolutionOptions(population=1, tournament=1)
    controller = RegularizedEvolution(space, options=options, mutate=lambda architecture, rng: architecture)
    records = tables.run(controller, tables.by_table(space), 30)
    assert all(record.trial.parents == () for record in records)
    assert len({record.trial.architecture for record in records}) == 30


def test_failures_never_become_parents(tables: ModuleType) -> None:
    space = tables.TableSpace()
    controller = RegularizedEvolution(space, options=EvolutionOptions(population=6, tournament=2))
    records = tables.run_late(controller, tables.by_table(space), 80)
    failures = {value.trial.number for kind, value in records if kind == "told" and not value.measurement.ok}
    parents = {parent for kind, value in records if kind == "asked" for parent in value.parents}
    assert failures
    assert parents
    assert not failures & parents


def test_one_survivor_of_a_failing_start_is_built_on(tables: ModuleType) -> None:
    space = tables.TableSpace()
    controller = RegularizedEvolution(space, options=EvolutionOptions(population=8, tournament=4))
    records = tables.run(controller, lambda trial: tables.ok(0.5) if trial.number == 3 else tables.failed(), 12)
    assert [record.trial.parents for record in records[8:]] == [(3,)] * 4


def test_many_outstanding_trials_start_at_random(tables: ModuleType) -> None:
    space = tables.TableSpace()
    controller = RegularizedEvolution(space, options=EvolutionOptions(population=4, tournament=4))
    trials = controller.ask(32)
    assert all(trial.parents == () for trial in trials)
    controller.tell([Record(trial, tables.ok(trial.number / 100)) for trial in reversed(trials)])
    assert all(trial.parents == (3,) for trial in controller.ask(8))


@pytest.mark.parametrize(("factor", "direction"), [(100.0, "maximize"), (-5.0, "minimize")])
def test_the_unit_of_the_metric_changes_nothing(tables: ModuleType, factor: float, direction: Any) -> None:
    space = tables.TableSpace()

    def trials(objective, factor):
        controller = RegularizedEvolution(space, [objective])
        evaluate = tables.by_table(space)
        scaled = lambda trial: tables.ok(factor * evaluate(trial).metrics["val_accuracy"])  # noqa: E731
        return [record.trial for record in tables.run(controller, scaled, 60)]

    assert trials(Objective(direction=direction), factor) == trials(Objective(), 1.0)


@pytest.mark.parametrize(("population", "tournament"), [(10, 11), (10, 0), (0, 0)])
def test_sizes_that_cannot_be_are_refused(population: int, tournament: int) -> None:
    with pytest.raises(InvalidInputError, match=f"got tournament {tournament} and population {population}"):
        EvolutionOptions(population=population, tournament=tournament)


def test_published_sizes() -> None:
    assert EvolutionOptions.published() == EvolutionOptions(population=100, tournament=25)


def test_several_objectives_are_refused(tables: ModuleType) -> None:
    with pytest.raises(InvalidInputError, match="'evolution' takes one objective, got 2"):
        RegularizedEvolution(tables.TableSpace(), [Objective(), Objective("macs", "minimize")])


def test_two_hundred_rounds_take_a_tenth_of_a_second(tables: ModuleType) -> None:
    """8 ms were measured; processor time, so that a busy machine does not count."""
    space = tables.TableSpace()
    controller = RegularizedEvolution(space)
    start = time.process_time()
    tables.run(controller, lambda trial: tables.ok(0.5), 200)
    assert time.process_time() - start < 0.1
