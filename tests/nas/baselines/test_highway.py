"""Highway networks, counted by hand: no other implementation's count is known."""

from __future__ import annotations

import torch

from nas.baselines import find_baseline
from nas.baselines.highway import HIGHWAY_19, HIGHWAY_32, HighwayConv, Layout
from search_spaces.counting import Sizes as Images
from search_spaces.counting import count_network


def _by_hand(layout: Layout) -> tuple[int, int]:
    """Return parameters and MACs on 32 x 32: a highway layer is two 3 x 3 convolutions, poolings halve the map."""
    params = macs = 0
    c_in, size = 3, 32
    for stage in layout.stages:
        c = stage.filters
        params += 9 * c_in * c + c + stage.highways * 2 * (9 * c * c + c)
        macs += size**2 * (9 * c_in * c + stage.highways * 2 * 9 * c * c)
        c_in, size = c, size // 2
    last = layout.last_filters
    params += c_in * last + last + last * 10 + 10
    macs += (2 * size) ** 2 * c_in * last + last * 10  # no pooling after the last stage
    return params, macs


def test_counts_by_hand() -> None:
    """The paper prints about 2.3 M and 1.25 M parameters (He 2016, Table 6 quotes them)."""
    images = Images(3, 32, 10)
    for name, layout, params in (("highway-19", HIGHWAY_19, 2_256_838), ("highway-32", HIGHWAY_32, 1_252_570)):
        baseline = find_baseline(name)
        cost = count_network(lambda baseline=baseline: baseline.make(baseline.sizes), images)
        assert (cost.params, cost.macs) == _by_hand(layout)
        assert cost.params == params


def test_layers() -> None:
    """Each convolution, each highway layer, the 1 x 1 convolution and the classifier count as one."""
    for layout, layers in ((HIGHWAY_19, 19), (HIGHWAY_32, 32)):
        assert sum(1 + stage.highways for stage in layout.stages) + 2 == layers


def test_gates() -> None:
    """Closed gates hand on what they read; open ones give the rectified convolution; a new layer is mostly closed."""
    layer = HighwayConv(4)
    images = torch.randn(2, 4, 5, 5)
    with torch.no_grad():
        layer.conv.weight[4:] = 0
        layer.conv.bias[4:] = -100
        torch.testing.assert_close(layer(images), images)
        layer.conv.bias[4:] = 100
        torch.testing.assert_close(layer(images), layer.conv(images)[:, :4].relu())
    made = find_baseline("highway-19").make(find_baseline("highway-19").sizes)
    layers = [m for m in made.modules() if isinstance(m, HighwayConv)]
    assert all((m.conv.bias[m.conv.in_channels :] == -2).all() for m in layers)
    assert all((m.conv.bias[: m.conv.in_channels] == 0).all() for m in layers)
