"""Local search: climbs, restarts, and loses nothing to late results."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from controllers import LocalSearch, Measurement, Record


def distance(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


def test_it_climbs_to_the_only_top(tables: ModuleType) -> None:
    """The score counts choices equal to 2: from anywhere every decision can be mended by itself."""
    space = tables.TableSpace()

    def by_twos(trial: object) -> Measurement:
        return tables.ok(sum(c == 2 for c in trial.architecture.choices) / 6)  # type: ignore[attr-defined]

    for seed in range(10):
        records = tables.run(LocalSearch(space, seed=seed), by_twos, 1 + 6 * 4 * 6)
        assert max(record.measurement.metrics["val_accuracy"] for record in records) == 1.0


def test_every_step_is_a_neighbour_of_the_best_so_far_of_its_climb(tables: ModuleType) -> None:
    space = tables.TableSpace()
    records = tables.run(LocalSearch(space), tables.by_table(space), 150)
    by_number = {record.trial.number: record for record in records}
    top: Record | None = None
    num_starts = 0
    for record in records:
        if record.trial.parents:
            assert top is not None
            (parent,) = record.trial.parents
            assert parent == top.trial.number
            assert distance(by_number[parent].trial.architecture.choices, record.trial.architecture.choices) == 1
        else:
            num_starts, top = num_starts + 1, None
        if top is None or record.measurement.metrics["val_accuracy"] > top.measurement.metrics["val_accuracy"]:
            top = record
    assert num_starts >= 2


def test_a_climb_ends_only_when_no_neighbour_is_left(tables: ModuleType) -> None:
    """Before each restart, all neighbours of the climb's top were proposed, now or earlier."""
    space = tables.TableSpace()
    records = tables.run(LocalSearch(space), tables.by_table(space), 200)
    starts = [i for i, record in enumerate(records) if not record.trial.parents][1:]
    assert starts
    climb_start = 0
    for end in starts:
        seen = {space.key(record.trial.architecture) for record in records[:end]}
        top = max(records[climb_start:end], key=lambda record: record.measurement.metrics["val_accuracy"])
        assert {space.key(neighbour) for neighbour in space.neighbours(top.trial.architecture)} <= seen
        climb_start = end


def test_a_failed_start_is_followed_by_another(tables: ModuleType) -> None:
    space = tables.TableSpace()
    controller = LocalSearch(space)
    for _ in range(5):
        (trial,) = controller.ask()
        assert trial.parents == ()
        controller.tell([Record(trial, tables.failed())])
    (trial,) = controller.ask()
    controller.tell([Record(trial, tables.ok(0.5))])
    assert controller.ask()[0].parents == (trial.number,)


def test_a_late_result_of_the_same_climb_still_moves_it(tables: ModuleType) -> None:
    space = tables.TableSpace()
    controller = LocalSearch(space)
    (start,) = controller.ask()
    controller.tell([Record(start, tables.ok(0.1))])
    early, late = controller.ask(2)
    controller.tell([Record(early, tables.ok(0.2))])
    assert controller.ask()[0].parents == (early.number,)
    controller.tell([Record(late, tables.ok(0.9))])
    assert controller.ask()[0].parents == (late.number,)


def test_neighbours_come_in_an_order_of_the_seed(tables: ModuleType) -> None:
    space = tables.TableSpace()
    orders = set()
    for seed in range(5):
        controller = LocalSearch(space, seed=seed)
        start = controller.propose(0, np.random.default_rng(0))
        assert start is not None
        (trial,) = controller.ask()
        controller.tell([Record(trial, tables.ok(0.5))])
        orders.add(tuple(t.architecture.choices for t in controller.ask(5)))
    assert len(orders) == 5
