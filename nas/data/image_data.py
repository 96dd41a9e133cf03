"""Images and labels as values: a split, and a data set of three splits. All in memory, as bytes.

Nothing here reads files; see `nas.data.registry.load_data`.
"""

from __future__ import annotations

import copy
import hashlib
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from nas.data.augmentation import Augmentation
from nas.data.membership import choose_balanced, hash_images
from nas.errors import InvalidInputError

_CHUNK = 1024  # images counted at once: counting takes eight bytes a pixel


def _no_keys() -> torch.Tensor:
    return torch.empty(0, dtype=torch.int64)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Split:
    """Images and their labels; equal when both are equal, in the same order.

    Attributes:
        images: uint8 (n, channels, height, width), contiguous.
        labels: int64 (n,), 0 or larger, on the images' device.
        keys: int64 (n,): a hash of each image as it was before any resizing, by which subsets are chosen; computed
            from the images where it is not given.
        digest: SHA-256 of images and labels, in hexadecimal; computed where it is not given.
    """

    images: torch.Tensor
    labels: torch.Tensor
    keys: torch.Tensor = field(default_factory=_no_keys)
    digest: str = ""

    def __post_init__(self) -> None:
        """Check shapes and types, and fill in keys and digest."""
        if self.images.dtype != torch.uint8 or self.images.ndim != 4 or not self.images.is_contiguous():
            raise InvalidInputError(
                "images must be a contiguous uint8 tensor (n, channels, height, width), "
                f"got {self.images.dtype} {tuple(self.images.shape)} with strides {self.images.stride()}."
            )
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise InvalidInputError(
                f"labels must be an int64 tensor ({len(self.images)},), one per image, "
                f"got {self.labels.dtype} {tuple(self.labels.shape)}."
            )
        if len(self) and int(self.labels.min()) < 0:
            raise InvalidInputError(f"labels must be >= 0, got {int(self.labels.min())}.")
        if not len(self.keys):
            object.__setattr__(self, "keys", hash_images(self.images))
        if len(self.keys) != len(self):
            raise InvalidInputError(f"keys must be one per image or left out, got {len(self.keys)} for {len(self)}.")
        if not self.digest:
            object.__setattr__(self, "digest", _digest(self.images, self.labels))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def __repr__(self) -> str:
        """Say how many images of which shape, not every pixel."""
        return f"Split({len(self)} images {'x'.join(map(str, self.images.shape[1:]))}, {self.digest[:12]})"

    def __eq__(self, other: object) -> bool:
        """Compare by digest."""
        return self.digest == other.digest if isinstance(other, Split) else NotImplemented

    def __hash__(self) -> int:
        """Hash what is compared."""
        return hash(self.digest)

    def __reduce__(self) -> tuple[Callable[..., Split], tuple[Any, ...]]:
        """Travel between processes as numpy arrays, which an object store can share without copying."""
        arrays = tuple(tensor.cpu().numpy() for tensor in (self.images, self.labels, self.keys))
        return _restore_split, (*arrays, self.digest)

    def select(self, indices: torch.Tensor) -> Split:
        """Return the images at these indices, in their order."""
        return Split(self.images[indices], self.labels[indices], self.keys[indices.cpu()])

    def to(self, device: torch.device | str) -> Split:
        """Return the same split with images and labels on a device."""
        return Split(self.images.to(device), self.labels.to(device), self.keys, self.digest)

    def count_classes(self, classes: int) -> tuple[int, ...]:
        """Return how many images each of the classes has."""
        return tuple(torch.bincount(self.labels, minlength=classes).tolist())


@dataclass(frozen=True, slots=True)
class ImageData:
    """A data set in memory: three splits and what a network and a recipe must know of them.

    Attributes:
        name: the data set's name.
        train: images to train on.
        validation: images to choose networks by; empty after `merge_train_validation`.
        test_split: images to report on, read through `test`; None where they are held back from a search.
        class_names: one per class; its length is the number of classes.
        augmentation: what suits these images when training.
        notes: what whoever reads a result should know: files left out, pixels that are not the official ones.
        test_digest: the test split's digest, kept where the images are held back.
        mean: mean of each channel over `train`, in [0, 1].
        std: standard deviation of each channel over `train`, in (0, 1]; 1 for a constant channel.
        fingerprint: SHA-256, in hexadecimal, of all images and labels and their splits. Runs with equal
            fingerprints used the same data. The same with and without the test images at hand.
    """

    name: str
    train: Split
    validation: Split
    test_split: Split | None
    class_names: tuple[str, ...]
    augmentation: Augmentation = field(default_factory=Augmentation)
    notes: tuple[str, ...] = ()
    test_digest: str = ""
    mean: tuple[float, ...] = field(init=False)
    std: tuple[float, ...] = field(init=False)
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        """Check that the splits belong together, and compute what is derived from them."""
        if len(self.train) == 0:
            raise InvalidInputError(f"{self.name} has no training images: give at least one.")
        for split in filter(None, (self.train, self.validation, self.test_split)):
            self._check(split)
        if self.test_split is not None:
            object.__setattr__(self, "test_digest", self.test_split.digest)
        mean, std = _channel_statistics(self.train.images)
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "std", std)
        digests = "\n".join(("nas-data-1", self.train.digest, self.validation.digest, self.test_digest))
        object.__setattr__(self, "fingerprint", hashlib.sha256(digests.encode()).hexdigest())

    def _check(self, split: Split) -> None:
        shape = tuple(split.images.shape[1:])
        if shape != self.input_shape or shape[1] != shape[2]:
            raise InvalidInputError(
                f"all images of {self.name} must be square and of one shape, got {self.input_shape} and {shape}."
            )
        if len(split) and int(split.labels.max()) >= self.classes:
            raise InvalidInputError(
                f"labels of {self.name} must be below its {self.classes} classes, got {int(split.labels.max())}."
            )

    @property
    def test(self) -> Split:
        """The images to report on.

        Raises:
            InvalidInputError: they are held back, because a search must not see them.
        """
        if self.test_split is None:
            raise InvalidInputError(
                f"the test images of {self.name} are held back from a search: "
                "use `validation` to choose networks, and the data that `load_data` gave to report on them."
            )
        return self.test_split

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one image: channels, height, width."""
        _, channels, height, width = self.train.images.shape
        return channels, height, width

    def for_search(self) -> Self:
        """Return the data without the test images; asking for them is an error."""
        data = copy.copy(self)  # and not `replace`, which would compute again what stays as it is
        object.__setattr__(data, "test_split", None)
        return data

    def with_train_limit(self, limit: int | None) -> Self:
        """Return the data with a fixed part of the training images, classes as even as they can be.

        The part depends on nothing but the images: not on their order, a seed or the resolution.

        Args:
            limit: images to keep; all where there are fewer, or for None.

        Raises:
            InvalidInputError: the limit leaves a class empty.
        """
        if limit is None:
            return self
        chosen = choose_balanced(self.train.keys, self.train.labels, limit=limit)
        return self if len(chosen) == len(self.train) else replace(self, train=self.train.select(chosen))

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Return bytes as float32 of mean 0 and standard deviation 1 over the training images.

        Args:
            images: uint8 (batch, channels, height, width) on any device; not changed.

        Returns:
            float32 tensor of the same shape, device and memory format.
        """
        return normalise_bytes(images, mean=self.mean, std=self.std)

    def summary(self) -> dict[str, Any]:
        """Return a JSON-ready description without the images, for a run's config and its report."""
        sizes = {"train": len(self.train), "validation": len(self.validation)}
        if self.test_split is not None:
            sizes["test"] = len(self.test_split)
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "input_shape": list(self.input_shape),
            "class_names": list(self.class_names),
            "images": sizes,
            "mean": list(self.mean),
            "std": list(self.std),
            "notes": list(self.notes),
        }


def normalise_bytes(images: torch.Tensor, *, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """Return uint8 images scaled to [0, 1], less `mean`, over `std`, both per channel; see `ImageData.normalise`."""
    shift, scale = _per_channel(mean, images.device), _per_channel(std, images.device)
    return images.to(torch.float32).div_(255).sub_(shift).div_(scale)


@lru_cache(maxsize=64)
def _per_channel(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """Return values as float32 (1, channels, 1, 1), copied to a device once and not batch by batch."""
    with torch.inference_mode(False):  # what is made while measuring serves training too
        return torch.tensor(values, device=device).view(1, -1, 1, 1)


def merge_train_validation(data: ImageData) -> ImageData:
    """Return the data with the validation images added to the training ones, for a final training run.

    Validation is then empty; test stays as it is. Mean, standard deviation and fingerprint follow.
    """
    parts = (data.train, data.validation)
    train = Split(
        torch.cat([part.images for part in parts]),
        torch.cat([part.labels for part in parts]),
        torch.cat([part.keys for part in parts]),
    )
    return replace(data, train=train, validation=data.validation.select(torch.empty(0, dtype=torch.int64)))


def _digest(images: torch.Tensor, labels: torch.Tensor) -> str:
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    digest.update(images.cpu().numpy().reshape(-1).data)
    digest.update(labels.cpu().numpy().astype("<i8").data)
    return digest.hexdigest()


def _channel_statistics(images: torch.Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel in [0, 1], from exact counts: equal on every machine."""
    values = range(256)
    mean, std = [], []
    for channel in images.cpu().numpy().swapaxes(0, 1):
        counts = _count_values(channel)
        total = sum(n * v for n, v in zip(counts, values, strict=True))
        squares = sum(n * v * v for n, v in zip(counts, values, strict=True))
        mean.append(total / channel.size / 255)
        std.append(math.sqrt(squares * channel.size - total * total) / channel.size / 255 or 1.0)
    return tuple(mean), tuple(std)


def _count_values(pixels: NDArray[np.uint8]) -> list[int]:
    counts = np.zeros(256, dtype=np.int64)
    for start in range(0, len(pixels), _CHUNK):
        counts += np.bincount(pixels[start : start + _CHUNK].reshape(-1), minlength=256)
    return counts.tolist()


def _restore_split(images: NDArray[np.uint8], labels: NDArray[np.int64], keys: NDArray[np.int64], digest: str) -> Split:
    with warnings.catch_warnings():
        # an object store shares read-only memory; torch warns that writing to it is undefined, and nobody writes
        warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
        return Split(torch.from_numpy(images), torch.from_numpy(labels), torch.from_numpy(keys), digest)
