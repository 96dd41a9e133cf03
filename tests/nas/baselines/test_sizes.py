"""The rule by which baselines adapt to other sizes."""

from __future__ import annotations

import pytest

from nas.baselines.sizes import Sizes
from nas.errors import InvalidInputError
from search_spaces.scaling_rules import stem_kernel

RESNET = (2, 2, 1, 2, 2, 2)  # stem, pooling, four stages


@pytest.mark.parametrize(
    ("resolution", "strides"),
    [
        (331, RESNET),
        (224, RESNET),
        (128, RESNET),
        (64, (1, 2, 1, 2, 2, 2)),
        (32, (1, 1, 1, 2, 2, 2)),
        (16, (1, 1, 1, 1, 2, 2)),
        (8, (1, 1, 1, 1, 1, 2)),
    ],
)
def test_the_first_strides_are_given_up(resolution: int, strides: tuple[int, ...]) -> None:
    assert Sizes(resolution).strides(RESNET, canonical=224) == strides


def test_a_stride_of_four_is_given_up_by_halves() -> None:
    assert Sizes(64).strides((4, 2, 2, 2), canonical=227) == (2, 2, 2, 2)
    assert Sizes(32).strides((4, 2, 2, 2), canonical=227) == (1, 2, 2, 2)


def test_a_network_that_ends_in_one_position_may_do_so_elsewhere() -> None:
    """LeNet-5 reads 32 x 32 and ends in 5 x 5; a network that ends in 1 x 1 keeps its strides down to its own size."""
    assert Sizes(32).strides((2, 2, 2, 2, 2), canonical=32) == (2, 2, 2, 2, 2)


def test_filters_are_rounded_as_published() -> None:
    """Multiples of eight, never below 90 % (EfficientNet's released code)."""
    assert Sizes(224).filters(20) == 20
    assert Sizes(224, width=1.1).filters(32) == 32
    assert Sizes(224, width=1.2).filters(16) == 24
    assert Sizes(224, width=0.5).filters(8) == 8
    assert all(Sizes(224, width=w / 10).filters(c) >= 0.9 * w * c / 10 for w in range(1, 40) for c in range(8, 200, 3))


def test_repeats_are_rounded_up() -> None:
    assert [Sizes(224, depth=d).repeats(3) for d in (0.1, 1.0, 1.1, 2.0)] == [1, 3, 4, 6]


def test_a_stem_that_gave_up_stride_is_small() -> None:
    assert [stem_kernel(7, 2, 2), stem_kernel(7, 1, 2), stem_kernel(3, 1, 2)] == [7, 3, 3]


def test_too_small_images_are_refused_with_the_smallest_size() -> None:
    with pytest.raises(InvalidInputError, match="alexnet takes images of at least 16 x 16 pixels, got 8"):
        Sizes(8).require("alexnet", at_least=16)
