"""RegNets: from four parameters to stages."""

from __future__ import annotations

import pytest

from nas.baselines.regnet import RegNet


@pytest.mark.parametrize(
    ("network", "stages"),
    [
        (RegNet(22, 24, 24.48, 2.54, 16, squeeze=False), [(32, 1), (64, 2), (160, 7), (400, 12)]),
        (RegNet(16, 48, 27.89, 2.09, 8, squeeze=True), [(48, 1), (104, 3), (208, 6), (440, 6)]),
        (RegNet(22, 96, 31.41, 2.24, 64, squeeze=True), [(128, 2), (192, 6), (512, 12), (1088, 2)]),
        (RegNet(17, 192, 76.82, 2.19, 56, squeeze=True), [(168, 2), (448, 4), (896, 10), (2016, 1)]),
        (RegNet(20, 232, 115.89, 2.53, 232, squeeze=True), [(232, 2), (696, 5), (1392, 12), (3712, 1)]),
    ],
)
def test_stages_are_those_published(network: RegNet, stages: list[tuple[int, int]]) -> None:
    """Filters and blocks of RegNetX-400MF and of RegNetY-400MF, 4.0GF, 8.0GF and 32GF."""
    assert network.stage_table() == stages


def test_the_blocks_are_as_many_as_the_depth() -> None:
    for depth in range(12, 28):
        assert sum(count for _, count in RegNet(depth, 80, 42.63, 2.66, 24, squeeze=True).stage_table()) == depth
