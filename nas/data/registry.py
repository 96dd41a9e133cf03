"""The data sets by name, and the one function that loads them."""

from __future__ import annotations

from pathlib import Path

from nas.data.assembling import assemble
from nas.data.cifar import CIFAR_10, CIFAR_100
from nas.data.dataset import Dataset, LoadOptions
from nas.data.digits import DIGITS
from nas.data.idx import FASHION_MNIST, MNIST
from nas.data.image_data import ImageData
from nas.data.image_folder import FOLDER
from nas.data.svhn import SVHN
from nas.errors import InvalidInputError, UnknownNameError

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset for dataset in (DIGITS, MNIST, FASHION_MNIST, CIFAR_10, CIFAR_100, SVHN, FOLDER)
}


def get_dataset(name: str) -> Dataset:
    """Return a data set's description; hyphens, underscores and capitals do not matter (``cifar10``, ``CIFAR-10``).

    Raises:
        UnknownNameError: no such data set; the message lists the known ones.
    """
    known = {_squash(other): dataset for other, dataset in DATASETS.items()}
    if _squash(name) not in known:
        raise UnknownNameError("dataset", name, DATASETS)
    return known[_squash(name)]


def _squash(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def load_data(
    name: str,
    *,
    root: Path | str | None = None,
    download: bool = False,
    resolution: int | None = None,
    train_limit: int | None = None,
    channels: int | None = None,
) -> ImageData:
    """Load a data set into memory. The same files and options give the same data, on every machine.

    Args:
        name: one of `DATASETS`.
        root: folder to look in and to download to; None for ``~/.cache/nas/data``. For ``folder``, the images.
        download: fetch missing files from their official source, with checksums.
        resolution: height and width to resize to; None for the images' own.
        train_limit: training images to keep at most, a fixed choice with classes as even as they can be.
        channels: 1 for grey or 3 for colour (the default) of ``folder``; other data sets have their own.

    Returns:
        All three splits. Give a search `ImageData.for_search()`, which holds the test images back.

    Raises:
        UnknownNameError: no such data set.
        InvalidInputError: files are missing or damaged, or an option does not suit; the message says what to do.
        NASError: a download failed.
    """
    dataset = get_dataset(name)
    if channels is not None and dataset.shape is not None and channels != dataset.shape[0]:
        raise InvalidInputError(
            f"{dataset.name} has {dataset.shape[0]} channels, got channels={channels}: leave it out; "
            "only 'folder' has a choice."
        )
    options = LoadOptions(None if root is None else Path(root), download, resolution, train_limit, channels)
    return assemble(dataset, dataset.read(options), options)
