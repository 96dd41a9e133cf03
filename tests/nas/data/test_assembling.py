"""From pools to three splits: shares, copies, limit, resolution."""

import numpy as np
import pytest
import torch

from nas.data.assembling import assemble, partition, remove_copies
from nas.data.augmentation import Augmentation
from nas.data.dataset import Dataset, LoadOptions, Pool, Pools
from nas.errors import InvalidInputError

CLASSES = ("a", "b", "c", "d")
DATASET = Dataset(
    name="made-up",
    shape=(1, 4, 4),
    classes=4,
    images="",
    licence="",
    source="",
    augmentation=Augmentation(crop_padding=1, flip=True),
    read=lambda options: _pools(400),
)


def _pool(num_images: int, *, seed: int = 0) -> Pool:
    images = np.random.default_rng(seed).integers(0, 256, (num_images, 1, 4, 4), dtype=np.uint8)
    return Pool.of_images(torch.from_numpy(images), torch.arange(num_images) % len(CLASSES))


def _pools(num_train: int, *, num_validation: int = 0, num_test: int = 0) -> Pools:
    others = [_pool(num, seed=seed) if num else None for seed, num in enumerate((num_validation, num_test), start=1)]
    return Pools(_pool(num_train), others[0], others[1], CLASSES)


def _keys(pool: Pool) -> set[int]:
    return set(pool.keys.tolist())


@pytest.mark.parametrize(
    ("given", "shares"),
    [
        ({}, (0.64, 0.16, 0.20)),
        ({"num_test": 50}, (0.90, 0.10, None)),
        ({"num_validation": 50}, (0.80, None, 0.20)),
        ({"num_validation": 50, "num_test": 50}, (1.0, None, None)),
    ],
)
def test_missing_splits_are_taken_from_train_and_given_ones_are_kept(
    given: dict[str, int], shares: tuple[float | None, ...]
) -> None:
    """5,000 draws: standard deviation at most 0.7 %; 5 of them are exceeded once in two million tries."""
    pools = _pools(5_000, **given)
    parts = partition(pools)
    for part, share in zip((parts.train, parts.validation, parts.test), shares, strict=True):
        assert len(part) == 50 if share is None else abs(len(part) / 5_000 - share) < 5 * 0.007
    assert len(parts) == 5_000 + sum(given.values())
    assert not _keys(parts.train) & _keys(parts.validation)
    assert not _keys(parts.train) & _keys(parts.test)


def test_the_partition_does_not_depend_on_the_order() -> None:
    pool = _pool(300)
    order = torch.from_numpy(np.random.default_rng(1).permutation(300))
    parts, shuffled = (partition(Pools(p, None, None, CLASSES)) for p in (pool, pool.keep(order)))
    assert _keys(parts.train) == _keys(shuffled.train)
    assert _keys(parts.validation) == _keys(shuffled.validation)


def test_copies_are_kept_by_test_then_by_validation() -> None:
    pool = _pool(30)
    parts = partition(Pools(pool, pool.keep(torch.arange(12)), pool.keep(torch.arange(5)), CLASSES))
    clean = remove_copies(parts)
    assert (len(clean.train), len(clean.validation), len(clean.test)) == (18, 7, 5)


def test_without_copies_there_is_no_note() -> None:
    assert assemble(DATASET, _pools(400, num_test=40), LoadOptions()).notes == ()


def test_left_out_copies_are_noted_after_the_readers_notes() -> None:
    pool = _pool(400)
    pools = Pools(pool, None, pool.keep(torch.arange(40)), CLASSES, notes=("first",))
    data = assemble(DATASET, pools, LoadOptions())
    assert data.notes == ("first", "40 images were left out because a held-out split has the very same image")


def test_the_limit_applies_to_train_and_reads_nothing_else() -> None:
    whole = _pool(400)
    read: list[int] = []

    def spy(indices: torch.Tensor) -> torch.Tensor:
        read.append(len(indices))
        return whole.read(indices)

    pools = Pools(Pool(whole.keys, whole.labels, spy), None, None, CLASSES)
    data = assemble(DATASET, pools, LoadOptions(train_limit=20))
    assert data.train.count_classes(4) == (5, 5, 5, 5)
    assert sorted(read) == sorted([20, len(data.validation), len(data.test)])


def test_limit_at_loading_and_limit_afterwards_are_the_same() -> None:
    limited = assemble(DATASET, _pools(400), LoadOptions(train_limit=20))
    assert limited == assemble(DATASET, _pools(400), LoadOptions()).with_train_limit(20)


def test_the_same_images_are_in_the_same_split_at_every_resolution() -> None:
    small, large = (assemble(DATASET, _pools(400), LoadOptions(resolution=r, train_limit=20)) for r in (None, 9))
    assert large.input_shape == (1, 9, 9)
    assert torch.equal(small.train.keys, large.train.keys)
    assert torch.equal(small.test.keys, large.test.keys)
    assert small.fingerprint != large.fingerprint


def test_the_own_resolution_is_no_change() -> None:
    assert assemble(DATASET, _pools(400), LoadOptions(resolution=4)) == assemble(DATASET, _pools(400), LoadOptions())


def test_the_augmentation_grows_with_the_resolution() -> None:
    data = assemble(DATASET, _pools(400), LoadOptions(resolution=12))
    assert data.augmentation == Augmentation(crop_padding=3, flip=True)


def test_a_class_without_training_images_is_named() -> None:
    pools = Pools(_pool(400), None, None, (*CLASSES, "rare"))
    with pytest.raises(InvalidInputError, match="made-up: no training image is left for class rare"):
        assemble(DATASET, pools, LoadOptions())


def test_an_empty_validation_split_is_refused() -> None:
    pool = _pool(40)
    copies = Pools(pool, pool.keep(torch.tensor([0])), pool.keep(torch.tensor([0])), CLASSES)
    with pytest.raises(InvalidInputError, match="40 images leave 0 for validation and 1 for test"):
        assemble(DATASET, copies, LoadOptions())


def test_pools_of_pools_read_the_right_images() -> None:
    pool = _pool(10)
    inner = pool.keep(torch.tensor([7, 2, 5])).keep(torch.tensor([False, True, True]))
    assert torch.equal(inner.read(torch.tensor([1, 0])), pool.read(torch.tensor([5, 2])))
    assert torch.equal(inner.keys, pool.keys[[2, 5]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 0}, "resolution must be a whole number >= 1, got 0"),
        ({"resolution": 8.0}, "resolution must be a whole number >= 1, got 8.0"),
        ({"train_limit": -1}, "train_limit must be a whole number >= 1, got -1"),
        ({"channels": 2}, r"channels must be 1 \(grey\) or 3 \(colour\), got 2"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        LoadOptions(**options)  # type: ignore[arg-type]
