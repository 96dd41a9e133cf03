"""Batches cover a split once, in an order that the generator decides."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.data import Split, batches, count_batches
from nas.errors import InvalidInputError

MakeSplit = Callable[..., Split]


def _labels(split: Split, batch_size: int, **options: object) -> list[list[int]]:
    return [labels.tolist() for _, labels in batches(split, batch_size, **options)]  # type: ignore[arg-type]


def _number(num_images: int) -> Split:
    """Return images that each show their own label."""
    numbers = torch.arange(num_images)
    return Split(numbers.to(torch.uint8).view(-1, 1, 1, 1).clone(), numbers)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 50), st.booleans(), st.booleans())
def test_the_count_is_that_of_the_walk(num_images: int, batch_size: int, drop_last: bool, shuffled: bool) -> None:
    generator = torch.Generator().manual_seed(0) if shuffled else None
    sizes = list(map(len, _labels(_number(num_images), batch_size, generator=generator, drop_last=drop_last)))
    assert len(sizes) == count_batches(num_images, batch_size, drop_last=drop_last)
    assert all(size == batch_size for size in sizes[:-1])
    assert 0 < sizes[-1] <= batch_size


def test_without_a_generator_the_stored_order_is_kept() -> None:
    assert _labels(_number(5), 2) == [[0, 1], [2, 3], [4]]


def test_every_image_comes_once_with_its_own_label() -> None:
    walked = list(batches(_number(23), 4, generator=torch.Generator().manual_seed(1)))
    assert sorted(label for _, labels in walked for label in labels.tolist()) == list(range(23))
    assert all(torch.equal(images.flatten().long(), labels) for images, labels in walked)


def test_an_incomplete_last_batch_is_dropped_on_request() -> None:
    assert _labels(_number(5), 2, drop_last=True) == [[0, 1], [2, 3]]


def test_the_only_batch_is_never_dropped() -> None:
    """Otherwise training on fewer images than a batch would do nothing, silently."""
    assert _labels(_number(3), 8, drop_last=True) == [[0, 1, 2]]


def test_an_empty_split_gives_no_batch() -> None:
    assert _labels(_number(3).select(torch.empty(0, dtype=torch.int64)), 2, drop_last=True) == []


def test_the_generator_decides_the_order() -> None:
    orders = [_labels(_number(50), 10, generator=torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


def test_a_generator_goes_on_from_epoch_to_epoch() -> None:
    generator = torch.Generator().manual_seed(3)
    assert _labels(_number(50), 10, generator=generator) != _labels(_number(50), 10, generator=generator)


def test_global_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    _labels(_number(50), 10, generator=torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_batch_size_below_1_is_refused_before_the_first_step() -> None:
    with pytest.raises(InvalidInputError, match="at least 1 image, got batch size 0"):
        batches(_number(3), 0)
