"""Networks of inverted bottlenecks as data: stages, what comes before and after them, and the published ones.

MobileNet-v2 and -v3, MnasNet, EfficientNet and EfficientNet-v2 are values of one type. What they become is in
`search_spaces.mbconv_layout` and `search_spaces.mbconv_network`; a space of such values is `search_spaces.mbconv`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from search_spaces.errors import InvalidInputError, UnknownNameError
from search_spaces.layers import Normalization

BlockKind = Literal["mbconv", "fused"]
Activation = Literal["relu", "relu6", "hard_swish", "silu"]
WidthRule = Literal["scaled", "enlarged", "fixed"]
DEFAULT_NORMALIZATION = Normalization()


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks of one kind in a row; the first has the stage's stride and changes the channels.

    Attributes:
        block: ``mbconv``, a pointwise expansion, a depthwise and a pointwise linear convolution (Sandler 2018); with
            expansion 1 a depthwise separable convolution. ``fused``, one full convolution in place of the first two
            (Tan 2021); with expansion 1 just a convolution.
        kernel: size of the depthwise or full convolution.
        expansion: inner channels over the block's input channels.
        filters: output channels.
        repeats: how many blocks.
        stride: of the first block.
        excitation: channels of the squeeze over channels of what `Design.squeeze_of` names; 0 for none.
        skip: whether blocks that keep the shape add their input.
        activation: the nonlinearity.
    """

    block: BlockKind
    kernel: int
    expansion: float
    filters: int
    repeats: int
    stride: int = 1
    excitation: float = 0.0
    skip: bool = True
    activation: Activation = "relu"

    def __post_init__(self) -> None:
        """Refuse what no block can be."""
        if self.block not in get_args(BlockKind):
            raise UnknownNameError("block", str(self.block), get_args(BlockKind))
        if self.activation not in get_args(Activation):
            raise UnknownNameError("activation", str(self.activation), get_args(Activation))
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise InvalidInputError(f"a stage's kernel is odd and >= 1, got {self.kernel}.")
        if min(self.filters, self.repeats, self.stride) < 1 or self.expansion < 1 or not 0 <= self.excitation <= 1:
            raise InvalidInputError(
                f"a stage has filters, repeats, stride and expansion >= 1 and an excitation in [0, 1], got {self}."
            )


@dataclass(frozen=True, slots=True)
class Design:
    """A network: a 3 x 3 stem convolution of stride 2, stages, a pointwise head, average pooling, a classifier.

    Attributes:
        stages: from input to output.
        stem_filters, head_filters: of the first and the last convolution.
        activation: of stem, head and hidden layer.
        hidden: length of a layer between pooling and classifier; 0 for none.
        head_width: what a width multiplier does to the head: it is ``scaled``, ``enlarged`` only, or ``fixed``.
        squeeze_of: what `Stage.excitation` is a share of: the block's ``input``, or the ``expanded`` channels,
            rounded to a multiple of 8.
        gate: what turns the excitation into a factor.
        normalization: of every convolution.
        classifier: how the linear layers start: ``normal`` with deviation 0.01, ``uniform`` within one over the root
            of the outputs (EfficientNet), or uniform by ``fan_out`` (MnasNet, torchvision).
        dropout: dropped share before the classifier.
        drop_path: rate at which the last block's residual is dropped; in earlier ones it grows linearly from 0.
        depth, width: published multipliers of repeats and filters.
        resolution: image size that it was made for.
    """

    stages: tuple[Stage, ...]
    stem_filters: int = 32
    head_filters: int = 1280
    activation: Activation = "relu"
    hidden: int = 0
    head_width: WidthRule = "scaled"
    squeeze_of: Literal["input", "expanded"] = "input"
    gate: Literal["sigmoid", "hard_sigmoid"] = "sigmoid"
    normalization: Normalization = DEFAULT_NORMALIZATION
    classifier: Literal["normal", "uniform", "fan_out"] = "normal"
    dropout: float = 0.2
    drop_path: float = 0.0
    depth: float = 1.0
    width: float = 1.0
    resolution: int = 224

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides of the stem and of each stage."""
        return (2, *(stage.stride for stage in self.stages))


def _mobilenet_v2(*rows: tuple[int, int, int, int]) -> tuple[Stage, ...]:
    """Stages in the notation of Sandler 2018, Table 2: expansion t, channels c, repeats n, stride s."""
    return tuple([Stage("mbconv", 3, t, c, n, s, activation="relu6") for t, c, n, s in rows])


def _mobilenet_v3(*rows: tuple[int, int, int, int, bool, Activation, int]) -> tuple[Stage, ...]:
    """Blocks in the notation of Howard 2019, Tables 1 and 2: k, input, expanded, output, SE, NL, s."""
    return tuple(
        [
            Stage("mbconv", k, exp / c_in, out, 1, s, excitation=0.25 if se else 0.0, activation=nl)
            for k, c_in, exp, out, se, nl, s in rows
        ]
    )


def _efficientnet(*rows: tuple[BlockKind, int, int, int, int, int, float]) -> tuple[Stage, ...]:
    """Stages as block, kernel, expansion, stride, channels, layers, excitation (Tan 2021, Table 4)."""
    return tuple(
        [
            Stage(block, k, expansion, channels, layers, stride, excitation=se, activation="silu")
            for block, k, expansion, stride, channels, layers, se in rows
        ]
    )


_MNASNET_FIRST = Stage("mbconv", 3, 1, 16, 1, skip=False)
_V3 = Design(
    (), activation="hard_swish", squeeze_of="expanded", gate="hard_sigmoid", normalization=Normalization(1e-3, 0.01)
)
_B0 = Design(
    _efficientnet(
        ("mbconv", 3, 1, 1, 16, 1, 0.25),
        ("mbconv", 3, 6, 2, 24, 2, 0.25),
        ("mbconv", 5, 6, 2, 40, 2, 0.25),
        ("mbconv", 3, 6, 2, 80, 3, 0.25),
        ("mbconv", 5, 6, 1, 112, 3, 0.25),
        ("mbconv", 5, 6, 2, 192, 4, 0.25),
        ("mbconv", 3, 6, 1, 320, 1, 0.25),
    ),
    activation="silu",
    classifier="uniform",
    drop_path=0.2,
)
_V2 = replace(_B0, normalization=Normalization(1e-3, 0.1))
# Tan 2019 (EfficientNet), released code: width, depth, resolution, dropout. B5 to B7 have the released code's
# normalisation in torchvision, the smaller ones torch's.
_COMPOUND = {
    "b0": (1.0, 1.0, 224, 0.2),
    "b1": (1.0, 1.1, 240, 0.2),
    "b2": (1.1, 1.2, 260, 0.3),
    "b3": (1.2, 1.4, 300, 0.3),
    "b4": (1.4, 1.8, 380, 0.4),
    "b5": (1.6, 2.2, 456, 0.4),
    "b6": (1.8, 2.6, 528, 0.5),
    "b7": (2.0, 3.1, 600, 0.5),
}


def _compound(name: str) -> Design:
    width, depth, resolution, dropout = _COMPOUND[name]
    normalization = Normalization(1e-3, 0.01) if name >= "b5" else DEFAULT_NORMALIZATION
    return replace(_B0, width=width, depth=depth, resolution=resolution, dropout=dropout, normalization=normalization)


DESIGNS: dict[str, Design] = {
    # Sandler 2018 (https://arxiv.org/abs/1801.04381), Table 2
    "mobilenet-v2": Design(
        _mobilenet_v2(
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)
        ),
        activation="relu6",
        head_width="enlarged",
    ),
    # Tan 2019 (https://arxiv.org/abs/1807.11626), Figure 7
    "mnasnet-a1": Design(
        (
            _MNASNET_FIRST,
            Stage("mbconv", 3, 6, 24, 2, 2),
            Stage("mbconv", 5, 3, 40, 3, 2, 0.25),
            Stage("mbconv", 3, 6, 80, 4, 2),
            Stage("mbconv", 3, 6, 112, 2, 1, 0.25),
            Stage("mbconv", 5, 6, 160, 3, 2, 0.25),
            Stage("mbconv", 3, 6, 320, 1),
        ),
        head_width="fixed",
        classifier="fan_out",
    ),
    # The same paper's network without squeeze-and-excitation. Torchvision has the released code's normalisation, which
    # averages over some 3,000 steps (decay 0.9997); statistics of shorter trainings would be those it started from.
    "mnasnet-b1": Design(
        (
            _MNASNET_FIRST,
            Stage("mbconv", 3, 3, 24, 3, 2),
            Stage("mbconv", 5, 3, 40, 3, 2),
            Stage("mbconv", 5, 6, 80, 3, 2),
            Stage("mbconv", 3, 6, 96, 2, 1),
            Stage("mbconv", 5, 6, 192, 4, 2),
            Stage("mbconv", 3, 6, 320, 1),
        ),
        head_width="fixed",
        classifier="fan_out",
    ),
    # Howard 2019 (https://arxiv.org/abs/1905.02244), Tables 1 and 2
    "mobilenet-v3-large": replace(
        _V3,
        stem_filters=16,
        head_filters=960,
        hidden=1280,
        stages=_mobilenet_v3(
            (3, 16, 16, 16, False, "relu", 1),
            (3, 16, 64, 24, False, "relu", 2),
            (3, 24, 72, 24, False, "relu", 1),
            (5, 24, 72, 40, True, "relu", 2),
            (5, 40, 120, 40, True, "relu", 1),
            (5, 40, 120, 40, True, "relu", 1),
            (3, 40, 240, 80, False, "hard_swish", 2),
            (3, 80, 200, 80, False, "hard_swish", 1),
            (3, 80, 184, 80, False, "hard_swish", 1),
            (3, 80, 184, 80, False, "hard_swish", 1),
            (3, 80, 480, 112, True, "hard_swish", 1),
            (3, 112, 672, 112, True, "hard_swish", 1),
            (5, 112, 672, 160, True, "hard_swish", 2),
            (5, 160, 960, 160, True, "hard_swish", 1),
            (5, 160, 960, 160, True, "hard_swish", 1),
        ),
    ),
    "mobilenet-v3-small": replace(
        _V3,
        stem_filters=16,
        head_filters=576,
        hidden=1024,
        stages=_mobilenet_v3(
            (3, 16, 16, 16, True, "relu", 2),
            (3, 16, 72, 24, False, "relu", 2),
            (3, 24, 88, 24, False, "relu", 1),
            (5, 24, 96, 40, True, "hard_swish", 2),
            (5, 40, 240, 40, True, "hard_swish", 1),
            (5, 40, 240, 40, True, "hard_swish", 1),
            (5, 40, 120, 48, True, "hard_swish", 1),
            (5, 48, 144, 48, True, "hard_swish", 1),
            (5, 48, 288, 96, True, "hard_swish", 2),
            (5, 96, 576, 96, True, "hard_swish", 1),
            (5, 96, 576, 96, True, "hard_swish", 1),
        ),
    ),
    # Tan 2019 (https://arxiv.org/abs/1905.11946), Table 1 and the released code
    **{f"efficientnet-{name}": _compound(name) for name in _COMPOUND},
    # Tan 2021 (https://arxiv.org/abs/2104.00298), Table 4 and the released code
    "efficientnetv2-s": replace(
        _V2,
        stem_filters=24,
        resolution=384,
        stages=_efficientnet(
            ("fused", 3, 1, 1, 24, 2, 0.0),
            ("fused", 3, 4, 2, 48, 4, 0.0),
            ("fused", 3, 4, 2, 64, 4, 0.0),
            ("mbconv", 3, 4, 2, 128, 6, 0.25),
            ("mbconv", 3, 6, 1, 160, 9, 0.25),
            ("mbconv", 3, 6, 2, 256, 15, 0.25),
        ),
    ),
    "efficientnetv2-m": replace(
        _V2,
        stem_filters=24,
        resolution=480,
        dropout=0.3,
        stages=_efficientnet(
            ("fused", 3, 1, 1, 24, 3, 0.0),
            ("fused", 3, 4, 2, 48, 5, 0.0),
            ("fused", 3, 4, 2, 80, 5, 0.0),
            ("mbconv", 3, 4, 2, 160, 7, 0.25),
            ("mbconv", 3, 6, 1, 176, 14, 0.25),
            ("mbconv", 3, 6, 2, 304, 18, 0.25),
            ("mbconv", 3, 6, 1, 512, 5, 0.25),
        ),
    ),
    "efficientnetv2-l": replace(
        _V2,
        resolution=480,
        dropout=0.4,
        stages=_efficientnet(
            ("fused", 3, 1, 1, 32, 4, 0.0),
            ("fused", 3, 4, 2, 64, 7, 0.0),
            ("fused", 3, 4, 2, 96, 7, 0.0),
            ("mbconv", 3, 4, 2, 192, 10, 0.25),
            ("mbconv", 3, 6, 1, 224, 19, 0.25),
            ("mbconv", 3, 6, 2, 384, 25, 0.25),
            ("mbconv", 3, 6, 1, 640, 7, 0.25),
        ),
    ),
}
