"""SAGAN's self-attention block and the classifier around it."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nas.baselines import find_baseline
from nas.baselines.sagan import SelfAttention
from search_spaces.counting import Sizes as Images
from search_spaces.counting import count_network


@pytest.mark.parametrize(
    ("channels", "params", "macs", "products"),
    [
        (64, 5_121, 5_242_880, 10_485_760),
        (128, 20_481, 20_971_520, 20_971_520),
        (256, 81_921, 83_886_080, 41_943_040),
        (512, 327_681, 335_544_320, 83_886_080),
    ],
)
def test_block_counts(channels: int, params: int, macs: int, products: int) -> None:
    """On 32 x 32 positions, from the authors' released code: convolutions, and the two matrix products."""
    with torch.device("meta"):
        block = SelfAttention(channels)
        with FlopCounterMode(display=False) as counter:
            block(torch.zeros(1, channels, 32, 32))
    counts = {operation.__name__: flops // 2 for operation, flops in counter.get_flop_counts()["Global"].items()}
    assert sum(p.numel() for p in block.parameters()) == params
    assert counts == {"convolution.default": macs, "bmm.default": products} or counts == {
        "convolution": macs,
        "bmm": products,
    }


def test_block_starts_as_the_identity() -> None:
    images = torch.randn(2, 16, 6, 6)
    assert torch.equal(SelfAttention(16)(images), images)


def test_every_position_is_read() -> None:
    """With gamma at one, a change in a corner is felt in the other; the mean of equal positions is their value."""
    block = SelfAttention(16)
    torch.nn.init.ones_(block.gamma)
    images = torch.randn(1, 16, 6, 6)
    changed = images.clone()
    changed[:, :, 0, 0] += 10
    assert not torch.equal(block(images)[:, :, 5, 5], block(changed)[:, :, 5, 5])
    flat = torch.randn(1, 16, 1, 1).expand(1, 16, 6, 6)
    torch.testing.assert_close(block(flat), flat + block.out(block.value(flat)))


def test_classifier_by_hand() -> None:
    """Six convolutions with BN, the block at 64 filters, 256 to 10; products of the attention are not counted."""
    convolutions = ((32, 3, 64), (32, 64, 64), (16, 64, 128), (16, 128, 128), (8, 128, 256), (8, 256, 256))
    params = sum(9 * a * b + 2 * b for _, a, b in convolutions) + 5_121 + 2_570
    macs = sum(size**2 * 9 * a * b for size, a, b in convolutions) + 2_560
    macs += 256 * (2 * 64 * 8 + 2 * 64 * 32)  # the block's convolutions on 16 x 16
    baseline = find_baseline("sagan-cifar")
    cost = count_network(lambda: baseline.make(baseline.sizes), Images(3, 32, 10))
    assert (cost.params, cost.macs) == (params, macs)
