"""The NASNet space and its relatives: settings, cells and back, published cells as points."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from search_spaces.architecture import Blueprint
from search_spaces.errors import InvalidInputError, UnknownNameError
from search_spaces.genotypes import CELLS, NETWORKS, published_architecture, published_blueprint
from search_spaces.graph import Block, Cell, Edge, canonical
from search_spaces.nasnet import CellSpace, CellSpaceOptions, cell_space
from search_spaces.operations import OPERATION_SETS, operation_set
from search_spaces.registry import get_space


def test_default_space_is_the_papers() -> None:
    """Two cells, five blocks, states (2 + i)^2, thirteen operations squared, two combinations."""
    states = np.prod([float((2 + i) ** 2) for i in range(5)])
    assert cell_space("nasnet").size == int(states * 13**10 * 2**5) ** 2
    assert len(cell_space("nasnet").decisions) == 50


def test_size_equals_the_enumeration_of_a_tiny_space() -> None:
    space = cell_space("nasnet:blocks=1,operations=identity+conv_1x1,combinations=add")
    architectures = [space.architecture(c) for c in itertools.product(*(range(len(d)) for d in space.decisions))]
    assert len(set(architectures)) == space.size == 16**2
    assert len({space.key(a) for a in architectures}) == 10**2  # unordered pairs of four edges, in each cell


def test_cells_and_back() -> None:
    for name in ("nasnet", "amoebanet:concat=extra", "darts", "pnasnet", "enas:blocks=7"):
        space = cell_space(name)
        rng = np.random.default_rng(0)
        for _ in range(20):
            architecture = space.sample(rng)
            cells = space.cells(architecture)
            again = space.from_cells(cells["normal"], cells["reduction"])
            assert space.cells(again) == cells


@pytest.mark.parametrize("name", CELLS)
def test_published_cells_are_points_of_their_space(name: str) -> None:
    space, architecture = published_architecture(name)
    assert space.cells(architecture) == {"normal": CELLS[name].normal, "reduction": CELLS[name].reduction}


def test_nasnet_a_needs_its_extra_concatenations() -> None:
    """The released cell concatenates a state that is used; the paper's rule cannot say that."""
    cells = CELLS["nasnet-a"]
    with pytest.raises(InvalidInputError, match="concat=extra"):
        cell_space("nasnet").from_cells(cells.normal, cells.reduction)


def test_published_networks_differ_in_size_only_from_their_cells() -> None:
    for name, network in NETWORKS.items():
        blueprint = published_blueprint(name)
        space = get_space(blueprint.network.space)
        assert isinstance(space, CellSpace)
        assert space.cells(blueprint.network)["normal"] == CELLS[network.cells].normal


def test_reading_order_of_a_sum_does_not_matter() -> None:
    space = cell_space("nasnet:blocks=1")
    normal = Cell.from_blocks([Block(Edge(0, "identity"), Edge(1, "conv_1x1"))])
    mirrored = Cell.from_blocks([Block(Edge(1, "conv_1x1"), Edge(0, "identity"))])
    assert space.key(space.from_cells(normal, normal)) == space.key(space.from_cells(mirrored, mirrored))
    assert canonical(normal) == canonical(mirrored)


def test_normal_and_reduction_cells_are_not_interchangeable() -> None:
    space = cell_space("nasnet:blocks=1")
    a = Cell.from_blocks([Block(Edge(0, "identity"), Edge(1, "conv_1x1"))])
    b = Cell.from_blocks([Block(Edge(0, "conv_3x3"), Edge(1, "conv_1x1"))])
    assert space.key(space.from_cells(a, b)) != space.key(space.from_cells(b, a))


def test_shared_space_refuses_two_different_cells() -> None:
    cells = CELLS["amoebanet-a"]
    with pytest.raises(InvalidInputError, match="one cell for both"):
        cell_space("pnasnet").from_cells(cells.normal, cells.reduction)


@pytest.mark.parametrize(
    ("specification", "error", "message"),
    [
        ("nasnt", UnknownNameError, "Did you mean 'nasnet'"),
        ("nasnet:block=3", UnknownNameError, "Did you mean 'blocks'"),
        ("nasnet:blocks", InvalidInputError, "written name=value"),
        ("nasnet:blocks=many", InvalidInputError, "whole number"),
        ("nasnet:blocks=0", InvalidInputError, "1 to 12 blocks"),
        ("nasnet:operations=sep_conv_4x4+identity", UnknownNameError, "Did you mean 'sep_conv_"),
        ("nasnet:operations=identity+identity", InvalidInputError, "each operation once"),
        ("nasnet:combinations=multiply", UnknownNameError, "add"),
        ("nasnet:concat=all", UnknownNameError, "unused"),
        ("nasnet:skeleton=resnet", UnknownNameError, "nasnet-large"),
        ("pnasnet:shared=maybe", InvalidInputError, "true or false"),
    ],
)
def test_wrong_specifications_say_what_is_known(specification: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        get_space(specification)


def test_wrong_sizes_are_refused() -> None:
    space = cell_space("nasnet")
    blueprint = Blueprint(space.sample(np.random.default_rng(0)), 8, stem="tiny", depth=1, width=4)
    for changes, message in (
        ({"depth": None}, "whole depth"),
        ({"width": 4.5}, "whole width"),
        ({"resolution": 3}, "at least 4 pixels"),
        ({"stem": "imagenet", "resolution": 31, "width": 8}, "at least 32 pixels"),
        ({"stem": "imagenet", "resolution": 64}, "width >= 8"),
        ({"network": "resnet-50"}, "builds its architectures"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            space.complexity(replace(blueprint, **changes))  # type: ignore[arg-type]


def test_operation_sets_are_the_published_ones() -> None:
    assert {name: len(operations) for name, operations in OPERATION_SETS.items()} == {
        "nasnet": 13,
        "amoebanet": 8,
        "amoebanet-wide": 11,
        "enas": 5,
        "pnasnet": 8,
        "darts": 7,
    }
    assert operation_set("conv_1x1+zero") == ("conv_1x1", "zero")


def test_options_describe_a_space_without_a_name() -> None:
    space = CellSpace("mine", CellSpaceOptions(blocks=2, operations="conv_1x1+identity", combinations="concat"))
    assert [d.name for d in space.decisions][:4] == [
        "normal_block0_left_state",
        "normal_block0_right_state",
        "normal_block0_left_operation",
        "normal_block0_right_operation",
    ]
    assert all(
        block.combination == "concat" for block in space.cells(space.sample(np.random.default_rng(0)))["normal"].blocks
    )
