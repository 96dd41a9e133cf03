"""The operations that cells are made of, and the published sets of them.

Every operation is written ReLU-convolution-BN (Zoph 2018, A.4) and takes `c_in` channels to `c_out`; with
stride 2 it halves the size (rounded up). Plain convolutions wider than 1x1 are bottlenecks as in the released
AmoebaNet code, the only one that has them; the papers do not say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from search_spaces.architecture import Complexity
from search_spaces.errors import InvalidInputError, UnknownNameError
from search_spaces.graph import ZERO
from search_spaces.layers import Conv, FactorizedReduction, Layer, Norm, Pool, Relu, Zero, layers_complexity

IDENTITY = "identity"
Layers = tuple[Layer, ...]
StridedIdentity = Literal["conv", "factorized", "factorized_linear"]


def _relu_conv_norm(
    c_in: int, c_out: int, kernel: tuple[int, int] = (1, 1), stride: tuple[int, int] = (1, 1)
) -> Layers:
    return (Relu(), Conv(c_in, c_out, kernel, stride), Norm(c_out))


def _identity(c_in: int, c_out: int, stride: int) -> Layers:
    if stride == 1 and c_in == c_out:
        return ()
    return _relu_conv_norm(c_in, c_out, stride=(stride, stride))


def _separable(kernel: int) -> Callable[[int, int, int], Layers]:
    """Depthwise then pointwise, applied twice, nothing between the two halves (Zoph 2018, A.4)."""

    def layers(c_in: int, c_out: int, stride: int) -> Layers:
        depthwise = Conv(c_in, c_in, (kernel, kernel), (stride, stride), groups=c_in)
        again = Conv(c_out, c_out, (kernel, kernel), groups=c_out)
        first = (Relu(), depthwise, Conv(c_in, c_out), Norm(c_out))
        return (*first, Relu(), again, Conv(c_out, c_out), Norm(c_out))

    return layers


def _dilated(kernel: int) -> Callable[[int, int, int], Layers]:
    """Depthwise with dilation 2, then pointwise, once (DARTS code)."""

    def layers(c_in: int, c_out: int, stride: int) -> Layers:
        depthwise = Conv(c_in, c_in, (kernel, kernel), (stride, stride), dilation=2, groups=c_in)
        return (Relu(), depthwise, Conv(c_in, c_out), Norm(c_out))

    return layers


def _pool(kind: Literal["avg", "max"], kernel: int) -> Callable[[int, int, int], Layers]:
    """Pool, and a 1x1 convolution only where the channels have to change (TF-Slim)."""

    def layers(c_in: int, c_out: int, stride: int) -> Layers:
        pool = Pool(kind, kernel, stride)
        return (pool,) if c_in == c_out else (pool, Conv(c_in, c_out), Norm(c_out))

    return layers


def _bottleneck(
    kernels: list[tuple[int, int]], *, numerator: int, denominator: int
) -> Callable[[int, int, int], Layers]:
    """1x1 down to a fraction of `c_out`, the kernels, 1x1 up again (released AmoebaNet code).

    A 1xk kernel takes the horizontal stride, a kx1 kernel the vertical one, a kxk kernel both.
    """

    def layers(c_in: int, c_out: int, stride: int) -> Layers:
        middle = max(1, c_out * numerator // denominator)
        inner: list[Layer] = []
        for kernel in kernels:
            strides = (stride if kernel[0] > 1 else 1, stride if kernel[1] > 1 else 1)
            inner += _relu_conv_norm(middle, middle, kernel, strides)
        return (*_relu_conv_norm(c_in, middle), *inner, *_relu_conv_norm(middle, c_out))

    return layers


def _conv_1x1(c_in: int, c_out: int, stride: int) -> Layers:
    return _relu_conv_norm(c_in, c_out, stride=(stride, stride))


def _zero(c_in: int, c_out: int, stride: int) -> Layers:
    return (Zero(c_out, stride),)


OPERATIONS: dict[str, Callable[[int, int, int], Layers]] = {
    IDENTITY: _identity,
    "conv_1x3_3x1": _bottleneck([(1, 3), (3, 1)], numerator=3, denominator=8),
    "conv_1x7_7x1": _bottleneck([(1, 7), (7, 1)], numerator=1, denominator=4),
    "dil_conv_3x3": _dilated(3),
    "dil_conv_5x5": _dilated(5),
    "avg_pool_3x3": _pool("avg", 3),
    "max_pool_2x2": _pool("max", 2),
    "max_pool_3x3": _pool("max", 3),
    "max_pool_5x5": _pool("max", 5),
    "max_pool_7x7": _pool("max", 7),
    "conv_1x1": _conv_1x1,
    "conv_3x3": _bottleneck([(3, 3)], numerator=1, denominator=4),
    "sep_conv_3x3": _separable(3),
    "sep_conv_5x5": _separable(5),
    "sep_conv_7x7": _separable(7),
    "dil_sep_conv_5x5": _separable(5),  # AmoebaNet-B's "dilated" 5x5: its released code builds no dilation
    ZERO: _zero,
}

OPERATION_SETS: dict[str, tuple[str, ...]] = {
    # Zoph 2018, section 3: the thirteen of the NASNet search.
    "nasnet": (
        "identity",
        "conv_1x3_3x1",
        "conv_1x7_7x1",
        "dil_conv_3x3",
        "avg_pool_3x3",
        "max_pool_3x3",
        "max_pool_5x5",
        "max_pool_7x7",
        "conv_1x1",
        "conv_3x3",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "sep_conv_7x7",
    ),
    # Real 2019, Methods: the eight of the evolution of AmoebaNet-A.
    "amoebanet": (
        "identity",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "sep_conv_7x7",
        "avg_pool_3x3",
        "max_pool_3x3",
        "dil_conv_3x3",
        "conv_1x7_7x1",
    ),
    # What the released AmoebaNet-B and -D are made of, besides.
    "amoebanet-wide": (
        "identity",
        "conv_1x1",
        "conv_3x3",
        "conv_1x7_7x1",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "sep_conv_7x7",
        "dil_sep_conv_5x5",
        "avg_pool_3x3",
        "max_pool_2x2",
        "max_pool_3x3",
    ),
    # Pham 2018, section 2.4.
    "enas": ("sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3", "identity"),
    # Liu 2018 (PNAS), section 3.1.
    "pnasnet": (
        "sep_conv_3x3",
        "sep_conv_5x5",
        "sep_conv_7x7",
        "conv_1x7_7x1",
        "identity",
        "avg_pool_3x3",
        "max_pool_3x3",
        "dil_conv_3x3",
    ),
    # Liu 2019 (DARTS), section 3.1, without the zero operation.
    "darts": (
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
        "max_pool_3x3",
        "avg_pool_3x3",
        "identity",
    ),
}


@dataclass(frozen=True, slots=True)
class PlannedLayers:
    """Layers at known shapes: what they are, what they cost, what comes out.

    Attributes:
        layers: the primitives in order; none for a plain connection.
        params, macs: their cost (see `Complexity`).
        channels, size: channels and height (= width) of the result.
    """

    layers: Layers
    params: int
    macs: int
    channels: int
    size: int


@lru_cache(maxsize=65536)
def plan_operation(
    name: str, c_in: int, c_out: int, *, stride: int, size: int, strided_identity: StridedIdentity = "conv"
) -> PlannedLayers:
    """Return an operation at known shapes.

    Args:
        name: a key of `OPERATIONS`.
        c_in: channels of the state it reads.
        c_out: channels it returns.
        stride: 1 or 2.
        size: height and width of the state it reads.
        strided_identity: what identity becomes at stride 2: a 1x1 convolution (NASNet), or a factorized
            reduction after a ReLU (DARTS) or without one (ENAS); always a convolution where `c_out` is odd.
    """
    if name == IDENTITY and stride == 2 and strided_identity != "conv" and c_out % 2 == 0:
        return plan_factorized_reduction(c_in, c_out, size=size, relu=strided_identity == "factorized")
    return plan_layers(OPERATIONS[name](c_in, c_out, stride), c_out, size=size, stride=stride)


def plan_layers(layers: Layers, c_out: int, *, size: int, stride: int = 1) -> PlannedLayers:
    """Return layers with their cost on a `size` x `size` input that they shrink by `stride`."""
    cost: Complexity = layers_complexity(layers, size)
    return PlannedLayers(layers, cost.params, cost.macs, c_out, -(-size // stride))


def plan_factorized_reduction(c_in: int, c_out: int, *, size: int, relu: bool) -> PlannedLayers:
    """Return a factorized reduction and its normalisation; an odd `c_out` gives one channel less (TF-Slim)."""
    even = c_out // 2 * 2
    layers: Layers = (FactorizedReduction(c_in, even), Norm(even))
    return plan_layers((Relu(), *layers) if relu else layers, even, size=size, stride=2)


def operation_set(names: str) -> tuple[str, ...]:
    """Return the operations of a named set, or of a list of operations joined by ``+``.

    Raises:
        UnknownNameError: neither a set nor an operation.
        InvalidInputError: an operation named twice.
    """
    if names in OPERATION_SETS:
        return OPERATION_SETS[names]
    listed = tuple(names.split("+"))
    for name in listed:
        if name not in OPERATIONS:
            known = [*OPERATIONS, *OPERATION_SETS] if len(listed) == 1 else OPERATIONS
            raise UnknownNameError("operation", name, known)
    if len(set(listed)) != len(listed):
        raise InvalidInputError(f"an operation set names each operation once, got {names!r}.")
    return listed
