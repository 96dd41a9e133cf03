"""From what a reader found to a data set with three splits, a limit and a resolution."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nas.data.dataset import Dataset, LoadOptions, Pool, Pools
from nas.data.image_data import ImageData, Split
from nas.data.membership import choose_balanced, choose_share
from nas.data.resizing import resize_images
from nas.errors import InvalidInputError

# Shares of the key space, from its start: test, then validation. Beside a given test set only validation is taken.
TEST_SHARE = 0.20
VALIDATION_SHARE = 0.16
VALIDATION_SHARE_BESIDE_TEST = 0.10
_USUAL_RESOLUTION = 32  # what a default augmentation is meant for where a data set has no resolution of its own


@dataclass(frozen=True, slots=True)
class Partition:
    """Every image in its split, before any is read."""

    train: Pool
    validation: Pool
    test: Pool

    def __len__(self) -> int:
        """Return the number of images in all three."""
        return len(self.train) + len(self.validation) + len(self.test)


def assemble(dataset: Dataset, pools: Pools, options: LoadOptions) -> ImageData:
    """Return the data set that the options ask for.

    The splits are decided first, by the images' content; the limit second, on training images only; then the chosen
    images are read and resized. So the same images are in the same split at every limit and resolution.

    Raises:
        InvalidInputError: a class is left without training images, or the limit is below the number of classes.
    """
    complete = partition(pools)
    parts = remove_copies(complete)
    copies = len(complete) - len(parts)
    note = f"{copies} images were left out because a held-out split has the very same image"
    _check(dataset.name, parts, pools.class_names)
    train = parts.train
    if options.train_limit is not None:
        train = train.keep(choose_balanced(train.keys, train.labels, limit=options.train_limit))
    split = _read(train, options.resolution)
    return ImageData(
        dataset.name,
        train=split,
        validation=_read(parts.validation, options.resolution),
        test_split=_read(parts.test, options.resolution),
        class_names=pools.class_names,
        augmentation=dataset.augmentation.scaled(split.images.shape[2] / _own_resolution(dataset)),
        notes=(*pools.notes, note) if copies else pools.notes,
    )


def partition(pools: Pools) -> Partition:
    """Return three splits, taking from `train`, by hash, those that were not given."""
    keys = pools.train.keys
    test_stop = TEST_SHARE if pools.test is None else 0.0
    share = VALIDATION_SHARE if pools.test is None else VALIDATION_SHARE_BESIDE_TEST
    stop = test_stop + (share if pools.validation is None else 0.0)
    test, validation = pools.test, pools.validation
    if test is None:
        test = pools.train.keep(choose_share(keys, start=0.0, stop=test_stop))
    if validation is None:
        validation = pools.train.keep(choose_share(keys, start=test_stop, stop=stop))
    return Partition(pools.train.keep(choose_share(keys, start=stop, stop=1.0)), validation, test)


def remove_copies(parts: Partition) -> Partition:
    """Return a partition without images that lie in two splits: test keeps them, then validation."""
    held_out = torch.cat([parts.validation.keys, parts.test.keys])
    return Partition(
        train=parts.train.keep(~torch.isin(parts.train.keys, held_out)),
        validation=parts.validation.keep(~torch.isin(parts.validation.keys, parts.test.keys)),
        test=parts.test,
    )


def _check(name: str, parts: Partition, class_names: tuple[str, ...]) -> None:
    counts = torch.bincount(parts.train.labels, minlength=len(class_names)).tolist()
    empty = [class_name for class_name, count in zip(class_names, counts, strict=True) if count == 0]
    if empty:
        raise InvalidInputError(
            f"{name}: no training image is left for class {', '.join(empty[:5])} once validation and test are set "
            "apart: add images to it."
        )
    if not len(parts.validation) or not len(parts.test):
        raise InvalidInputError(
            f"{name}: {len(parts)} images leave {len(parts.validation)} for validation and {len(parts.test)} for "
            "test, at least 1 of each is needed: add images."
        )


def _read(pool: Pool, resolution: int | None) -> Split:
    """Read a pool's images and bring them to a resolution; the keys stay those of the images as they were."""
    images = pool.read(torch.arange(len(pool)))
    if resolution is not None and images.shape[2:] != (resolution, resolution):
        images = resize_images(images, resolution)
    return Split(images.contiguous(), pool.labels, pool.keys)


def _own_resolution(dataset: Dataset) -> int:
    return dataset.shape[1] if dataset.shape else _USUAL_RESOLUTION
