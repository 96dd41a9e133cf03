"""Multi-fidelity search: what comes back with more epochs, what the inner controller learns, and replay."""

from __future__ import annotations

from collections import Counter
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from controllers import Controller, Measurement, Objective, Record, Trial, make_controller
from controllers.halving import HalvingKind, make_halving, split_options
from controllers.rungs import HalvingOptions
from search_spaces.errors import InvalidInputError, UnknownNameError

KINDS: tuple[HalvingKind, ...] = ("halving", "asha", "hyperband")
LADDER = HalvingOptions((3, 9, 27))


def inner(space: Any, name: str = "evolution", *, seed: int = 0) -> Controller:
    options = {"population": 4, "tournament": 2} if name == "evolution" else None
    return make_controller(name, space, seed=seed, options=options)


def at_budget(tables: ModuleType, space: Any) -> Any:
    """Scores rise with the budget, and their order changes a little."""
    return lambda trial: tables.ok(space.score(trial.architecture) * (1 - 1 / trial.budget) ** 0.5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["random", "evolution", "local"])
def test_with_one_rung_it_is_the_inner_controller(kind: HalvingKind, name: str, tables: ModuleType) -> None:
    space = tables.TableSpace()
    wrapped = make_halving(kind, inner(space, name), HalvingOptions((8,)))
    got = [record.trial for record in tables.run(wrapped, tables.by_table(space), 40)]
    plain = [record.trial for record in tables.run(inner(space, name), tables.by_table(space), 40)]
    assert got == [Trial(trial.number, trial.architecture, 8, trial.parents) for trial in plain]


@pytest.mark.parametrize("kind", KINDS)
def test_a_promoted_network_continues_the_trial_that_began_it(kind: HalvingKind, tables: ModuleType) -> None:
    space = tables.TableSpace()
    trials = [r.trial for r in tables.run(make_halving(kind, inner(space), LADDER), at_budget(tables, space), 60)]
    by_number = {trial.number: trial for trial in trials}
    continued = [trial for trial in trials if trial.continues is not None]
    assert {trial.budget for trial in continued} == {9, 27}
    for trial in continued:
        (before,) = (by_number[parent] for parent in trial.parents)
        assert trial.architecture == before.architecture == by_number[trial.root].architecture
        assert before.root == trial.root
        assert (before.budget, trial.budget) in ((3, 9), (9, 27))
    assert max(Counter((trial.root, trial.budget) for trial in trials).values()) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_parents_are_numbers_of_trials_here(kind: HalvingKind, tables: ModuleType) -> None:
    """Evolution's child differs from its parent in one decision; the inner controller counts otherwise."""
    space = tables.TableSpace()
    trials = [r.trial for r in tables.run(make_halving(kind, inner(space), LADDER), at_budget(tables, space), 60)]
    children = [trial for trial in trials if trial.continues is None and trial.parents]
    assert len(children) > 10
    for child in children:
        parent = trials[child.parents[0]].architecture
        assert 1 <= sum(a != b for a, b in zip(parent.choices, child.architecture.choices, strict=True)) <= 2


class Spy(Controller):
    """Proposes as random search does and keeps what it is told."""

    def __init__(self, space: Any, objectives: tuple[Objective, ...] = (Objective(),)) -> None:
        super().__init__(space, objectives)
        self.told: list[Record] = []
        self.random = make_controller("random", space)

    def propose(self, number: int, rng: Any) -> Any:
        return self.random.propose(number, rng)

    def learn(self, record: Record) -> None:
        self.told.append(record)


@pytest.mark.parametrize("kind", KINDS)
def test_the_inner_controller_learns_each_network_once_at_the_lowest_budget(
    kind: HalvingKind, tables: ModuleType
) -> None:
    space = tables.TableSpace()
    spy = Spy(space)
    records = tables.run(make_halving(kind, spy, LADDER), at_budget(tables, space), 80)
    lowest = [record for record in records if record.trial.budget == 3]
    assert [record.measurement for record in spy.told] == [record.measurement for record in lowest]
    assert [r.trial.architecture for r in spy.told] == [r.trial.architecture for r in lowest]


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_is_never_promoted(kind: HalvingKind, tables: ModuleType) -> None:
    space = tables.TableSpace()

    def evaluate(trial: Trial) -> Measurement:
        bad = trial.architecture.choices[0] == 0 or (trial.budget == 9 and trial.architecture.choices[0] == 1)
        return tables.failed() if bad else tables.ok(space.score(trial.architecture))  # type: ignore[no-any-return]

    records = tables.run(make_halving(kind, inner(space, "random"), LADDER), evaluate, 120)
    failed = {(r.trial.root, r.trial.budget) for r in records if not r.measurement.ok}
    assert {budget for _, budget in failed} >= {3, 9}
    for record in records:
        if record.trial.continues is not None:
            before = {9: 3, 27: 9}[record.trial.budget or 0]
            assert (record.trial.root, before) not in failed


@pytest.mark.parametrize("kind", KINDS)
def test_replay_goes_on_as_if_never_interrupted(kind: HalvingKind, tables: ModuleType) -> None:
    space = tables.TableSpace()
    events = tables.run_late(make_halving(kind, inner(space), LADDER), at_budget(tables, space), 60)
    replayed = make_halving(kind, inner(tables.TableSpace()), LADDER)
    for event, value in events:
        if event == "asked":
            assert replayed.ask() == [value]
        else:
            replayed.tell([value])


@pytest.mark.parametrize("kind", KINDS)
def test_at_the_end_of_the_space_promotions_remain(kind: HalvingKind, tables: ModuleType) -> None:
    """Nine networks, four workers: asks come back empty while results are out; replay, without those asks, agrees."""
    space = tables.TableSpace(2, 3)
    controller = make_halving(kind, inner(space, "random"), HalvingOptions((1, 2, 4), reduction=2))
    replayed = make_halving(kind, inner(space, "random"), HalvingOptions((1, 2, 4), reduction=2))
    trials: list[Trial] = []
    out: list[Trial] = []
    empty = 0
    for step in range(60):
        asked = controller.ask() if len(out) < 4 else []
        empty += len(out) < 4 and not asked
        if asked:
            assert replayed.ask() == asked
        out += asked
        trials += asked
        if out and (len(out) == 4 or not asked):
            trial = out.pop(step % len(out))
            record = Record(trial, tables.ok(space.score(trial.architecture)))
            controller.tell([record])
            replayed.tell([record])
    assert empty > 2
    assert (controller.ask(3), controller.ask(3), controller.pending) == ([], [], ())
    new = [trial for trial in trials if trial.continues is None]
    assert len({space.key(trial.architecture) for trial in new}) == len(new) == 9
    assert {trial.budget for trial in trials} == {1, 2, 4}
    assert all(trial.continues is not None for trial in trials[-2:])


@pytest.mark.parametrize("kind", KINDS)
def test_without_new_networks_those_that_are_due_go_on(kind: HalvingKind, tables: ModuleType) -> None:
    """Twelve networks, no more: the rest goes on to the top, and a replay that asks likewise agrees."""
    space = tables.TableSpace()
    evaluate = at_budget(tables, space)
    controller, replayed = (make_halving(kind, inner(space), HalvingOptions((1, 2, 4))) for _ in range(2))
    trials: list[Trial] = []
    while True:
        enough = sum(trial.continues is None for trial in trials) >= 12
        due = controller.has_further
        asked = controller.ask(new=not enough)
        if enough:
            assert bool(asked) == due
        if not asked:
            break
        assert replayed.ask(new=asked[0].continues is None) == asked
        trials += asked
        record = Record(asked[0], evaluate(asked[0]))
        controller.tell([record])
        replayed.tell([record])
    assert sum(trial.continues is None for trial in trials) == 12
    assert trials[-1].budget == 4
    assert trials[-1].continues is not None
    assert controller.ask() != []  # a longer search goes on from here


def test_a_known_network_drawn_again_is_no_second_contender(tables: ModuleType) -> None:
    controller = make_halving("asha", inner(tables.TableSpace(), "random"), HalvingOptions((1, 3)))
    trials = controller.ask(4)
    for trial, score, source in zip(trials, (0.9, 0.9, 0.1, 0.2), (None, 0, None, None), strict=True):
        controller.tell([Record(trial, tables.ok(score), reused_from=source)])
    assert [trial.continues for trial in controller.ask(2)] == [0, None]


def test_a_record_without_the_metric_can_be_told_again(tables: ModuleType) -> None:
    for kind in KINDS:
        controller = make_halving(kind, inner(tables.TableSpace()), LADDER)
        (trial,) = controller.ask()
        with pytest.raises(InvalidInputError, match="unknown metric 'val_accuracy'"):
            controller.tell([Record(trial, Measurement("ok", {"loss": 1.0}))])
        controller.tell([Record(trial, tables.ok(0.5))])
        assert controller.pending == ()


def test_options_are_split_between_the_ladder_and_the_inner_controller() -> None:
    split = split_options("asha", {"budgets": [1, 4], "reduction": 4, "population": 9})
    assert split.halving == HalvingOptions((1, 4), 4)
    assert split.inner == {"population": 9}


def test_what_cannot_be_is_refused(tables: ModuleType) -> None:
    space = tables.TableSpace()
    with pytest.raises(InvalidInputError, match="needs the option 'budgets'"):
        split_options("asha", {"reduction": 3})
    with pytest.raises(InvalidInputError, match="leave the option 'first' out"):
        make_halving("asha", inner(space), HalvingOptions((1, 3), first=5))
    with pytest.raises(InvalidInputError, match="another one of its kind"):
        make_halving("asha", make_halving("halving", inner(space), LADDER), LADDER)
    with pytest.raises(InvalidInputError, match="'asha' takes one objective, got 2"):
        make_halving("asha", Spy(space, (Objective(), Objective("macs", "minimize"))), LADDER)
    with pytest.raises(UnknownNameError, match="kind of halving"):
        make_halving("quartering", inner(space), LADDER)  # type: ignore[arg-type]


def early_noise(trial: Trial) -> float:
    """Return a number for each network, spread over [-1, 1]."""
    code = 0
    for choice in trial.architecture.choices:
        code = (code * 31 + choice * 17 + 7) % 997
    return 2 * code / 996 - 1


@pytest.mark.parametrize("kind", ["halving", "asha"])
def test_it_finds_better_networks_than_full_training_for_the_same_epochs(kind: HalvingKind, tables: ModuleType) -> None:
    """Early scores are the final ones plus noise up to 0.1; thirty tables, the epochs of 60 full trainings on each.

    Were both equally good, the paired t (29 degrees of freedom) would exceed 2 once in 36 times. The seeds are fixed.
    """
    advantages = []
    for i in range(30):
        space = tables.TableSpace(table=i)
        controller = make_halving(kind, inner(space, "random", seed=i), HalvingOptions((3, 27)))
        spent, best = 0, 0.0
        while spent < 60 * 27:
            (trial,) = controller.ask()
            assert trial.budget is not None
            final = space.score(trial.architecture)
            early = trial.budget < 27
            controller.tell([Record(trial, tables.ok(final + 0.1 * early_noise(trial) if early else final))])
            spent += trial.budget  # as if nothing could be continued
            best = best if early else max(best, final)
        full = tables.run(inner(space, "random", seed=i + 100), tables.by_table(space), 60)
        advantages.append(best - tables.best_score(full))
    assert np.mean(advantages) / (np.std(advantages, ddof=1) / len(advantages) ** 0.5) > 2
