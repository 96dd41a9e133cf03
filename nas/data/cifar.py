"""CIFAR-10 and CIFAR-100: the binary version, or what torchvision unpacked, which is read without unpickling."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nas.data.augmentation import Augmentation
from nas.data.cifar_pickles import read_pickled_records
from nas.data.dataset import Dataset, LoadOptions, Pool, Pools
from nas.data.downloading import download_file, extract_files
from nas.data.files import FileSet, make_damage_error, read_exactly, spell_folders

_SHAPE = (3, 32, 32)
_PIXELS = 3072
_URL = "https://www.cs.toronto.edu/~kriz/"


@dataclass(frozen=True, slots=True)
class CifarDataset:
    """One of the two data sets, in its two layouts. Training files come first, the test file last.

    Attributes:
        name: canonical name.
        torchvision_name: torchvision's class.
        files: names in the binary version.
        pickles: names in the Python version, in the same order.
        records: images in each file.
        label_bytes: bytes before the pixels of a record; the last is the label.
        labels_key: where the Python version keeps the labels.
        class_names: one per label.
        archive: name of the binary version's archive.
        archive_md5: its checksum.
        inner: folders of the archives: binary, Python.
        head_sha256: SHA-256 of the official pixels of the first `head_images` training images; empty for no check.
        head_images: see there.
    """

    name: str
    torchvision_name: str
    files: tuple[str, ...]
    pickles: tuple[str, ...]
    records: tuple[int, ...]
    label_bytes: int
    labels_key: str
    class_names: tuple[str, ...]
    archive: str
    archive_md5: str
    inner: tuple[str, str]
    head_sha256: str = ""
    head_images: int = 0

    def read(self, options: LoadOptions) -> Pools:
        """Find, download if asked, and read the files; the binary version where both are there.

        Raises:
            InvalidInputError: a file is missing or damaged.
            NASError: a download failed.
        """
        root = options.folder
        binary, pickled = (
            FileSet(self.name, names, spell_folders(self.name, self.torchvision_name, inner=(inner,)))
            for names, inner in zip((self.files, self.pickles), self.inner, strict=True)
        )
        if binary.find(root) is None and (paths := pickled.find(root)):
            return self._to_pools(paths, [self._read_pickle(*pair) for pair in zip(paths, self.records, strict=True)])
        download = (lambda: self._download(root / self.name)) if options.download else None
        paths = binary.obtain(root, download=download)
        return self._to_pools(paths, [self._read_binary(*pair) for pair in zip(paths, self.records, strict=True)])

    def _read_binary(self, path: Path, records: int) -> NDArray[np.uint8]:
        """Return (records, 1 + 3072) bytes; of CIFAR-100's two labels the coarse one is dropped."""
        width = self.label_bytes + _PIXELS
        return read_exactly(path, records * width).reshape(records, width)[:, self.label_bytes - 1 :]

    def _read_pickle(self, path: Path, records: int) -> NDArray[np.uint8]:
        return read_pickled_records(path, num_records=records, labels_key=self.labels_key)

    def _to_pools(self, paths: list[Path], arrays: list[NDArray[np.uint8]]) -> Pools:
        for path, array in zip(paths, arrays, strict=True):
            if (largest := int(array[:, 0].max())) >= len(self.class_names):
                raise make_damage_error(path, f"expected labels below {len(self.class_names)}, got {largest}")
        train, test = _to_pool(arrays[:-1]), _to_pool(arrays[-1:])
        head = train.read(torch.arange(self.head_images)).numpy().reshape(-1)
        copied = self.head_sha256 and hashlib.sha256(head.data).hexdigest() != self.head_sha256
        note = f"the pixels are not the official ones of {self.name}: accuracies do not compare with published ones"
        return Pools(train, None, test, self.class_names, notes=(note,) if copied else ())

    def _download(self, folder: Path) -> None:
        archive = folder / self.archive
        download_file([_URL + self.archive], archive, md5=self.archive_md5)
        extract_files(archive, folder / self.inner[0], names=self.files)
        archive.unlink()


def _to_pool(arrays: list[NDArray[np.uint8]]) -> Pool:
    images = np.concatenate([array[:, 1:] for array in arrays]).reshape(-1, *_SHAPE)
    labels = np.concatenate([array[:, 0] for array in arrays]).astype(np.int64)
    return Pool.of_images(torch.from_numpy(images), torch.from_numpy(labels))


_CIFAR_10 = CifarDataset(
    name="cifar-10",
    torchvision_name="CIFAR10",
    files=(*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"),
    pickles=(*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"),
    records=(10_000,) * 6,
    label_bytes=1,
    labels_key="labels",
    class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    archive="cifar-10-binary.tar.gz",
    archive_md5="c32a1d4ab5d03f1284b67883e8d87530",
    inner=("cifar-10-batches-bin", "cifar-10-batches-py"),
    head_sha256="28afc872aa454f5edfb44b9dc53187ac9e792b2e75c81b091face3432c78e91b",
    head_images=4_000,
)

_FINE_CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl",
    "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair",
    "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin",
    "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp",
    "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck",
    "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road",
    "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television",
    "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf",
    "woman", "worm",
)  # fmt: skip

_CIFAR_100 = CifarDataset(
    name="cifar-100",
    torchvision_name="CIFAR100",
    files=("train.bin", "test.bin"),
    pickles=("train", "test"),
    records=(50_000, 10_000),
    label_bytes=2,
    labels_key="fine_labels",
    class_names=_FINE_CLASSES,
    archive="cifar-100-binary.tar.gz",
    archive_md5="03b5dce01913d631647c71ecec9e9cb8",
    inner=("cifar-100-binary", "cifar-100-python"),
)

CIFAR_10 = Dataset(
    name="cifar-10",
    shape=_SHAPE,
    classes=10,
    images="50,000 training and 10,000 test colour images",
    licence="none stated; cite the source",
    source="Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html",
    augmentation=Augmentation(crop_padding=4, flip=True),
    read=_CIFAR_10.read,
)

CIFAR_100 = Dataset(
    name="cifar-100",
    shape=_SHAPE,
    classes=100,
    images="50,000 training and 10,000 test colour images",
    licence="none stated; cite the source",
    source="Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html",
    augmentation=Augmentation(crop_padding=4, flip=True),
    read=_CIFAR_100.read,
)
