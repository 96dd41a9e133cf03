"""Random search."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

import pytest

from controllers import Objective, RandomSearch
from search_spaces.errors import InvalidInputError


def test_golden_trace(tables: ModuleType, golden: Any) -> None:
    """Made by `python tests/controllers/table_space.py random evolution`; exact while numpy's streams are."""
    assert tables.trace("random", seed=0) == golden("controller_traces.json")["random"]


def test_a_network_that_is_drawn_in_two_ways_may_come_twice(tables: ModuleType) -> None:
    """Four networks in nine ways: all nine come, each once."""
    space = tables.TableSpace(2, 3, num_equal=2)
    trials = RandomSearch(space).ask(20)
    assert len({trial.architecture for trial in trials}) == len(trials) == 9
    assert len({space.key(trial.architecture) for trial in trials}) == 4


def test_results_change_nothing(tables: ModuleType) -> None:
    """The reduction of a controller to its seed."""
    space = tables.TableSpace()
    told, untold = RandomSearch(space), RandomSearch(space)
    assert [record.trial for record in tables.run(told, tables.by_table(space), 30)] == untold.ask(30)


def test_every_decision_is_drawn_uniformly(tables: ModuleType) -> None:
    """1,000 draws of 6 decisions of 5 options: 30 counts near 200 (sd 12.6); one is five sd off once in 60,000 runs."""
    trials = RandomSearch(tables.TableSpace()).ask(1_000)
    for i in range(6):
        for option in range(5):
            assert abs(sum(trial.architecture.choices[i] == option for trial in trials) - 200) < 5 * 12.6


def test_several_objectives_are_taken(tables: ModuleType) -> None:
    objectives = [Objective(), Objective("macs", "minimize")]
    assert len(RandomSearch(tables.TableSpace(), objectives).ask(3)) == 3


def test_a_negative_seed_is_refused(tables: ModuleType) -> None:
    with pytest.raises(InvalidInputError, match="seed must be >= 0, got -1"):
        RandomSearch(tables.TableSpace(), seed=-1)


def test_two_hundred_rounds_take_a_tenth_of_a_second(tables: ModuleType) -> None:
    """7 ms were measured; processor time, so that a busy machine does not count."""
    space = tables.TableSpace()
    controller = RandomSearch(space)
    start = time.process_time()
    tables.run(controller, lambda trial: tables.ok(0.5), 200)
    assert time.process_time() - start < 0.1
