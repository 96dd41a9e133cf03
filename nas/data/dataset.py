"""What a data set is before it is loaded, what can be asked of it, and what its reader gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from nas.data.augmentation import Augmentation
from nas.data.membership import hash_images
from nas.errors import InvalidInputError

DEFAULT_ROOT = Path("~/.cache/nas/data")


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a data set is to be loaded; the same options and files give the same data.

    Attributes:
        root: folder to look in and to download to; None for `DEFAULT_ROOT`.
        download: whether missing files may be fetched from their official source.
        resolution: height and width to resize to; None for the images' own.
        train_limit: training images to keep at most; None for all.
        channels: 1 for grey, 3 for colour; for image folders only, others have their own.
    """

    root: Path | None = None
    download: bool = False
    resolution: int | None = None
    train_limit: int | None = None
    channels: int | None = None

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be."""
        for name in ("resolution", "train_limit"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise InvalidInputError(f"{name} must be a whole number >= 1, got {value!r}.")
        if self.channels not in (None, 1, 3):
            raise InvalidInputError(f"channels must be 1 (grey) or 3 (colour), got {self.channels!r}.")

    @property
    def folder(self) -> Path:
        """The folder to look in."""
        return (self.root or DEFAULT_ROOT).expanduser()


@dataclass(frozen=True, slots=True)
class Pool:
    """Images that are known by key and label, and read when their split is decided.

    Attributes:
        keys: int64 (n,), see `nas.data.membership`.
        labels: int64 (n,).
        read: gives the uint8 images (k, channels, height, width) at k indices.
    """

    keys: torch.Tensor
    labels: torch.Tensor
    read: Callable[[torch.Tensor], torch.Tensor]

    @classmethod
    def of_images(cls, images: torch.Tensor, labels: torch.Tensor) -> Pool:
        """Return a pool of images in memory, uint8 (n, channels, height, width)."""
        return cls(hash_images(images), labels, lambda indices: images[indices])

    def keep(self, chosen: torch.Tensor) -> Pool:
        """Return the part that a bool mask (n,) or int64 indices choose."""
        indices = chosen.nonzero().flatten() if chosen.dtype == torch.bool else chosen
        return Pool(self.keys[indices], self.labels[indices], lambda inner: self.read(indices[inner]))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Pools:
    """What a reader found: the official parts of a data set; a missing one is taken from `train`."""

    train: Pool
    validation: Pool | None
    test: Pool | None
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dataset:
    """An entry of the registry: what a user is told before loading, and how to load.

    Attributes:
        name: canonical name.
        shape: channels, height and width; None where the files decide.
        classes: number of classes; None where the files decide.
        images: how many, in words.
        licence: the terms its source states, in words.
        source: where it comes from.
        augmentation: what suits its images at their own resolution, or at 32 pixels where the files decide.
        read: reads files and gives pools.
    """

    name: str
    shape: tuple[int, int, int] | None
    classes: int | None
    images: str
    licence: str
    source: str
    augmentation: Augmentation
    read: Callable[[LoadOptions], Pools]
