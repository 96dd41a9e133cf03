"""Counting a network from one run without weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from search_spaces.architecture import Complexity
from search_spaces.counting import (
    MacCounter,
    ProductKind,
    Sizes,
    count_network,
    fill_lazy,
    plain_operators,
    without_weights,
)
from search_spaces.errors import InvalidInputError

SIZES = Sizes(channels=3, resolution=8, classes=5)


def head(width: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, SIZES.classes)]


def test_convolutions_count_padding_groups_stride_and_no_bias() -> None:
    """By hand: 4x4 outputs of a strided 3x3, 4x4 of a depthwise 5x5, and the classifier."""
    build = lambda: nn.Sequential(  # noqa: E731
        nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.Conv2d(6, 6, 5, padding=2, groups=6, bias=False), *head(6)
    )
    macs = 16 * 3 * 6 * 9 + 16 * 6 * 25 + 6 * 5
    assert count_network(build, SIZES) == Complexity(3 * 6 * 9 + 6 + 6 * 25 + 6 * 5 + 5, macs)


def test_frozen_parameters_and_running_statistics_are_not_counted() -> None:
    def build() -> nn.Module:
        network = nn.Sequential(nn.BatchNorm2d(3), *head(3))
        network[0].requires_grad_(False)
        return network

    assert count_network(build, SIZES).params == 3 * 5 + 5


class Attention(nn.Module):
    """One transformer layer over the pixels, and a layer whose input size torch finds out itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.entry = nn.LazyConv2d(8, 1)
        self.classify = nn.Linear(8, SIZES.classes)

    def forward(self, images: Tensor) -> Tensor:
        pixels = self.entry(images).flatten(2).transpose(1, 2)
        classified: Tensor = self.classify(self.layer(pixels).mean(1))
        return classified


def test_attention_counts_its_linear_layers() -> None:
    """64 pixels of 8 numbers: entry, queries to values, output, two layers behind it, classifier; not the scores."""
    macs = 64 * (3 * 8 + 8 * 24 + 8 * 8 + 2 * 8 * 16) + 8 * 5
    assert count_network(Attention, SIZES).macs == macs


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("trainable", [True, False])
def test_products_of_attention_are_told_apart(device: str, trainable: bool) -> None:
    """On every device and however torch would compute it: scores of 64 pixels with each other, and their sums."""
    counts = {"layer": 0, "attention": 0}

    def add(kind: ProductKind, macs: int) -> None:
        counts[kind] += macs

    with torch.device(device), plain_operators():
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval().requires_grad_(trainable)
        pixels = torch.zeros(1, 64, 8)
        with MacCounter(pixels, add):
            layer(pixels)
    assert counts == {"layer": 64 * (8 * 24 + 8 * 8 + 2 * 8 * 16), "attention": 2 * 64 * 64 * 8}


class Written(nn.Module):
    """Linear layers in other words: an einsum, a vector, a weight that is a product, a strided input."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, 4))
        self.factors = nn.Parameter(torch.zeros(2, 4, 4))
        self.vector = nn.Parameter(torch.zeros(64))
        self.classify = nn.Linear(4, SIZES.classes)

    def forward(self, images: Tensor) -> Tensor:
        pixels = torch.einsum("bchw,cd->bdhw", images, self.weight)
        mixed = nn.functional.linear(pixels.flatten(2).transpose(1, 2), self.factors[0] @ self.factors[1])
        logits: Tensor = self.classify(mixed.transpose(1, 2) @ self.vector)
        return logits


def test_linear_layers_are_found_however_they_are_written() -> None:
    """3 to 4 and 4 to 4 at 64 pixels, 64 to 1 in 4 channels, 4 to 5; weights' own product is the same for all."""
    assert count_network(Written, SIZES).macs == 64 * 3 * 4 + 64 * 4 * 4 + 4 * 64 + 4 * 5


def test_the_count_is_the_same_whatever_mode_the_caller_is_in() -> None:
    with torch.inference_mode():
        inside = count_network(Attention, SIZES)
    assert inside == count_network(Attention, SIZES)


class ReadsContents(nn.Module):
    """Decides by the values of a tensor, which the meta device does not have."""

    def __init__(self) -> None:
        super().__init__()
        width = int(torch.linspace(0, 8, 5)[2])
        self.layers = nn.Sequential(nn.Conv2d(3, width, 1), *head(width))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images if images.sum() >= 0 else -images)
        return logits


def test_what_cannot_run_without_contents_is_counted_on_the_cpu() -> None:
    assert count_network(ReadsContents, SIZES) == Complexity(3 * 4 + 4 + 4 * 5 + 5, 64 * 3 * 4 + 4 * 5)


class ReadsFilled(nn.Module):
    """As many layers as its weights, which were filled with 3, say."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1).fill_(3))
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(int(self.weight.item())))
        self.head = nn.Sequential(*head(3))

    def forward(self, x: Tensor) -> Tensor:
        x = x.movedim(1, -1)
        for layer in self.layers:
            x = layer(x)
        logits: Tensor = self.head(x.movedim(-1, 1))
        return logits


def test_what_is_filled_is_filled_where_contents_are_read() -> None:
    """Without contents nothing is filled; a network that reads what it filled is counted with contents."""
    alone = count_network(lambda: nn.Sequential(*head(3)), SIZES)
    assert count_network(ReadsFilled, SIZES) == Complexity(alone.params + 3 * 12 + 1, alone.macs + 3 * 64 * 9)


def test_filling_is_skipped_without_contents_and_gives_the_tensor() -> None:
    def work(device: str) -> bool:
        weight = torch.empty(2, 3)
        filled = [weight.normal_(), weight.fill_(1), nn.init.kaiming_normal_(weight), nn.init.zeros_(weight)]
        return all(one is weight for one in filled) and weight.device.type == device == "meta"

    assert without_weights(work)


def test_random_states_stay_as_they_were() -> None:
    before = torch.get_rng_state()
    count_network(ReadsContents, SIZES)
    count_network(Attention, SIZES)
    assert torch.equal(before, torch.get_rng_state())


def test_errors_are_those_of_the_cpu_run() -> None:
    devices = []

    def work(device: str) -> None:
        devices.append(device)
        raise RuntimeError(device)

    with pytest.raises(RuntimeError, match="cpu"):
        without_weights(work)
    assert devices == ["meta", "cpu"]


@pytest.mark.parametrize(
    ("build", "found"),
    [(lambda: nn.Sequential(*head(3), nn.Linear(5, 7)), r"\(2, 7\)"), (nn.Identity, r"\(2, 3, 8, 8\)")],
)
def test_other_outputs_than_logits_are_refused(build: type[nn.Module], found: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"must give logits \(2, 5\).*got {found}"):
        count_network(build, SIZES)


def test_lazy_layers_get_their_weights_and_the_mode_stays() -> None:
    network = Attention().train()
    fill_lazy(network, SIZES)
    assert network.entry.weight.shape == (8, 3, 1, 1)
    assert network.training
