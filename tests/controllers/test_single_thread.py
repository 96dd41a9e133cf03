"""Proposals keep to one thread, and leave the number of threads as it was."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest
import torch
from threadpoolctl import threadpool_info

import controllers.gaussian_process
from controllers import Record, make_controller
from controllers.single_thread import one_thread


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def widths() -> set[int]:
    """Threads of every library of linear algebra that is loaded."""
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.mark.usefixtures("two_threads")
def test_inside_there_is_one_thread_and_afterwards_as_many_as_before() -> None:
    before = widths()
    with one_thread():
        assert torch.get_num_threads() == 1
        assert widths() == {1}
    assert torch.get_num_threads() == 2
    assert widths() == before


@pytest.mark.usefixtures("two_threads")
def test_the_predictor_s_model_is_computed_on_one(monkeypatch: pytest.MonkeyPatch, tables: ModuleType) -> None:
    seen: list[set[int]] = []
    predict = controllers.gaussian_process.Posterior.predict

    def watched(self: controllers.gaussian_process.Posterior, values: object) -> object:
        seen.append(widths())
        return predict(self, values)  # type: ignore[arg-type]

    monkeypatch.setattr(controllers.gaussian_process.Posterior, "predict", watched)
    space = tables.TableSpace()
    controller = make_controller("predictor", space)
    for _ in range(12):
        (trial,) = controller.ask()
        controller.tell([Record(trial, tables.by_table(space)(trial))])
    assert seen == [{1}] * 2
