"""The rules by which networks adapt to other images and sizes."""

from __future__ import annotations

import pytest

from nas.baselines.sizes import Sizes
from search_spaces.scaling_rules import plan_strides, round_filters, scale_filters, scale_repeats, stem_kernel

MOBILENET = (2, 1, 2, 2, 2, 1, 2, 1)


@pytest.mark.parametrize(
    ("resolution", "strides"),
    [
        (224, MOBILENET),
        (97, MOBILENET),
        (96, (1, 1, 2, 2, 2, 1, 2, 1)),
        (32, (1, 1, 1, 2, 2, 1, 2, 1)),
        (8, (1, 1, 1, 1, 1, 1, 2, 1)),
        (1, (1,) * 8),
    ],
)
def test_the_first_strides_are_given_up(resolution: int, strides: tuple[int, ...]) -> None:
    assert plan_strides(MOBILENET, resolution=resolution, canonical=224) == strides


def test_large_strides_are_given_up_by_halves() -> None:
    assert plan_strides((16,), resolution=32, canonical=224) == (8,)
    assert plan_strides((4, 2, 2, 2), resolution=32, canonical=224) == (1, 2, 2, 2)


@pytest.mark.parametrize("width", [0.1, 0.35, 0.5, 1.1, 1.4, 3.0])
def test_filters_are_multiples_of_eight_and_at_least_90_percent(width: float) -> None:
    for count in range(8, 400, 3):
        filters = scale_filters(count, width)
        assert filters % 8 == 0
        assert 0.9 * width * count <= filters < width * count + 8


def test_width_one_rounds_nothing() -> None:
    assert scale_filters(20, 1) == 20
    assert round_filters(20) == 24


def test_repeats_are_rounded_up_but_for_errors_of_floating_point() -> None:
    assert [scale_repeats(3, depth) for depth in (0.1, 1.0, 1.1, 2.0)] == [1, 3, 4, 6]
    assert scale_repeats(30, 1.1) == 33


def test_stems_that_gave_up_stride_are_small() -> None:
    assert [stem_kernel(7, 2, 2), stem_kernel(7, 1, 2), stem_kernel(3, 1, 2)] == [7, 3, 3]


@pytest.mark.parametrize("published", [MOBILENET, (4, 2, 2, 2), (2, 2, 1, 2, 2, 2), (16,)])
def test_baselines_follow_the_same_rules(published: tuple[int, ...]) -> None:
    for resolution in range(1, 400, 7):
        kept = plan_strides(published, resolution=resolution, canonical=224)
        assert Sizes(resolution).strides(published, canonical=224) == kept
    for factor in (0.25, 0.9, 1.0, 1.1, 3.1):
        for count in range(1, 100, 7):
            scaled = Sizes(224, depth=factor, width=factor)
            assert scaled.filters(count) == scale_filters(count, factor)
            assert scaled.repeats(count) == scale_repeats(count, factor)
