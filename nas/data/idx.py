"""MNIST and Fashion-MNIST: IDX files, gzip or plain, where their authors or torchvision put them."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nas.data.augmentation import Augmentation
from nas.data.dataset import Dataset, LoadOptions, Pool, Pools
from nas.data.downloading import download_file
from nas.data.files import FileSet, make_damage_error, read_exactly, spell_folders

_UNSIGNED_BYTE = 0x08  # the type code in an IDX header


@dataclass(frozen=True, slots=True)
class IdxFile:
    """An IDX file of bytes.

    Attributes:
        name: file name without ``.gz``.
        shape: of its array; the first axis counts the images.
        sha256: of its uncompressed content, in hexadecimal; empty for no check.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str = ""

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Return the array of a file, gzip or plain.

        Raises:
            InvalidInputError: size, header or checksum differ from what this file must have.
        """
        sizes = np.array(self.shape, dtype=">u4").tobytes()
        header = bytes([0, 0, _UNSIGNED_BYTE, len(self.shape)]) + sizes
        content = read_exactly(path, len(header) + math.prod(self.shape))
        start = content[: len(header)].tobytes()
        if start != header:
            raise make_damage_error(path, f"expected the IDX header {header.hex()}, got {start.hex()}")
        if self.sha256 and (got := hashlib.sha256(content.data).hexdigest()) != self.sha256:
            raise make_damage_error(
                path, f"it is another data set's, or damaged: its SHA-256 is {got}, not {self.sha256}"
            )
        return content[len(header) :].reshape(self.shape)


@dataclass(frozen=True, slots=True)
class IdxDataset:
    """A data set in four IDX files.

    Attributes:
        name: canonical name.
        torchvision_name: torchvision's class, whose folder and addresses are used.
        files: training images, training labels, test images, test labels.
        class_names: one per label.
    """

    name: str
    torchvision_name: str
    files: tuple[IdxFile, ...]
    class_names: tuple[str, ...]

    def read(self, options: LoadOptions) -> Pools:
        """Find, download if asked, and read the files.

        Raises:
            InvalidInputError: a file is missing or damaged.
            NASError: a download failed.
        """
        root = options.folder
        folders = spell_folders(self.name, self.torchvision_name, inner=("raw",))
        file_set = FileSet(self.name, tuple(file.name for file in self.files), folders, endings=("", ".gz"))
        download = (lambda: self._download(root / self.name)) if options.download else None
        paths = file_set.obtain(root, download=download)
        train = self._read_pool(self.files[:2], paths[:2])
        test = self._read_pool(self.files[2:], paths[2:])
        return Pools(train, None, test, self.class_names)

    def _read_pool(self, files: tuple[IdxFile, ...], paths: list[Path]) -> Pool:
        images, labels = (torch.from_numpy(file.read(path)) for file, path in zip(files, paths, strict=True))
        if int(labels.max()) >= len(self.class_names):
            raise make_damage_error(paths[1], f"expected labels below {len(self.class_names)}, got {int(labels.max())}")
        return Pool.of_images(images.unsqueeze(1), labels.long())

    def _download(self, folder: Path) -> None:
        import torchvision.datasets

        official = getattr(torchvision.datasets, self.torchvision_name)
        for name, md5 in official.resources:
            download_file([mirror + name for mirror in official.mirrors], folder / name, md5=md5)


def _name_files(*checksums: str) -> tuple[IdxFile, ...]:
    """Return the four files of MNIST and its successors, with their checksums."""
    return (
        IdxFile("train-images-idx3-ubyte", (60_000, 28, 28), checksums[0]),
        IdxFile("train-labels-idx1-ubyte", (60_000,), checksums[1]),
        IdxFile("t10k-images-idx3-ubyte", (10_000, 28, 28), checksums[2]),
        IdxFile("t10k-labels-idx1-ubyte", (10_000,), checksums[3]),
    )


_MNIST = IdxDataset(
    "mnist",
    "MNIST",
    _name_files(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    tuple("0123456789"),
)

_FASHION_MNIST = IdxDataset(
    "fashion-mnist",
    "FashionMNIST",
    _name_files(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
)  # fmt: skip

MNIST = Dataset(
    name="mnist",
    shape=(1, 28, 28),
    classes=10,
    images="60,000 training and 10,000 test images of handwritten digits",
    licence="CC BY-SA 3.0",
    source="LeCun 1998, http://yann.lecun.com/exdb/mnist/",
    augmentation=Augmentation(crop_padding=2),
    read=_MNIST.read,
)

FASHION_MNIST = Dataset(
    name="fashion-mnist",
    shape=(1, 28, 28),
    classes=10,
    images="60,000 training and 10,000 test images of clothes",
    licence="MIT",
    source="Xiao 2017, https://github.com/zalandoresearch/fashion-mnist",
    augmentation=Augmentation(crop_padding=2, flip=True),
    read=_FASHION_MNIST.read,
)
