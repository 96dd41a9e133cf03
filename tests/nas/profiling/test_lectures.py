"""Tables that everybody learns from, as networks and as arithmetic."""

from __future__ import annotations

import pytest
from torch import nn

from nas.baselines import Sizes, baselines
from nas.baselines.googlenet import InceptionFilters
from nas.baselines.inception_blocks import InceptionModule, Plan
from nas.profiling import profile

# Simonyan 2015, Table 1, column D, on 224 x 224 images: output, activations, weights (biases apart)
VGG_16 = [
    ((3, 224, 224), 150_528, 0),
    ((64, 224, 224), 3_211_264, 3 * 3 * 3 * 64),
    ((64, 224, 224), 3_211_264, 3 * 3 * 64 * 64),
    ((64, 112, 112), 802_816, 0),
    ((128, 112, 112), 1_605_632, 3 * 3 * 64 * 128),
    ((128, 112, 112), 1_605_632, 3 * 3 * 128 * 128),
    ((128, 56, 56), 401_408, 0),
    ((256, 56, 56), 802_816, 3 * 3 * 128 * 256),
    ((256, 56, 56), 802_816, 3 * 3 * 256 * 256),
    ((256, 56, 56), 802_816, 3 * 3 * 256 * 256),
    ((256, 28, 28), 200_704, 0),
    ((512, 28, 28), 401_408, 3 * 3 * 256 * 512),
    ((512, 28, 28), 401_408, 3 * 3 * 512 * 512),
    ((512, 28, 28), 401_408, 3 * 3 * 512 * 512),
    ((512, 14, 14), 100_352, 0),
    ((512, 14, 14), 100_352, 3 * 3 * 512 * 512),
    ((512, 14, 14), 100_352, 3 * 3 * 512 * 512),
    ((512, 14, 14), 100_352, 3 * 3 * 512 * 512),
    ((512, 7, 7), 25_088, 0),
    ((4096,), 4096, 7 * 7 * 512 * 4096),
    ((4096,), 4096, 4096 * 4096),
    ((1000,), 1000, 4096 * 1000),
]


def test_vgg_16_row_by_row() -> None:
    """138.36M parameters; the rows add up to 15.2M values, 61 MB an image."""
    found = profile("vgg-16", (3, 224, 224), classes=1000)
    rows = found.rows()
    biases = [shape[0] if weights else 0 for shape, _, weights in VGG_16]
    assert [row.output_shape for row in rows] == [shape for shape, _, _ in VGG_16]
    assert [row.cost.activations for row in rows] == [activations for _, activations, _ in VGG_16]
    params = [weights + bias for (_, _, weights), bias in zip(VGG_16, biases, strict=True)]
    assert [row.cost.params for row in rows] == params
    assert found.params == sum(params) == 138_357_544
    assert found.activations == sum(row.cost.activations for row in rows) == 15_237_608
    assert found.network.cost.activation_bytes == 4 * 15_237_608


def test_alexnet_s_first_layer() -> None:
    """96 filters of 11 x 11 x 3 with stride 4 on 227 x 227: (227 - 11) / 4 + 1 = 55."""
    _, first, *_ = profile("alexnet", (3, 227, 227), classes=1000).rows()
    assert first.output_shape == (96, 55, 55)
    assert first.cost.params == 34_848 + 96
    assert first.cost.macs == 34_848 * 55 * 55
    assert first.cost.activations == 290_400


@pytest.mark.parametrize("channels", [4, 64])
def test_three_small_convolutions_are_cheaper_than_the_large_one_that_they_see_as_much_as(channels: int) -> None:
    """27 C^2 weights against 49 C^2, and as many times more multiply-accumulates."""
    small = nn.Sequential(*(nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(3)))
    large = nn.Conv2d(channels, channels, 7, padding=3, bias=False)
    image = (channels, 9, 9)
    stacked, single = profile(small, image), profile(large, image)
    assert (stacked.params, single.params) == (27 * channels**2, 49 * channels**2)
    assert (stacked.macs, single.macs) == (81 * stacked.params, 81 * single.params)


@pytest.mark.parametrize("name", ["resnet-50", "densenet-121", "mobilenet-v2", "cifar-resnet-110", "efficientnet-b7"])
def test_a_table_fits_on_a_page(name: str) -> None:
    baseline = baselines()[name]
    found = profile(name, (baseline.channels, baseline.resolution, baseline.resolution), classes=baseline.classes)
    assert 10 < len(found.rows()) <= 64 < len(found.layers)
    assert sum(row.cost.macs for row in found.rows()) == found.macs


def test_the_products_of_a_vision_transformer_s_attention_are_apart() -> None:
    """12 layers, 197 tokens of 768 numbers: scores and sums."""
    found = profile("vit-b-16", (3, 224, 224), classes=1000)
    assert found.attention_macs == 12 * 2 * 197**2 * 768


# Howard 2017, Table 1: what each convolution gives, (filters, size), after the first one; "dw" is depthwise.
MOBILENET_V1 = [
    *(("dw", 32, 112), ("1x1", 64, 112), ("dw", 64, 56), ("1x1", 128, 56), ("dw", 128, 56), ("1x1", 128, 56)),
    *(("dw", 128, 28), ("1x1", 256, 28), ("dw", 256, 28), ("1x1", 256, 28), ("dw", 256, 14), ("1x1", 512, 14)),
    *(("dw", 512, 14), ("1x1", 512, 14)) * 5,
    *(("dw", 512, 7), ("1x1", 1024, 7), ("dw", 1024, 7), ("1x1", 1024, 7)),
]


def test_mobilenet_v1_row_by_row() -> None:
    """Nine weights a filter where it is depthwise, the filters before it where it is 1 x 1."""
    rows = [row for row in profile("mobilenet-v1", (3, 224, 224), classes=1000).layers if row.type == "Conv2d"]
    assert (rows[0].output_shape, rows[0].cost.params) == ((32, 112, 112), 27 * 32)
    assert [row.output_shape for row in rows[1:]] == [(filters, size, size) for _, filters, size in MOBILENET_V1]
    before = 32
    for row, (kind, filters, size) in zip(rows[1:], MOBILENET_V1, strict=True):
        weights = (9 if kind == "dw" else before) * filters
        assert (row.cost.params, row.cost.macs) == (weights, weights * size * size)
        before = filters


# Sandler 2018, Table 2 and Tan 2019 (EfficientNet), Table 1: filters, size of the output, repeats of each stage.
STAGES = {
    "mobilenet-v2": [(16, 112, 1), (24, 56, 2), (32, 28, 3), (64, 14, 4), (96, 14, 3), (160, 7, 3), (320, 7, 1)],
    "efficientnet-b0": [(16, 112, 1), (24, 56, 2), (40, 28, 2), (80, 14, 3), (112, 14, 3), (192, 7, 4), (320, 7, 1)],
}


@pytest.mark.parametrize("name", STAGES)
def test_stages_of_mobile_networks_row_by_row(name: str) -> None:
    """A stem of 32 filters, the stages, a 1 x 1 convolution to 1280 filters, pooling, the classifier."""
    rows = profile(name, (3, 224, 224), classes=1000).rows()
    blocks = [row.output_shape for row in rows if row.type == "MBConvBlock"]
    assert blocks == [(filters, size, size) for filters, size, repeats in STAGES[name] for _ in range(repeats)]
    others = [row.output_shape for row in rows if row.type in ("Conv2d", "Linear")]
    assert others == [(32, 112, 112), (1280, 7, 7), (1000,)]


def test_resnext_50_costs_what_resnet_50_costs() -> None:
    """Xie 2017, Table 1: 25.0e6 parameters and 4.2e9 multiply-adds."""
    found = profile("resnext-50-32x4d", (3, 224, 224), classes=1000)
    assert round(found.params / 1e6, 1) == 25.0
    assert round(found.macs / 1e9, 1) == 4.2


def test_googlenet_has_a_tenth_of_alexnet_s_parameters() -> None:
    """Lectures say 12 times fewer, the printed 60e6 against 5e6; counted, 8.7 times, or 10.2 without its classifier."""
    alexnet = profile("alexnet", (3, 227, 227), classes=1000).params
    googlenet = profile("googlenet", (3, 224, 224), classes=1000)
    classifier = googlenet.layers[-1].cost.params
    assert round(alexnet / googlenet.params, 1) == 8.7
    assert round(alexnet / (googlenet.params - classifier), 1) == 10.2


def test_inception_module_with_and_without_bottlenecks() -> None:
    """28 x 28 x 256 into 128 1x1, 192 3x3 and 96 5x5 filters: 854e6 MACs; 64-filter bottlenecks make it 271e6.

    The 358e6 that is often printed counts the 3x3 branch twice.
    """
    naive = InceptionFilters(128, None, 192, None, 96, None)
    slim = InceptionFilters(128, 64, 192, 64, 96, 64)
    for filters, millions in ((naive, 854), (slim, 271)):
        module = InceptionModule(Plan(Sizes(224), norm=False), 256, filters.mixed().branches)
        assert round(profile(module, (256, 28, 28)).macs / 1e6) == millions
