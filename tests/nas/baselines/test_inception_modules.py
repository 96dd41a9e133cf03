"""The modules of the Inception family against what their papers say of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nas.baselines import Sizes, find_baseline
from nas.baselines.bn_inception import _halving
from nas.baselines.googlenet import PUBLISHED, STAGES, InceptionFilters
from nas.baselines.inception_blocks import Conv, InceptionModule, Mixed, Plan, Pool, reduces
from nas.baselines.inception_resnet import BLOCK_A, ResidualInception
from nas.baselines.polynet import ManyWay, Poly
from nas.baselines.xception import Block

BARE = Plan(Sizes(224), norm=False)


def _macs(module: nn.Module, *shape: int) -> int:
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        module.to("meta")(torch.zeros(1, *shape))
    return counter.get_total_flops() // 2


def _module(filters: InceptionFilters, c_in: int) -> InceptionModule:
    return InceptionModule(BARE, c_in, filters.mixed().branches)


def test_bottlenecks_make_the_naive_module_a_third_as_expensive() -> None:
    """854 M against 271 M multiply-accumulates on 28 x 28 x 256, as is told of Szegedy 2015, Figure 2."""
    naive = InceptionFilters(128, None, 192, None, 96, None)
    reduced = InceptionFilters(128, 64, 192, 64, 96, 64)
    assert _macs(_module(naive, 256), 256, 28, 28) == 854_196_224
    assert _macs(_module(reduced, 256), 256, 28, 28) == 271_351_808


def test_a_bottleneck_makes_a_5_x_5_layer_a_tenth_as_expensive() -> None:
    """120.4 M against 12.4 M multiply-accumulates on 28 x 28 x 192."""
    alone = InceptionFilters(0, None, 0, None, 32, 0)
    reduced = InceptionFilters(0, None, 0, 16, 32, 0)
    assert _macs(_module(alone, 192), 192, 28, 28) == 120_422_400
    assert _macs(_module(reduced, 192), 192, 28, 28) == 12_443_648


def test_the_naive_module_passes_pooling_through() -> None:
    """Its output has as many channels more as its input has (Szegedy 2015, Section 4)."""
    module = _module(InceptionFilters(8, None, 16, None, 4, None), 12)
    images = torch.rand(1, 12, 6, 6)
    out = module(images)
    assert out.shape == (1, 8 + 16 + 4 + 12, 6, 6)
    assert torch.equal(out[:, -12:], nn.functional.max_pool2d(images, 3, 1, 1))


@pytest.mark.parametrize(
    ("stage", "i", "c_in", "params", "macs"),
    [
        (0, 0, 192, 163_696, 128_049_152),
        (0, 1, 256, 388_736, 304_267_264),
        (1, 0, 480, 376_176, 73_608_192),
        (1, 1, 512, 449_160, 87_908_352),
        (1, 2, 512, 510_104, 99_850_240),
        (1, 3, 512, 605_376, 118_515_712),
        (1, 4, 528, 868_352, 169_996_288),
        (2, 0, 832, 1_043_456, 51_079_168),
        (2, 1, 832, 1_444_080, 70_697_984),
    ],
)
def test_each_module_of_googlenet_is_exact(stage: int, i: int, c_in: int, params: int, macs: int) -> None:
    """Counted by hand from Szegedy 2015, Table 1, with biases."""
    module = InceptionModule(Plan(Sizes(224), norm=False, bias=True), c_in, STAGES[stage][i].mixed().branches)
    size = (28, 14, 7)[stage]
    assert sum(p.numel() for p in module.parameters()) == params
    assert _macs(module, c_in, size, size) == macs


def _shapes(name: str, resolution: int) -> list[tuple[int, int, int]]:
    """Return (channels, height, width) wherever one of them changes, up to the classifier."""
    found: list[tuple[int, int, int]] = []

    def note(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        if output.dim() == 4 and (not found or tuple(output.shape[1:]) != found[-1]) and output.shape[-1] > 1:
            found.append((output.shape[1], output.shape[2], output.shape[3]))

    with torch.device("meta"):
        network = find_baseline(name).make(Sizes(resolution)).eval()
        for module in network.modules():
            if isinstance(module, InceptionModule | ResidualInception | ManyWay | Poly | Block):
                module.register_forward_hook(note)
        network(torch.zeros(1, 3, resolution, resolution))
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("googlenet", {(256, 28, 28), (480, 28, 28), (512, 14, 14), (528, 14, 14), (832, 7, 7), (1024, 7, 7)}),
        ("bn-inception", {(320, 28, 28), (576, 14, 14), (608, 14, 14), (1056, 7, 7), (1024, 7, 7)}),
        ("inception-v2", {(320, 28, 28), (576, 14, 14), (1024, 7, 7)}),
        ("inception-v3", {(288, 35, 35), (768, 17, 17), (1280, 8, 8), (2048, 8, 8)}),
        ("inception-v4", {(384, 35, 35), (1024, 17, 17), (1536, 8, 8)}),
        ("inception-resnet-v1", {(256, 35, 35), (896, 17, 17), (1792, 8, 8)}),
        ("inception-resnet-v2", {(320, 35, 35), (1088, 17, 17), (2080, 8, 8)}),
        ("xception", {(128, 74, 74), (256, 37, 37), (728, 19, 19), (1024, 10, 10)}),
    ],
)
def test_states_have_the_published_sizes(name: str, expected: set[tuple[int, int, int]]) -> None:
    assert expected <= set(_shapes(name, find_baseline(name).resolution))


@pytest.mark.parametrize("name", ["googlenet", "bn-inception", "inception-v3", "inception-v4", "xception"])
def test_small_images_end_in_four_positions_a_side(name: str) -> None:
    """32 x 32: two of five strides are left out, and what was unpadded is padded."""
    assert _shapes(name, 32)[-1][1:] == (4, 4)


@pytest.mark.parametrize("size", [5, 6, 7, 12, 25, 28])
def test_bn_inception_pools_to_the_size_that_its_convolutions_give(size: int) -> None:
    images = torch.rand(1, 4, size, size)
    pooled = Plan(Sizes(size)).layer(4, _halving(size), stride=2)(images)
    assert pooled.shape[-1] == (size + 1) // 2


def test_a_pooling_that_lost_its_stride_is_left_out() -> None:
    plan = Plan(Sizes(8), padded=True)
    assert isinstance(plan.layer(4, Pool("max", strided=True), stride=1), nn.Identity)
    assert isinstance(plan.layer(4, Pool("max"), stride=1), nn.MaxPool2d)


def test_a_mixed_layer_reduces_when_one_of_its_convolutions_does() -> None:
    assert reduces(Mixed(((Conv(8),), (Conv(8), Conv(8, 3, strided=True)))))
    assert not reduces(Mixed(((Conv(8),), (Pool("average"), Conv(8)))))


def test_only_the_published_googlenet_has_local_response_normalisation() -> None:
    with torch.device("meta"):
        networks = [find_baseline(name).make(Sizes(64)) for name in ("googlenet", "googlenet-torchvision")]
    counts = [sum(isinstance(m, nn.LocalResponseNorm) for m in network.modules()) for network in networks]
    assert counts == [2, 0]
    assert not PUBLISHED.norm


def test_a_residual_module_whose_last_convolution_is_zero_changes_nothing() -> None:
    block = ResidualInception(Plan(Sizes(32)), 16, BLOCK_A, scale=0.17, squeezed=False)
    nn.init.zeros_(block.up.weight)
    nn.init.zeros_(block.up.bias)
    images = torch.randn(1, 16, 5, 5)
    assert torch.equal(block(images), images)


def _copy_weights(source: nn.Module, target: nn.Module) -> None:
    values = source.state_dict().values()
    target.load_state_dict(dict(zip(target.state_dict(), values, strict=True)))


def test_poly_of_first_order_is_one_way() -> None:
    """I + F, whichever of the two blocks builds it."""
    torch.manual_seed(0)
    plan = Plan(Sizes(32), eps=1e-5)
    way = ManyWay(plan, 16, BLOCK_A, scale=0.5, num_ways=1).train()
    poly = Poly(plan, 16, BLOCK_A, scale=0.5, orders=1).train()
    _copy_weights(way, poly)
    images = torch.randn(2, 16, 6, 6)
    assert torch.allclose(way(images), poly(images), atol=1e-6)


def test_orders_of_poly_share_convolutions_but_not_normalisation() -> None:
    """The second order adds one 1 x 1 convolution and the scales and shifts of the normalisations, nothing else."""
    plan = Plan(Sizes(32))
    one, two = (sum(p.numel() for p in Poly(plan, 16, BLOCK_A, scale=1.0, orders=n).parameters()) for n in (1, 2))
    inside = sum(conv.filters for branch in BLOCK_A for conv in branch)
    ends = sum(branch[-1].filters for branch in BLOCK_A)
    assert two - one == 2 * inside + ends * 16 + 2 * 16


def test_residuals_of_polynet_count_less_and_less() -> None:
    """From 1 at the first of 40 blocks to 0.7 at the last, in equal steps."""
    with torch.device("meta"):
        network = find_baseline("polynet").make(Sizes(32))
    scales = [m.scale for m in network.modules() if isinstance(m, ManyWay | Poly)]
    assert len(scales) == 40
    assert scales[0] == 1.0
    assert scales[-1] == pytest.approx(0.7)
    assert scales[2] == pytest.approx(0.984615, abs=1e-6)  # the released network's


def test_a_block_of_xception_leaves_what_it_reads_alone() -> None:
    """Its first ReLU is not in place: the shortcut reads the same tensor."""
    images = torch.randn(1, 8, 4, 4)
    before = images.clone()
    Block(8, [8, 8])(images)
    assert torch.equal(images, before)
