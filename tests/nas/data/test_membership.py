"""Splits and subsets depend on the images' content alone."""

import hashlib
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.data.membership import KEY_BITS, choose_balanced, choose_share, hash_contents, hash_images
from nas.errors import InvalidInputError


def test_keys_are_those_of_the_first_version() -> None:
    """A change here moves images between splits, so that old runs cannot be resumed or compared."""
    keys = hash_contents([b"", b"image", bytes(64)]).tolist()
    assert keys == [6370947502485582777, 2264010003238653204, 2055600512913957545]


def test_a_key_is_the_upper_bits_of_blake2b() -> None:
    digest = hashlib.blake2b(b"image", digest_size=8, person=b"nas-data-keys-1").digest()
    assert hash_contents([b"image"]).tolist() == [int.from_bytes(digest, "big") >> 1]


def test_images_hash_as_their_bytes_whatever_their_memory_layout() -> None:
    images = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).view(2, 3, 4, 4)
    expected = hash_contents([bytes(range(48)), bytes(range(48, 96))])
    assert torch.equal(hash_images(images), expected)
    assert torch.equal(hash_images(images.contiguous(memory_format=torch.channels_last)), expected)


def test_shares_that_meet_cover_everything_once() -> None:
    keys = torch.cat([hash_contents(map(str.encode, map(str, range(500)))), torch.tensor([0, 2**KEY_BITS - 1])])
    edges = (0.0, 0.2, 0.36, 1.0)
    chosen = [choose_share(keys, start=a, stop=b) for a, b in pairwise(edges)]
    assert torch.equal(sum(part.int() for part in chosen), torch.ones(len(keys), dtype=torch.int32))


def test_a_share_holds_its_part_of_different_images() -> None:
    """20,000 draws of probability 0.2: standard deviation 57; 5 of them are exceeded once in two million tries."""
    keys = hash_contents(i.to_bytes(4, "big") for i in range(20_000))
    assert abs(int(choose_share(keys, start=0.3, stop=0.5).sum()) - 4_000) < 5 * 57


def test_an_empty_share_holds_nothing() -> None:
    assert not choose_share(torch.tensor([0, 5]), start=0.0, stop=0.0).any()


@st.composite
def _labelled_keys(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    labels = draw(st.lists(st.integers(0, 4), min_size=12, max_size=40))
    keys = draw(st.lists(st.integers(0, 2**63 - 1), min_size=len(labels), max_size=len(labels), unique=True))
    return torch.tensor(keys), torch.tensor(labels)


@settings(deadline=None)
@given(pool=_labelled_keys(), limit=st.integers(5, 45))
def test_balanced_choice_takes_from_each_class_what_the_others_give_or_all_it_has(
    pool: tuple[torch.Tensor, torch.Tensor], limit: int
) -> None:
    keys, labels = pool
    chosen = choose_balanced(keys, labels, limit=limit)
    assert len(chosen) == min(limit, len(keys))
    had, got = torch.bincount(labels, minlength=5), torch.bincount(labels[chosen], minlength=5)
    short = got < had
    assert (got.max() - got[short] <= 1).all()


@settings(deadline=None)
@given(pool=_labelled_keys(), limit=st.integers(5, 45), seed=st.integers(0, 99))
def test_balanced_choice_does_not_depend_on_the_order(
    pool: tuple[torch.Tensor, torch.Tensor], limit: int, seed: int
) -> None:
    keys, labels = pool
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(keys)))
    shuffled = keys[order][choose_balanced(keys[order], labels[order], limit=limit)]
    assert set(shuffled.tolist()) == set(keys[choose_balanced(keys, labels, limit=limit)].tolist())


@settings(deadline=None)
@given(pool=_labelled_keys(), limit=st.integers(5, 40))
def test_a_smaller_choice_is_part_of_a_larger_one_and_keeps_the_order(
    pool: tuple[torch.Tensor, torch.Tensor], limit: int
) -> None:
    small = choose_balanced(*pool, limit=limit).tolist()
    assert set(small) <= set(choose_balanced(*pool, limit=limit + 1).tolist())
    assert small == sorted(small)


def test_a_limit_below_the_number_of_classes_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"limit of 2 training images leaves classes empty.*3 classes"):
        choose_balanced(torch.arange(6), torch.tensor([0, 1, 2, 0, 1, 2]), limit=2)
