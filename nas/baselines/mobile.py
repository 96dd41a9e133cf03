"""Networks of inverted bottlenecks: MobileNet-v2 and -v3, MnasNet, EfficientNet and EfficientNet-v2.

What they are made of is data in `search_spaces.mbconv_design`; here is what else is known of them. Weights start as
torchvision's, convolutions in normal distributions with variance 2 / fan-out, as the papers' released code has them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from nas.baselines.baseline import Baseline
from nas.baselines.sizes import Sizes
from search_spaces.counting import Sizes as Images
from search_spaces.mbconv_design import DESIGNS
from search_spaces.mbconv_layout import layout_network
from search_spaces.mbconv_network import MBConvNetwork


def make_network(sizes: Sizes, *, name: str) -> MBConvNetwork:
    """Return the network of a design's name for these sizes; there is no auxiliary classifier to add."""
    images = Images(sizes.channels, sizes.resolution, sizes.classes)
    return MBConvNetwork(layout_network(DESIGNS[name], images, depth=sizes.depth, width=sizes.width))


def _make(name: str) -> Callable[[Sizes], MBConvNetwork]:
    return partial(make_network, name=name)


MOBILENET_V2 = "MobileNetV2: Inverted Residuals and Linear Bottlenecks"
MOBILENET_V3 = "Searching for MobileNetV3"
MNASNET = "MnasNet: Platform-Aware Neural Architecture Search for Mobile"
EFFICIENTNET = "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"
EFFICIENTNET_V2 = "EfficientNetV2: Smaller Models and Faster Training"

# EfficientNet: top-1 and top-5 error in percent (version 5 of the paper, Table 2), and where the paper's counts differ.
_EFFICIENTNET_ROWS: dict[str, tuple[float, float, str]] = {
    "b0": (22.9, 6.7, ""),
    "b1": (20.9, 5.6, ""),
    "b2": (19.9, 5.1, "the paper prints 9.2 M parameters, which are 9,177,562 with running statistics"),
    "b3": (18.4, 4.3, ""),
    "b4": (17.1, 3.6, "the paper prints 4.2 G MACs and does not say how they were counted; all ports have 4.39 G"),
    "b5": (16.4, 3.3, "the paper prints 9.9 G MACs and does not say how they were counted; all ports have 10.27 G"),
    "b6": (16.0, 3.2, ""),
    "b7": (15.7, 3.0, "the paper prints 37 G MACs, cut off rather than rounded: 37.7 G"),
}


def _efficientnet(name: str) -> Baseline:
    top1, top5, note = _EFFICIENTNET_ROWS[name]
    return Baseline(
        f"efficientnet-{name}",
        f"EfficientNet-{name.upper()}",
        EFFICIENTNET,
        2019,
        _make(f"efficientnet-{name}"),
        resolution=DESIGNS[f"efficientnet-{name}"].resolution,
        aliases=(f"efficientnet_{name}",),
        top1_error=top1,
        top5_error=top5,
        torchvision=f"efficientnet_{name}",
        note=note,
    )


def _efficientnet_v2(size: str, top1: float, note: str) -> Baseline:
    return Baseline(
        f"efficientnetv2-{size}",
        f"EfficientNetV2-{size.upper()}",
        EFFICIENTNET_V2,
        2021,
        _make(f"efficientnetv2-{size}"),
        resolution=DESIGNS[f"efficientnetv2-{size}"].resolution,
        aliases=(f"efficientnet_v2_{size}", f"efficientnet-v2-{size}"),
        top1_error=top1,
        torchvision=f"efficientnet_v2_{size}",
        note=note,
    )


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        "mobilenet-v2",
        "MobileNetV2 1.0-224",
        MOBILENET_V2,
        2018,
        _make("mobilenet-v2"),
        aliases=("mobilenet_v2", "mobilenetv2"),
        top1_error=28.0,
        torchvision="mobilenet_v2",
        note="the paper prints 3.4 M parameters: 3,470,760 without those of normalisation, cut off",
    ),
    Baseline(
        "mnasnet-a1",
        "MnasNet-A1, with squeeze-and-excitation",
        MNASNET,
        2019,
        _make("mnasnet-a1"),
        aliases=("mnasnet_a1", "semnasnet"),
        top1_error=24.8,
        top5_error=7.5,
    ),
    Baseline(
        "mnasnet-b1",
        "MnasNet-B1, without squeeze-and-excitation",
        MNASNET,
        2019,
        _make("mnasnet-b1"),
        aliases=("mnasnet_b1", "mnasnet1_0"),
        top1_error=25.5,
        torchvision="mnasnet1_0",
        note="normalisation has torch's momentum 0.1, not the released 0.0003, which takes thousands of steps",
    ),
    Baseline(
        "mobilenet-v3-large",
        "MobileNetV3-Large 1.0",
        MOBILENET_V3,
        2019,
        _make("mobilenet-v3-large"),
        aliases=("mobilenet_v3_large", "mobilenetv3-large"),
        top1_error=24.8,
        torchvision="mobilenet_v3_large",
        note="the paper prints 5.4 M parameters and 219 M MACs: 5,458,632 without those of normalisation, cut off; "
        "convolutions and linear layers alone are 216.6 M MACs",
        scales=("width",),
    ),
    Baseline(
        "mobilenet-v3-small",
        "MobileNetV3-Small 1.0",
        MOBILENET_V3,
        2019,
        _make("mobilenet-v3-small"),
        aliases=("mobilenet_v3_small", "mobilenetv3-small"),
        top1_error=32.6,
        torchvision="mobilenet_v3_small",
        note="the paper prints 56 M MACs: 56.5 M, cut off",
        scales=("width",),
    ),
    *(_efficientnet(name) for name in _EFFICIENTNET_ROWS),
    _efficientnet_v2(
        "s", 16.1, "the paper prints 8.8 G MACs and 22 M parameters, the released code's table 8.4 G and 21.5 M"
    ),
    _efficientnet_v2("m", 14.8, "the paper prints 24 G MACs, the released code's table 24.7 G, which is rounded up"),
    _efficientnet_v2(
        "l", 14.3, "the paper prints 53 G MACs and 120 M parameters, the released code's table 56.3 G and 119.5 M"
    ),
)
