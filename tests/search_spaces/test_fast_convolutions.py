"""Faster convolutions compute what torch's do: outputs and all gradients."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from search_spaces import dense_convolutions, fast_convolutions
from search_spaces.dense_convolutions import Geometry, dense_convolution
from search_spaces.fast_convolutions import PointwiseConv2d, SpatialConv2d, use_fast_convolutions

TOLERANCE = 1e-5  # of the largest value: float32 sums in another order


def depthwise(kernel: int | tuple[int, int], stride: int = 1, dilation: int = 1, *, bias: bool = False) -> nn.Conv2d:
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (dilation * (sides[0] // 2), dilation * (sides[1] // 2))
    return nn.Conv2d(6, 6, sides, stride=stride, padding=padding, dilation=dilation, groups=6, bias=bias)


LAYERS = {
    "1x1": lambda: nn.Conv2d(6, 4, 1, bias=False),
    "1x1 with bias": lambda: nn.Conv2d(6, 4, 1),
    "5x5": lambda: depthwise(5),
    "5x5 with bias": lambda: depthwise(5, bias=True),
    "7x7": lambda: depthwise(7),
    "9x3": lambda: depthwise((9, 3)),
    "5x5 stride 2": lambda: depthwise(5, 2),
    "7x7 stride 2": lambda: depthwise(7, 2),
    "7x7 stride 3": lambda: depthwise(7, 3),
    "5x5 dilated": lambda: depthwise(5, 1, 2),
    "5x5 dilated stride 2": lambda: depthwise(5, 2, 2),
    "3x3 depthwise": lambda: depthwise(3),
    "3x3": lambda: nn.Conv2d(6, 4, 3, padding=1),
    "3x3 valid stride 2": lambda: nn.Conv2d(6, 4, 3, stride=2, bias=False, padding=1),
    "1x7": lambda: nn.Conv2d(6, 6, (1, 7), padding=(0, 3), stride=(1, 2)),
    "1x1 stride 2": lambda: nn.Conv2d(6, 4, 1, stride=2),
    "3x3 in two groups": lambda: nn.Conv2d(6, 4, 3, padding=1, groups=2),
}
WAYS = {"as it would": None, "never dense": 0, "always dense": 10**9}


def run(layer: nn.Module, images: Tensor) -> list[Tensor]:
    """Output, gradient of the input, gradients of the parameters, for an upstream gradient that depends on position."""
    x = images.clone(memory_format=torch.preserve_format).requires_grad_()
    output = layer(x)
    weights = torch.linspace(-1, 1, output.numel()).view_as(output).contiguous()
    (output * weights).sum().backward()
    assert x.grad is not None
    return [output.detach(), x.grad, *(p.grad for p in layer.parameters() if p.grad is not None)]


@pytest.mark.parametrize("size", [2, 7, 12])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LAYERS)
def test_outputs_and_gradients_are_torchs(name: str, way: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever way is taken, also where the images are taken a few at a time."""
    if (largest := WAYS[way]) is not None:
        monkeypatch.setattr(fast_convolutions, "LARGEST_MATRIX", largest)
        monkeypatch.setattr(dense_convolutions, "LARGEST_MATRIX", largest)
    torch.manual_seed(0)
    plain = LAYERS[name]()
    fast = use_fast_convolutions(copy.deepcopy(plain))
    assert type(fast) in (PointwiseConv2d, SpatialConv2d)
    images = torch.randn(5, 6, size, size).contiguous(memory_format=torch.channels_last)
    for chunk in (1, 3 * 6 * size * size * 4, 2**20) if way == "never dense" else (2**20,):
        monkeypatch.setattr(fast_convolutions, "CHUNK_BYTES", chunk)
        for p in (*plain.parameters(), *fast.parameters()):
            p.grad = None
        for expected, found in zip(run(plain, images), run(fast, images), strict=True):
            assert found.shape == expected.shape
            assert (found - expected).abs().max() <= TOLERANCE * expected.abs().max()


def test_gradients_hold_in_double_precision() -> None:
    """Against finite differences, by torch's own check; the layer itself leaves float64 to torch."""
    torch.manual_seed(0)
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    apply = fast_convolutions._Depthwise.apply
    assert torch.autograd.gradcheck(lambda a, b: apply(a, b, (2, 2), (2, 2), (1, 1)), (x, weight))
    geometry = Geometry((6, 6), (3, 1, 5, 5), (2, 2), (2, 2), (1, 1), 3)
    assert torch.autograd.gradcheck(lambda a, b: dense_convolution(a, b, geometry), (x, weight))


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.ConvTranspose2d(4, 4, 3), nn.ConvTranspose2d),
        (nn.Conv2d(4, 4, 5, padding="same", groups=4), nn.Conv2d),
        (nn.Conv2d(4, 4, 5, padding=2, groups=4, padding_mode="circular"), nn.Conv2d),
        (nn.Conv2d(4, 4, 1, stride=2), SpatialConv2d),
        (nn.Conv2d(4, 4, 1, padding=1), SpatialConv2d),
        (nn.Conv2d(4, 4, 1, groups=2), SpatialConv2d),
        (nn.Conv2d(4, 8, 3, padding=1), SpatialConv2d),
        (nn.Conv2d(4, 4, 1), PointwiseConv2d),
        (nn.Conv2d(4, 4, 5, padding=2, groups=4), SpatialConv2d),
    ],
)
def test_only_convolutions_of_torch_with_zeros_around_are_changed(module: nn.Module, expected: type[nn.Module]) -> None:
    assert type(use_fast_convolutions(nn.Sequential(module))[0]) is expected  # type: ignore[index]


def test_parametrized_layers_stay() -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 1))
    before = type(layer)
    assert type(use_fast_convolutions(layer)) is before


def test_state_and_evaluation_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and order of weights are torch's, and in evaluation torch's own code runs, bit for bit."""
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 6, 1), depthwise(5)).eval()
    fast = use_fast_convolutions(copy.deepcopy(plain))
    assert list(fast.state_dict()) == list(plain.state_dict())
    images = torch.randn(2, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    monkeypatch.delattr(fast_convolutions, "_Depthwise")
    monkeypatch.delattr(fast_convolutions, "dense_convolution")
    assert torch.equal(fast(images), plain(images))
