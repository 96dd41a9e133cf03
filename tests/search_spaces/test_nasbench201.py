"""NAS-Bench-201: the benchmark's classes, networks and notation, held against its table where that is at hand."""

from __future__ import annotations

import itertools
import os
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from search_spaces.architecture import Architecture, Blueprint
from search_spaces.errors import InvalidInputError, UnknownNameError
from search_spaces.nasbench201 import PUBLISHED_CELLS, NasBench201Space, _cell_key
from search_spaces.nasbench201_network import ResidualReduction
from search_spaces.registry import get_space

SPACE = NasBench201Space()
DATA = Path(os.environ.get("NAS_DATA", Path(__file__).parents[3] / "shared" / "data"))
ALL_SKIP, BEST = (SPACE.from_string(PUBLISHED_CELLS[name]) for name in ("darts", "best"))


def every_architecture() -> list[Architecture]:
    return [SPACE.architecture(choices) for choices in itertools.product(range(5), repeat=6)]


def cifar(architecture: Architecture) -> Blueprint:
    return Blueprint(architecture, 32)


@pytest.fixture(scope="module")
def table() -> dict[str, Any]:
    """Return the columns of the benchmark's CIFAR-10 table."""
    path = DATA / "nasbench201" / "nasbench201_cifar10.npz"
    if not path.is_file():
        pytest.skip(f"no {path}: set NAS_DATA to a folder with nasbench201/{path.name}")
    with np.load(path) as columns:
        return {name: columns[name] for name in ("ops", "arch_str", "iso_id", "params_M", "flops_M_c10")}


@pytest.fixture(scope="module")
def architectures(table: dict[str, Any]) -> list[Architecture]:
    return [SPACE.architecture(row) for row in table["ops"]]


def test_there_are_15625_cells_in_6466_classes() -> None:
    assert SPACE.size == 15_625
    assert len({SPACE.key(architecture) for architecture in every_architecture()}) == 6_466


def test_some_classes_hold_networks_of_different_size() -> None:
    """The known limit of the benchmark's classes: they are fewer than the networks."""
    params = defaultdict(set)
    for architecture in every_architecture():
        params[SPACE.key(architecture)].add(SPACE.complexity(cifar(architecture)).params)
    assert sum(len(different) > 1 for different in params.values()) == 578


def test_key_partitions_cells_as_the_table_does(table: dict[str, Any], architectures: list[Architecture]) -> None:
    pairs = {(SPACE.key(a), int(i)) for a, i in zip(architectures, table["iso_id"], strict=True)}
    assert len(pairs) == len({key for key, _ in pairs}) == len({i for _, i in pairs}) == 6_466


def test_notation_is_the_tables(table: dict[str, Any], architectures: list[Architecture]) -> None:
    for architecture, text in zip(architectures, table["arch_str"], strict=True):
        assert SPACE.to_string(architecture) == text
        assert SPACE.from_string(str(text)) == architecture


def test_every_parameter_count_is_the_tables(table: dict[str, Any], architectures: list[Architecture]) -> None:
    counted = [SPACE.complexity(cifar(architecture)).params for architecture in architectures]
    assert np.array_equal(counted, np.round(table["params_M"].astype(float) * 1e6))


def test_built_networks_have_the_tables_parameters(table: dict[str, Any], architectures: list[Architecture]) -> None:
    for i in np.random.default_rng(0).choice(len(architectures), 20, replace=False):
        with torch.device("meta"):
            network = SPACE.build(cifar(architectures[i]))
        assert sum(p.numel() for p in network.parameters()) == round(float(table["params_M"][i]) * 1e6)


def test_the_tables_flops_are_macs_and_what_elementwise_layers_add(
    table: dict[str, Any], architectures: list[Architecture]
) -> None:
    """A constant for the skeleton, one for each convolution (3 for each value) and pooling (9 for each value)."""
    macs = np.array([SPACE.complexity(cifar(architecture)).macs for architecture in architectures])
    convolutions = np.isin(table["ops"], (2, 3)).sum(axis=1)
    pools = (table["ops"] == 4).sum(axis=1)
    more = 160_832 + 430_080 * convolutions + 1_290_240 * pools
    # float32 holds a count of up to 200 million to within 8.
    assert np.abs(macs + more - table["flops_M_c10"].astype(float) * 1e6).max() < 8


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [("darts", 73_306, 7_783_040), ("best", 1_073_466, 7_783_040 + 4 * 35_389_440 + 3_932_160)],
)
def test_published_cells_cost_what_they_do(name: str, params: int, macs: int) -> None:
    cost = SPACE.complexity(cifar(SPACE.from_string(PUBLISHED_CELLS[name])))
    assert (cost.params, cost.macs) == (params, macs)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (PUBLISHED_CELLS["darts"], "0+0+0+0"),
        ("|none~0|+|none~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|none~2|", "#+#+(0)@nor_conv_1x1"),
        (
            "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|none~0|none~1|skip_connect~2|",
            "#+#+#+((0)@nor_conv_3x3)@avg_pool_3x3",
        ),
    ],
)
def test_key_is_the_benchmarks_text(text: str, key: str) -> None:
    """Up to the order of a sum, which the benchmark sorts as text."""
    assert sorted(SPACE.key(SPACE.from_string(text)).split("+")) == sorted(key.split("+"))


@pytest.mark.parametrize("text", ["", "|none~0|", PUBLISHED_CELLS["best"] + "|", PUBLISHED_CELLS["best"][1:]])
def test_other_notations_are_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="is written"):
        SPACE.from_string(text)


def test_unknown_operation_is_named() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'nor_conv_3x3'"):
        SPACE.from_string(PUBLISHED_CELLS["best"].replace("nor_conv_3x3", "conv_3x3", 1))


def test_cell_of_skips_multiplies_its_input() -> None:
    """Node 1 is x, node 2 is 2x, node 3 is 4x."""
    cell = SPACE.build(Blueprint(ALL_SKIP, 8, depth=1, width=4)).cells[0]
    x = torch.randn(2, 4, 8, 8)
    assert torch.equal(cell(x), 4 * x)


def test_cell_without_paths_gives_zeros() -> None:
    cell = SPACE.build(Blueprint(SPACE.architecture([0] * 6), 8, depth=1, width=4)).cells[0]
    assert not cell(torch.randn(2, 4, 8, 8)).any()


def test_skeleton_is_three_stages_with_two_reductions() -> None:
    network = SPACE.build(cifar(BEST))
    reductions = [i for i, part in enumerate(network.cells) if isinstance(part, ResidualReduction)]
    assert (len(network.cells), reductions) == (17, [5, 11])
    x = network.stem(torch.zeros(1, 3, 32, 32))
    assert network.cells(x).shape == (1, 64, 8, 8)


def test_reduction_is_the_residual_block_written_out() -> None:
    block = ResidualReduction(4).eval()
    _, conv_a, _, _, conv_b, _ = block.convolutions
    assert isinstance(conv_a, nn.Conv2d)
    assert isinstance(conv_b, nn.Conv2d)
    x = torch.randn(2, 4, 8, 8)
    scale = (1 + 1e-5) ** -0.5  # normalisation with the statistics that it starts from
    y = nn.functional.conv2d(x.relu(), conv_a.weight, stride=2, padding=1) * scale
    y = nn.functional.conv2d(y.relu(), conv_b.weight, padding=1) * scale
    pool, project = block.shortcut
    expected = y + project(x.reshape(2, 4, 4, 2, 4, 2).mean(dim=(3, 5)))
    assert isinstance(pool, nn.AvgPool2d)
    torch.testing.assert_close(block(x), expected)


def test_odd_sizes_are_rounded_up() -> None:
    blueprint = Blueprint(BEST, 7, channels=1, classes=2, depth=1, width=4)
    assert SPACE.build(blueprint)(torch.randn(2, 1, 7, 7)).shape == (2, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stem": "imagenet", "resolution": 224}, "no imagenet stem"),
        ({"resolution": 3}, "at least 4 pixels"),
        ({"depth": 1.5}, "whole depth"),
        ({"width": 0.5}, "whole width"),
        ({"network": "best"}, "got the name 'best'"),
    ],
)
def test_impossible_networks_are_refused(changes: dict[str, Any], message: str) -> None:
    blueprint = Blueprint(**{"network": BEST, "resolution": 32} | changes)
    for use in (SPACE.build, SPACE.complexity):
        with pytest.raises(InvalidInputError, match=message):
            use(blueprint)


def test_space_has_no_settings() -> None:
    with pytest.raises(InvalidInputError, match="has no settings"):
        get_space("nasbench201:blocks=3")


def test_keys_and_costs_are_fast() -> None:
    """At least 10,000 keys a second, none of them known before, and 5,000 costs."""
    space = every_architecture()
    _cell_key.cache_clear()
    start = time.process_time()
    for architecture in space:
        SPACE.key(architecture)
    assert time.process_time() - start < len(space) / 10_000
    blueprints = [cifar(architecture) for architecture in space]
    start = time.process_time()
    for blueprint in blueprints:
        SPACE.complexity(blueprint)
    assert time.process_time() - start < len(space) / 5_000
