"""Tables that everybody learns from, as networks and as arithmetic."""

from __future__ import annotations

import pytest
from torch import nn

from nas.baselines import baselines
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
