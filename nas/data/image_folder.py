"""A user's own images: one folder per class, with or without folders for the splits around them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from nas.data.augmentation import Augmentation
from nas.data.dataset import Dataset, LoadOptions, Pool, Pools
from nas.data.decoding import decode_images, read_resolution
from nas.data.membership import hash_contents
from nas.errors import InvalidInputError

IMAGE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"))
_VALIDATION_FOLDERS = ("val", "validation", "valid")
_TEST_FOLDERS = ("test",)
_DEFAULT_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class Listing:
    """The image files of one split in the order of their paths, and how many other files there were."""

    paths: tuple[Path, ...]
    labels: tuple[int, ...]
    ignored: int


def read_folder(options: LoadOptions) -> Pools:
    """List the images of a folder and hash their files; they are decoded when their split is decided.

    The folder holds ``train/CLASS/*.png``, with optional ``val`` and ``test`` beside ``train``, or ``CLASS/*.png``.
    Images may lie deeper inside a class. Hidden files and files that are no images are passed over and counted.
    Splits that have no folder are taken from the training images, by the hash of the file.

    Raises:
        InvalidInputError: no such folder, fewer than two classes, or a class without images. Reading the pools
            raises it for an image that cannot be decoded, for several sizes without a resolution, and for more
            images than fit into memory.
    """
    root = _check_root(options)
    train_folder = _find_train(root)
    class_names = _list_classes(train_folder)
    train = list_images(train_folder, class_names)
    _check_classes(train_folder, class_names, train)
    held_out = (_find(root, _VALIDATION_FOLDERS), _find(root, _TEST_FOLDERS))
    others = [list_images(folder, class_names) if folder else None for folder in held_out]
    resolution = options.resolution or read_resolution(train.paths[0])
    pools = [_to_pool(listing, resolution, options) if listing else None for listing in others]
    ignored = train.ignored + sum(listing.ignored for listing in others if listing)
    notes = (f"{ignored} files that are no images were ignored",) if ignored else ()
    return Pools(_to_pool(train, resolution, options), pools[0], pools[1], class_names, notes)


def _check_root(options: LoadOptions) -> Path:
    if options.root is None:
        raise InvalidInputError("data 'folder' needs the folder of the images: give it as root.")
    if not options.folder.is_dir():
        raise InvalidInputError(f"there is no folder {options.folder}: give the folder of the images as root.")
    return options.folder


def _find_train(root: Path) -> Path:
    """Return the folder of the training classes: ``train``, or the root itself where nothing is held out in it."""
    train = _find(root, ("train",))
    held_out = _find(root, (*_VALIDATION_FOLDERS, *_TEST_FOLDERS))
    if train is None and held_out is not None:
        raise InvalidInputError(
            f"{root} has a folder {held_out.name!r} but none named 'train': put the training classes into 'train'."
        )
    return train or root


def _find(root: Path, names: tuple[str, ...]) -> Path | None:
    return next((root / name for name in names if (root / name).is_dir()), None)


def _list_classes(folder: Path) -> tuple[str, ...]:
    """Return the names of the folders in a folder, sorted."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(names) < 2:
        raise InvalidInputError(
            f"{folder} must hold a folder for each of at least 2 classes, got {', '.join(names) or 'none'}: "
            "the layout is CLASS/IMAGE, or train/CLASS/IMAGE."
        )
    return tuple(names)


def list_images(folder: Path, class_names: tuple[str, ...]) -> Listing:
    """Return the image files below ``folder/CLASS``; a class may be missing.

    Raises:
        InvalidInputError: the folder has a class that is not among the names, or no image at all.
    """
    unknown = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name not in class_names)
    unknown = [name for name in unknown if not name.startswith(".")]
    if unknown:
        raise InvalidInputError(f"{folder} has the class {unknown[0]!r}, which has no training images: add some.")
    found = [
        (path, label)
        for label, name in enumerate(class_names)
        for path in sorted((folder / name).rglob("*"), key=Path.as_posix)
        if path.is_file()
    ]
    images = [(path, label) for path, label in found if _is_image(path)]
    if not images and (loose := sum(map(_is_image, folder.iterdir()))):
        raise InvalidInputError(
            f"{folder} has {loose} images in no folder of a class, so they have no labels: sort them into "
            f"{folder.name}/CLASS, or remove the folder."
        )
    if not images:
        raise InvalidInputError(f"{folder} has no images: add some, or remove the folder.")
    paths, labels = zip(*images, strict=True)
    return Listing(paths, labels, ignored=len(found) - len(images))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def _check_classes(folder: Path, class_names: tuple[str, ...], train: Listing) -> None:
    empty = [name for label, name in enumerate(class_names) if label not in set(train.labels)]
    if empty:
        raise InvalidInputError(f"{folder} has no images of class {', '.join(empty[:5])}: add some, or remove it.")


def _to_pool(listing: Listing, resolution: int, options: LoadOptions) -> Pool:
    decode = partial(
        decode_images,
        channels=options.channels or _DEFAULT_CHANNELS,
        resolution=resolution,
        resize=options.resolution is not None,
    )
    try:
        keys = hash_contents(path.read_bytes() for path in listing.paths)
    except OSError as error:
        raise InvalidInputError(f"an image cannot be read: {error}. Make it readable, or remove it.") from error
    return Pool(keys, torch.tensor(listing.labels), lambda indices: decode([listing.paths[i] for i in indices]))


FOLDER = Dataset(
    name="folder",
    shape=None,
    classes=None,
    images="your own: root/CLASS/IMAGE, or root/train/CLASS/IMAGE with optional root/val and root/test",
    licence="yours",
    source="a folder on this machine",
    augmentation=Augmentation(crop_padding=4),
    read=read_folder,
)
