"""MnasNet's search space and the networks of inverted bottlenecks: tables of the papers, points, counts, names."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from search_spaces.architecture import Architecture, Blueprint, Complexity
from search_spaces.counting import Sizes, count_network
from search_spaces.errors import InvalidInputError, UnknownNameError
from search_spaces.mbconv import MBConvSpace, MBConvSpaceOptions, mbconv_points, mbconv_space
from search_spaces.mbconv_design import DESIGNS, Design, Stage
from search_spaces.mbconv_layout import layout_network
from search_spaces.mbconv_network import MBConvBlock, MBConvNetwork, SqueezeExcitation
from search_spaces.registry import get_space

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "baselines" / "mobile.json").read_text())
SPACE = mbconv_space("mbconv")
TINY = mbconv_space("mbconv:blocks=mbconv+sep_conv,kernels=3,excitations=0,skips=identity,filters=1,repeats=0")
Row = tuple[str, int, int, int, int]

# Sandler 2018, Table 2, without the stride, which input sizes tell: operator and its t, input size, channels c,
# repeats n. Tan 2019 (EfficientNet), Table 1: operator, kernel, input size, channels, layers.
TABLES: dict[str, list[Row]] = {
    "mobilenet-v2": [
        ("conv", 3, 224, 32, 1),
        ("mbconv1", 3, 112, 16, 1),
        ("mbconv6", 3, 112, 24, 2),
        ("mbconv6", 3, 56, 32, 3),
        ("mbconv6", 3, 28, 64, 4),
        ("mbconv6", 3, 14, 96, 3),
        ("mbconv6", 3, 14, 160, 3),
        ("mbconv6", 3, 7, 320, 1),
        ("conv", 1, 7, 1280, 1),
    ],
    "efficientnet-b0": [
        ("conv", 3, 224, 32, 1),
        ("mbconv1", 3, 112, 16, 1),
        ("mbconv6", 3, 112, 24, 2),
        ("mbconv6", 5, 56, 40, 2),
        ("mbconv6", 3, 28, 80, 3),
        ("mbconv6", 5, 14, 112, 3),
        ("mbconv6", 5, 14, 192, 4),
        ("mbconv6", 3, 7, 320, 1),
        ("conv", 1, 7, 1280, 1),
    ],
    # Tan 2019 (MnasNet), Figure 7
    "mnasnet-a1": [
        ("conv", 3, 224, 32, 1),
        ("mbconv1", 3, 112, 16, 1),
        ("mbconv6", 3, 112, 24, 2),
        ("mbconv3", 5, 56, 40, 3),
        ("mbconv6", 3, 28, 80, 4),
        ("mbconv6", 3, 14, 112, 2),
        ("mbconv6", 5, 14, 160, 3),
        ("mbconv6", 3, 7, 320, 1),
        ("conv", 1, 7, 1280, 1),
    ],
}


def table(network: MBConvNetwork, resolution: int) -> list[Row]:
    """Run a network and return a row for each stretch of blocks of one operator, kernel and width."""
    rows: list[Row] = []

    def note(part: nn.Module) -> Callable[[Any, tuple[Tensor], Tensor], None]:
        convolutions = [m for m in part.modules() if isinstance(m, nn.Conv2d) and m.bias is None]
        kernel = max(conv.kernel_size[0] for conv in convolutions)

        def hook(_module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            expansion = convolutions[-1].in_channels // inputs[0].shape[1]
            operator = f"mbconv{expansion}" if isinstance(part, MBConvBlock) else "conv"
            rows.append((operator, kernel, inputs[0].shape[-1], output.shape[1], 1))

        return hook

    for part in (network.stem, *network.blocks, network.head):
        part.register_forward_hook(note(part))
    network.eval()(torch.zeros(1, 3, resolution, resolution, device="meta"))
    stages = [list(same) for _, same in itertools.groupby(rows, key=lambda row: (row[0], row[1], row[3]))]
    return [(*stage[0][:4], len(stage)) for stage in stages]


def network_of(design: Design, images: Sizes) -> MBConvNetwork:
    with torch.device("meta"):
        return MBConvNetwork(layout_network(design, images))


def golden(name: str) -> Complexity:
    return Complexity(GOLDEN[name]["params"], GOLDEN[name]["macs"])


@pytest.mark.parametrize("name", TABLES)
def test_stages_are_the_paper_s_row_by_row(name: str) -> None:
    assert table(network_of(DESIGNS[name], Sizes(3, 224, 1000)), 224) == TABLES[name]


def test_mobilenet_v3_large_is_the_paper_s_table() -> None:
    """Howard 2019, Table 1: expanded and output channels, squeeze-and-excitation, and nonlinearity, block by block."""
    network = network_of(DESIGNS["mobilenet-v3-large"], Sizes(3, 224, 1000))
    blocks = [block for block in network.blocks if isinstance(block, MBConvBlock)]
    convolutions = [[m for m in b.modules() if isinstance(m, nn.Conv2d) and m.bias is None] for b in blocks]
    assert [row[-1].in_channels for row in convolutions] == [
        *(16, 64, 72, 72, 120, 120, 240, 200, 184, 184, 480, 672, 672, 960, 960),
    ]
    assert [row[-1].out_channels for row in convolutions] == [
        16,
        *[24] * 2,
        *[40] * 3,
        *[80] * 4,
        *[112] * 2,
        *[160] * 3,
    ]
    excited = [any(isinstance(m, SqueezeExcitation) for m in block.modules()) for block in blocks]
    assert [i for i, yes in enumerate(excited) if yes] == [3, 4, 5, 10, 11, 12, 13, 14]
    swish = [any(isinstance(m, nn.Hardswish) for m in block.modules()) for block in blocks]
    assert swish == [False] * 6 + [True] * 9


@pytest.mark.parametrize("name", GOLDEN)
def test_costs_from_shapes_are_the_published_code_s(name: str) -> None:
    design = DESIGNS[name]
    assert layout_network(design, Sizes(3, design.resolution, 1000)).complexity == golden(name)


@pytest.mark.parametrize("resolution", [8, 33, 64])
@pytest.mark.parametrize("name", ["mobilenet-v3-small", "efficientnet-b2", "efficientnetv2-s"])
def test_costs_from_shapes_are_counted_ones_at_other_sizes(name: str, resolution: int) -> None:
    images = Sizes(1, resolution, 7)
    layout = layout_network(DESIGNS[name], images, depth=0.5, width=0.3)
    assert count_network(lambda: MBConvNetwork(layout), images) == layout.complexity


@pytest.mark.parametrize("name", mbconv_points())
def test_published_networks_are_points(name: str) -> None:
    """The architecture's network is the published one, stage by stage, and costs what that does."""
    architecture = mbconv_points()[name]
    space = get_space(architecture.space)
    assert isinstance(space, MBConvSpace)
    assert space.design(architecture) == DESIGNS[name]
    assert space.complexity(Blueprint(architecture, 224, classes=1000)) == golden(name)


def test_blueprints_multiply_depth_and_width() -> None:
    """EfficientNet-B2 is B0, 1.2 times as deep and 1.1 times as wide, at 260 pixels."""
    b0 = mbconv_points()["efficientnet-b0"]
    blueprint = Blueprint(b0, 260, classes=1000, depth=1.2, width=1.1)
    assert get_space(b0.space).complexity(blueprint) == golden("efficientnet-b2")


def test_space_is_as_large_as_the_paper_says() -> None:
    """A stage has 3 x 2 x 2 x 2 x 2 kinds of blocks, and up to 3 x 3 sizes, fewer where they round to the same."""
    sizes = [(2, 2), (2, 3), (3, 3), (3, 3), (3, 3), (3, 3), (3, 2)]
    assert SPACE.size == int(np.prod([48 * filters * repeats for filters, repeats in sizes], dtype=object))


def test_keys_tell_all_networks_of_a_small_space_apart_and_nothing_else() -> None:
    """Three networks a stage: separable, and inverted bottlenecks of expansion 3 and 6."""
    choices = itertools.product(*(range(len(decision)) for decision in TINY.decisions))
    keys = {TINY.key(TINY.architecture(one)) for one in choices}
    assert (TINY.size, len(keys)) == (4**7, 3**7)


def test_expansion_counts_only_where_the_block_expands() -> None:
    options = SPACE.options(SPACE.architecture([0] * len(SPACE.decisions)))
    for block, same in (("mbconv", False), ("sep_conv", True), ("conv", True)):
        keys = {
            SPACE.key(SPACE.from_options({**options, "stage2_block": block, "stage2_expansion": e})) for e in (3, 6)
        }
        assert (len(keys) == 1) == same


def test_expansion_1_is_a_separable_convolution() -> None:
    space = mbconv_space("mbconv:expansions=1+6")
    options = space.options(space.architecture([0] * len(space.decisions)))
    assert space.key(space.from_options(options)) == space.key(
        space.from_options({**options, "stage3_block": "sep_conv", "stage3_expansion": 6})
    )


def test_own_expansions_join_the_paper_s_and_no_others() -> None:
    """MobileNet-v3-small's third block expands 24 channels to 88."""
    (default, own) = (
        {d.name: d.options for d in mbconv_space(name).decisions}["stage2_expansion"]
        for name in ("mbconv:base=mobilenet-v3-small", "mbconv:base=mobilenet-v3-small,expansions=2+4")
    )
    assert (default, own) == ((3, 6, 88 / 24), (2, 4))


def test_stages_and_architectures_are_each_other_s_inverse() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        stages = SPACE.design(SPACE.sample(rng)).stages
        assert SPACE.design(SPACE.from_stages(stages)).stages == stages


def test_skips_add_the_input_where_the_shape_is_kept() -> None:
    """In a stage of 3 blocks the second and third do; without skips none does."""
    stages = [replace(stage, repeats=3, skip=i % 2 == 0) for i, stage in enumerate(DESIGNS["mnasnet-a1"].stages)]
    layout = layout_network(replace(DESIGNS["mnasnet-a1"], stages=tuple(stages)), Sizes(3, 224, 10))
    assert [block.residual for block in layout.blocks] == [False, True, True, *[False] * 3] * 3 + [False, True, True]


def test_blocks_compute_what_they_are_called() -> None:
    """A conv is one full convolution, a fused one two, a separable one a depthwise and a pointwise."""
    images = Sizes(3, 8, 2)
    for stage, params in (
        (Stage("fused", 5, 1, 16, 1, skip=False), 25 * 32 * 16 + 2 * 16),
        (Stage("fused", 3, 4, 16, 1), 9 * 32 * 128 + 2 * 128 + 128 * 16 + 2 * 16),
        (Stage("mbconv", 5, 1, 16, 1), 25 * 32 + 2 * 32 + 32 * 16 + 2 * 16),
        (Stage("mbconv", 3, 1, 16, 1, excitation=0.25), 9 * 32 + 64 + 2 * 32 * 8 + 32 + 8 + 32 * 16 + 2 * 16),
    ):
        with torch.device("meta"):
            network = MBConvNetwork(layout_network(Design((stage,)), images))
        assert sum(p.numel() for p in network.blocks.parameters()) == params


@pytest.mark.parametrize("block", ["conv", "sep_conv", "fused_mbconv"])
def test_residual_sums_have_gradients_everywhere(block: str) -> None:
    """Activations work in place: no block may overwrite what a gradient needs."""
    space = mbconv_space(f"mbconv:base=mnasnet-a1,blocks={block},skips=identity")
    network = space.build(Blueprint(space.sample(np.random.default_rng(0)), 8, 1, 3, width=0.25))
    network(torch.randn(4, 1, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_head_is_scaled_as_published() -> None:
    """MobileNet-v2 widens its head only, MnasNet keeps it, EfficientNet scales it."""
    heads = {
        name: [layout_network(DESIGNS[name], Sizes(3, 32, 2), width=w).head.c_out for w in (0.5, 1, 1.5)]
        for name in ("mobilenet-v2", "mnasnet-b1", "efficientnet-b0")
    }
    assert heads == {
        "mobilenet-v2": [1280, 1280, 1920],
        "mnasnet-b1": [1280, 1280, 1280],
        "efficientnet-b0": [640, 1280, 1920],
    }


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("mbconv:base=resnet", "unknown base"),
        ("mbconv:kernel=3", "Did you mean 'kernels'"),
        ("mbconv:kernels", "name=value"),
        ("mbconv:kernels=three", "takes values like 3\\+5"),
        ("mbconv:kernels=4", "kernel is odd"),
        ("mbconv:blocks=dense", "unknown block"),
        ("mbconv:skips=pool", "unknown skip"),
        ("mbconv:expansions=0", "expansion >= 1"),
        ("mbconv:excitations=2", r"excitation in \[0, 1\]"),
        ("mbconv:filters=0", "factors > 0"),
        ("mbconv:kernels=3+3", "must differ"),
    ],
)
def test_settings_that_make_no_space_are_refused(specification: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        get_space(specification)


def test_stages_off_the_grid_are_refused() -> None:
    """MnasNet-A1's fifth stage has 112 filters, MobileNet-v2's 96 and a quarter more or less do not give them."""
    with pytest.raises(InvalidInputError, match=r"stage4_filters of 'mbconv' is one of \[72, 96, 120\], got 112"):
        SPACE.from_stages(DESIGNS["mnasnet-a1"].stages)
    with pytest.raises(InvalidInputError, match="have 7 stages, got 1"):
        SPACE.from_stages(DESIGNS["mnasnet-a1"].stages[:1])


def test_names_are_not_built_here() -> None:
    with pytest.raises(InvalidInputError, match="got the name 'mobilenet-v2'"):
        SPACE.build(Blueprint("mobilenet-v2", 32))


def test_wrong_stages_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="block"):
        Stage("dense", 3, 1, 8, 1)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="activation"):
        Stage("mbconv", 3, 1, 8, 1, activation="tanh")  # type: ignore[arg-type]


def test_default_settings_are_the_paper_s() -> None:
    options = MBConvSpaceOptions()
    assert (options.base, options.kernels, options.excitations) == ("mobilenet-v2", (3, 5), (0.0, 0.25))
    assert isinstance(SPACE.sample(np.random.default_rng(0)), Architecture)
