"""Dual path networks: what is added and what is appended."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas.baselines import Sizes, find_baseline
from nas.baselines.dpn import DualPath


class _Channels(nn.Module):
    """The same number everywhere in each channel."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = torch.tensor(values)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.values[None, :, None, None].expand(len(x), -1, *x.shape[2:])


def test_first_channels_are_added_and_the_rest_appended() -> None:
    """Two channels to add; one to start the dense path; two more appended."""
    block = DualPath(_Channels(1, 2, 3, 4), _Channels(10, 20, 30), residual=2)
    assert block(torch.zeros(1, 7, 1, 1)).flatten().tolist() == [11, 22, 30, 3, 4]


@pytest.mark.parametrize(("name", "channels"), [("dpn-92", 2688), ("dpn-98", 2688), ("dpn-131", 2688)])
def test_last_features_are_those_released(name: str, channels: int) -> None:
    """2048 added and (3 + 2) x 128 appended."""
    with torch.device("meta"):
        network = find_baseline(name).make(Sizes(224))
    assert network.head[-1].in_features == channels


def test_stages_grow_as_in_table_1() -> None:
    """Chen 2017, Table 1, DPN-92: increments of 16, 32, 24 and 128."""
    with torch.device("meta"):
        network = find_baseline("dpn-92").make(Sizes(224))
        x = network.stem(torch.zeros(1, 3, 224, 224))
        shapes = [(x := stage(x)).shape[1:3] for stage in network.stages]
    assert [tuple(shape) for shape in shapes] == [
        (256 + 5 * 16, 56),
        (512 + 6 * 32, 28),
        (1024 + 22 * 24, 14),
        (2048 + 5 * 128, 7),
    ]
