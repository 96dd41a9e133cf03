"""Resizing of stored images, once, when they are loaded."""

from __future__ import annotations

import numpy as np
import torch


def resize_images(images: torch.Tensor, resolution: int) -> torch.Tensor:
    """Return the images at another resolution: bilinear, with antialiasing where they shrink.

    Pillow's resampling is integer arithmetic, so the bytes are the same on every machine; a float kernel's are not.

    Args:
        images: uint8 (n, channels, height, width); not changed.
        resolution: height and width of the result in pixels.

    Returns:
        uint8 tensor (n, channels, resolution, resolution), contiguous.
    """
    from PIL import Image

    planes = images.flatten(0, 1).numpy()
    resized = np.empty((len(planes), resolution, resolution), dtype=np.uint8)
    for i, plane in enumerate(planes):
        resized[i] = np.asarray(Image.fromarray(plane).resize((resolution, resolution), Image.Resampling.BILINEAR))
    return torch.from_numpy(resized).view(*images.shape[:2], resolution, resolution)
