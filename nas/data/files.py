"""Finding a data set's files and reading them whole; whatever is wrong with one is said in one clear line.

Nothing is ever unpickled. Fetching files is `nas.data.downloading`.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from nas.errors import InvalidInputError

DOWNLOAD_HINT = "download=True (command line: --download)"
_GZIP_START = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class FileSet:
    """Files that belong together and lie in one folder.

    Attributes:
        dataset: whose files they are, for messages.
        names: their names.
        folders: where they may lie, relative to the root; the first that has all of them is taken.
        endings: what may follow a name; the first that exists is taken.
    """

    dataset: str
    names: tuple[str, ...]
    folders: tuple[str, ...]
    endings: tuple[str, ...] = ("",)

    def obtain(self, root: Path, *, download: Callable[[], None] | None) -> list[Path]:
        """Return the files in the order of `names`, downloading them if they are missing and that was asked.

        Args:
            root: the folder to look in.
            download: fetches them into one of the folders; None when nobody asked for that.

        Raises:
            InvalidInputError: they are missing; the message says what, where it looked and how to get them.
            NASError: the download failed.
        """
        paths = self.find(root)
        if paths is None and download is not None:
            download()
            paths = self.find(root)
        if paths is None:
            raise InvalidInputError(self._describe_missing(root))
        return paths

    def find(self, root: Path) -> list[Path] | None:
        """Return the files in the order of `names`, or None where no folder has them all."""
        for folder in self.folders:
            paths = [path for name in self.names if (path := self._find(root / folder, name))]
            if len(paths) == len(self.names):
                return paths
        return None

    def _find(self, folder: Path, name: str) -> Path | None:
        return next((path for ending in self.endings if (path := folder / (name + ending)).is_file()), None)

    def _describe_missing(self, root: Path) -> str:
        absent = {f: [name for name in self.names if self._find(root / f, name) is None] for f in self.folders}
        closest = min(self.folders, key=lambda folder: len(absent[folder]))
        partly = len(absent[closest]) < len(self.names)
        return (
            f"{self.dataset}: {', '.join(absent[closest])} not found{f' in {root / closest}' if partly else ''}. "
            f"Looked in {root} and its subfolders {', '.join(filter(None, self.folders))}. "
            f"Give the folder that has the files as root, or fetch them with {DOWNLOAD_HINT}."
        )


def spell_folders(dataset: str, torchvision_name: str, *, inner: tuple[str, ...]) -> tuple[str, ...]:
    """Return where people keep a data set, relative to their data folder; the data folder itself comes last.

    Args:
        dataset: canonical name, words joined by hyphens.
        torchvision_name: torchvision's class.
        inner: folders that may come between that folder and the files.
    """
    names = (dataset, dataset.replace("-", "_"), dataset.replace("-", ""), torchvision_name, "")
    places = (place.strip("/") for name in names for place in (*(f"{name}/{folder}" for folder in inner), name))
    return tuple(dict.fromkeys(places))


def read_exactly(path: Path, size: int) -> NDArray[np.uint8]:
    """Return a file's content, which must be of a known size; gzip is recognised by its first bytes.

    Args:
        path: the file.
        size: expected bytes, after decompression.

    Returns:
        Writable uint8 array (size,).

    Raises:
        InvalidInputError: the file is shorter, longer, damaged or cannot be opened.
    """
    buffer = bytearray(size + 1)  # one more than expected, to notice a longer file and to reach gzip's checksum
    try:
        with path.open("rb") as plain:
            compressed = plain.read(len(_GZIP_START)) == _GZIP_START
            plain.seek(0)
            got = _fill(cast(BinaryIO, gzip.GzipFile(fileobj=plain)) if compressed else plain, buffer)
    except (OSError, zlib.error) as error:
        raise make_damage_error(path, str(error)) from error
    if got != size:
        raise make_damage_error(path, f"expected {size:,} bytes, got {f'{got:,}' if got < size else 'more'}")
    return np.frombuffer(buffer, dtype=np.uint8)[:size]


def _fill(file: BinaryIO, buffer: bytearray) -> int:
    """Read until the buffer is full or the file ends, and return the bytes read."""
    view, got = memoryview(buffer), 0
    try:
        while got < len(buffer) and (count := file.readinto(view[got:])):  # type: ignore[attr-defined]
            got += count
    except EOFError:
        pass  # a gzip file that was cut short: what came until then counts as its size
    return got


def make_damage_error(path: Path, reason: str) -> InvalidInputError:
    """Return the error for a file that cannot be used, with what to do about it."""
    remedy = f"Put a good copy in its place, or remove it and fetch it with {DOWNLOAD_HINT}."
    return InvalidInputError(f"{path} cannot be used: {reason}. {remedy}")
