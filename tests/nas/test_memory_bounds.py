"""Networks whose training would take too much memory are refused before they are sent to a worker."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from controllers.random_search import RandomSearch
from controllers.trial import Measurement, Trial
from nas.config import SearchConfig
from nas.errors import InvalidInputError
from nas.executors.serial_executor import SerialExecutor
from nas.journal import Journal
from nas.memory_bounds import MemoryCheck, children_that_fit, measure_context, memory_check
from nas.screening import Constraints, Screen
from nas.search_loop import Limits, SearchLoop
from nas.searching import search
from nas.training.memory_forecast import TrainingMemory
from search_spaces.architecture import Architecture, Blueprint
from search_spaces.nasnet import cell_space

SPACE = cell_space("nasnet:blocks=2")


def blueprint(architecture: Architecture) -> Blueprint:
    return Blueprint(architecture, 8, channels=1, stem="tiny", depth=1, width=4)


SOME = SPACE.sample(np.random.default_rng(0))


def check_for(**settings: Any) -> MemoryCheck | None:
    return memory_check(SearchConfig(space=SPACE.name, **settings), SPACE, validation_images=10)


def peak(check: MemoryCheck) -> int:
    return check.forecast(blueprint(SOME), check.bounds[0].recipe).peak


def test_without_a_bound_nothing_is_foretold() -> None:
    assert check_for() is None


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        (lambda size: {"constraints": Constraints(max_memory=size)}, "--max-memory"),
        (lambda size: {"trial_memory_bytes": size}, "--trial-memory"),
    ],
)
def test_bound_is_inclusive_and_named(setting: Any, name: str) -> None:
    loose = check_for(**setting(2**40))
    assert loose is not None
    assert Screen(SPACE, Constraints(), blueprint, loose).check(SOME) is None
    needed = peak(loose)
    exact, tight = check_for(**setting(needed)), check_for(**setting(needed - 1))
    assert exact is not None
    assert exact.check(blueprint(SOME)) is None
    refused = Screen(SPACE, Constraints(), blueprint, tight).check(SOME)
    assert refused is not None
    assert refused.status == "infeasible"
    assert refused.metrics["training_memory_bytes"] == needed
    assert refused.metrics["params"] == SPACE.complexity(blueprint(SOME)).params
    assert f"{name} is" in (refused.error or "")


def test_training_free_scores_take_no_training_memory() -> None:
    assert check_for(evaluator="naswot", trial_memory_bytes=1) is None


def test_share_of_a_card_bounds_half_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimpleNamespace(total_memory=8 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    check = check_for(device="cuda", gpus_per_worker=0.25)
    assert check is not None
    (bound,) = check.bounds
    assert (bound.limit_bytes, bound.recipe.accumulation) == (2 * 2**30, 2)


def test_a_network_that_cannot_run_is_left_to_the_worker() -> None:
    check = check_for(trial_memory_bytes=1)
    assert check is not None
    assert check.check(Blueprint(SOME, 1, channels=1, stem="tiny", depth=1, width=4)) is None


class Noting:
    """An evaluator that notes which architectures it saw."""

    def __init__(self) -> None:
        self.seen: list[Architecture] = []

    def evaluate(self, trial: Trial) -> Measurement:
        """Return a result."""
        self.seen.append(trial.architecture)
        return Measurement("ok", {"val_accuracy": 0.5})


def test_search_records_the_refused_and_evaluates_the_others(tmp_path: Path) -> None:
    loose, evaluator = check_for(trial_memory_bytes=2**40), Noting()
    assert loose is not None
    first = [trial.architecture for trial in RandomSearch(SPACE).ask(4)]
    recipe = loose.bounds[0].recipe
    peaks = [loose.forecast(blueprint(one), recipe).peak for one in first]
    screen = Screen(SPACE, Constraints(), blueprint, check_for(trial_memory_bytes=sorted(peaks)[1]))
    loop = SearchLoop(RandomSearch(SPACE), Journal.create(tmp_path, {"config": {}, "versions": {}}), screen)
    loop.run(SerialExecutor(evaluator), Limits(3))  # two of the first four keep the bound
    loop.journal.close()
    assert evaluator.seen[:2] == [one for one, needed in zip(first, peaks, strict=True) if needed <= sorted(peaks)[1]]
    assert loop.progress.infeasible >= 2
    assert loop.progress.failed == 0


def test_bound_that_nothing_keeps_ends_before_the_search(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInputError, match=r"no network of 4 small ones .* keeps the bound of memory; .*--max-mem"
    ):
        search(out=tmp_path / "run", space=SPACE.name, constraints=Constraints(max_memory=1000))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("card", "children"), [(0, 0), (999, 0), (2000, 1), (4400, 3)])
def test_children_that_fit_have_room_for_context_and_images(card: int, children: int) -> None:
    memory = TrainingMemory(1, 1, 1, 0, 1, step=10, evaluation=5)
    each = memory.needed + 300
    fitting = children_that_fit(memory, card_bytes=card * each // 1000, context_bytes=200, data_bytes=100)
    assert fitting == card // 1000


def test_context_is_what_is_taken_beside_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (700, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 120)
    assert measure_context("cuda") == 180
