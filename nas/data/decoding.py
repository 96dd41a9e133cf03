"""Decoding image files to bytes of one size."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from nas.errors import InvalidInputError

if TYPE_CHECKING:
    from PIL import Image

_MODES = {1: "L", 3: "RGB"}
_DEEP_MODES = ("I", "F")  # and I;16: more than 8 bits a pixel, which conversion would cut off, not scale
_SHARE_OF_MEMORY = 0.5  # of the machine's that the images may take: training needs the rest


def decode_images(paths: Sequence[Path], *, channels: int, resolution: int, resize: bool) -> torch.Tensor:
    """Return image files as bytes, turned upright as their camera noted.

    Args:
        paths: the files.
        channels: 1 for grey, 3 for colour; transparency is dropped.
        resolution: height and width of the result in pixels.
        resize: crop to the central square and resize it; otherwise every image must already have this size.

    Returns:
        uint8 tensor (n, channels, resolution, resolution).

    Raises:
        InvalidInputError: a file cannot be decoded, has another size, or they would not fit into memory.
    """
    from PIL import Image, ImageOps

    images = _allocate(len(paths), channels, resolution)

    def fill(i: int) -> None:
        with _open_image(paths[i]) as image:
            upright = ImageOps.exif_transpose(image).convert(_MODES[channels])
            if resize:
                upright = ImageOps.fit(upright, (resolution, resolution), Image.Resampling.BILINEAR)
        if upright.size != (resolution, resolution):
            width, height = upright.size
            raise InvalidInputError(
                f"images differ in size: {resolution}x{resolution}, but {paths[i]} is {height}x{width}. "
                "Give a resolution to resize all of them to."
            )
        images[i] = torch.from_numpy(np.array(upright).reshape(resolution, resolution, channels)).permute(2, 0, 1)

    with ThreadPoolExecutor() as threads:  # decoders release Python's lock
        for _ in threads.map(fill, range(len(paths))):
            pass
    return images


def read_resolution(path: Path) -> int:
    """Return the side of a square image.

    Raises:
        InvalidInputError: it cannot be read or is not square.
    """
    with _open_image(path) as image:
        width, height = image.size
    if width != height:
        raise InvalidInputError(
            f"images must be square unless a resolution is given, but {path} is {height}x{width}: give a resolution."
        )
    return int(width)


@contextmanager
def _open_image(path: Path) -> Iterator[Image.Image]:
    """Open an image; whatever its decoder finds wrong becomes one line that names the file."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode.startswith(_DEEP_MODES):
                raise OSError(f"its pixels have more than 8 bits (mode {image.mode})")
            yield image
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise InvalidInputError(f"{path} cannot be decoded: {error}. Replace it, or remove it.") from error


def _allocate(num_images: int, channels: int, resolution: int) -> torch.Tensor:
    size = num_images * channels * resolution**2
    # only where the system tells how much there is; elsewhere the allocation itself has to fail
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
    if memory is not None and size > memory * _SHARE_OF_MEMORY:
        raise InvalidInputError(
            f"{num_images:,} images at {resolution}x{resolution} take {size / 1e9:.1f} GB, more than half of this "
            f"machine's {memory / 1e9:.1f} GB: give a lower resolution or a train_limit."
        )
    return torch.empty(num_images, channels, resolution, resolution, dtype=torch.uint8)
