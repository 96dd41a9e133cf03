"""Quick counts are the counts of `nas.complexity`, and runs without weights are those of `nas profile`."""

from __future__ import annotations

from dataclasses import replace

import pytest

import nas
from nas.profiling import measure_memory
from nas.scaling.counting import count, is_quick, run_without_weights, time_forward

CELL = nas.get_blueprint("darts-v2", input_shape=(3, 16, 16), classes=7)


@pytest.mark.parametrize(
    "name",
    ["resnet-18", "efficientnet-b0", "mobilenet-v3-small", "vit-b-16", "densenet-121", "lenet-5", "squeezenet-1.0"],
)
def test_quick_counts_are_exact(name: str) -> None:
    """All 142 baselines were compared once; these stand for their kinds."""
    blueprint = replace(nas.get_blueprint(name), resolution=96 if name != "lenet-5" else 28, classes=11)
    assert count(blueprint) == nas.complexity(blueprint)


def test_scaled_baselines_are_counted_exactly() -> None:
    for name in ("resnet-18", "mobilenet-v2"):
        blueprint = nas.get_blueprint(name, input_shape=(1, 40, 40), classes=5, depth=1.3, width=0.8)
        assert count(blueprint) == nas.complexity(blueprint)


def test_cells_and_inverted_bottlenecks_are_quick() -> None:
    quick = [is_quick(nas.get_blueprint(name)) for name in ("nasnet-a-mobile", "mobilenet-v2", "resnet-18")]
    assert quick == [True, True, False]


def test_an_auxiliary_head_counts_for_nothing() -> None:
    assert count(replace(CELL, auxiliary=True)) == count(CELL)


def test_memory_is_that_of_the_profile() -> None:
    network = nas.build(CELL)
    assert run_without_weights(CELL).memory_bytes == measure_memory(network, (3, 16, 16)).forward


def test_layers_are_convolutions_and_linear_ones() -> None:
    assert run_without_weights(nas.get_blueprint("resnet-18")).layers == 21  # 17 on the way, 3 shortcuts, 1 classifier


def test_latency_is_measured() -> None:
    assert time_forward(CELL) > 0
