"""SVHN, cropped digits: two MATLAB files. The 531,131 extra images are not used."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas.data.augmentation import Augmentation
from nas.data.dataset import Dataset, LoadOptions, Pool, Pools
from nas.data.downloading import download_file
from nas.data.files import FileSet, make_damage_error, spell_folders

_SIZES = {"train_32x32.mat": 73_257, "test_32x32.mat": 26_032}


def read_svhn(options: LoadOptions) -> Pools:
    """Find, download if asked, and read the two files.

    Raises:
        InvalidInputError: a file is missing or damaged.
        NASError: a download failed.
    """
    root = options.folder
    file_set = FileSet("svhn", tuple(_SIZES), spell_folders("svhn", "SVHN", inner=()))
    paths = file_set.obtain(root, download=(lambda: _download(root / "svhn")) if options.download else None)
    train, test = (read_mat_pool(path, num_images=_SIZES[path.name]) for path in paths)
    return Pools(train, None, test, tuple("0123456789"))


def read_mat_pool(path: Path, *, num_images: int) -> Pool:
    """Return the images of a file: X uint8 (32, 32, 3, n) and y (n, 1), where 10 stands for the digit 0.

    Raises:
        InvalidInputError: the file cannot be read or does not hold these.
    """
    content = _load_mat(path)
    images, labels = np.asarray(content.get("X")), np.asarray(content.get("y"))
    if images.dtype != np.uint8 or images.shape != (32, 32, 3, num_images) or labels.size != num_images:
        raise make_damage_error(
            path,
            f"expected X uint8 {(32, 32, 3, num_images)} and as many labels y, "
            f"got {images.dtype} {images.shape} and {labels.size}",
        )
    if labels.min() < 1 or labels.max() > 10:
        raise make_damage_error(path, f"expected labels from 1 to 10, got {labels.min()} to {labels.max()}")
    stored = np.ascontiguousarray(images.transpose(3, 2, 0, 1))
    return Pool.of_images(torch.from_numpy(stored), torch.from_numpy(labels.astype(np.int64).reshape(-1) % 10))


def _load_mat(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat  # scipy has no stubs
    from scipy.io.matlab import MatReadError

    try:
        return dict(loadmat(path))
    except (OSError, ValueError, TypeError, NotImplementedError, MatReadError, zlib.error) as error:
        raise make_damage_error(path, f"it is not a complete MATLAB 5 file ({error})") from error


def _download(folder: Path) -> None:
    import torchvision.datasets

    for split in ("train", "test"):
        url, name, md5 = torchvision.datasets.SVHN.split_list[split]
        download_file([url], folder / name, md5=md5)


SVHN = Dataset(
    name="svhn",
    shape=(3, 32, 32),
    classes=10,
    images="73,257 training and 26,032 test images of house numbers",
    licence="none stated; for non-commercial use",
    source="Netzer 2011, http://ufldl.stanford.edu/housenumbers/",
    augmentation=Augmentation(crop_padding=2),
    read=read_svhn,
)
