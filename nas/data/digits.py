"""Scikit-learn's digits: 1,797 real images of 8x8 pixels that are installed with it. The default: nothing to fetch."""

from __future__ import annotations

import numpy as np
import torch

from nas.data.augmentation import Augmentation
from nas.data.dataset import Dataset, LoadOptions, Pool, Pools

_BRIGHTEST = 16  # the images count black dots in 4x4 blocks of a bitmap


def read_digits(options: LoadOptions) -> Pools:
    """Return the digits as one pool, 0..16 scaled to 0..255; no file is looked for.

    Args:
        options: root and download say nothing here.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(np.rint(bunch.images * (255 / _BRIGHTEST)).astype(np.uint8)).unsqueeze(1)
    labels = torch.from_numpy(bunch.target.astype(np.int64))
    return Pools(Pool.of_images(images, labels), None, None, tuple("0123456789"))


DIGITS = Dataset(
    name="digits",
    shape=(1, 8, 8),
    classes=10,
    images="1,797 images of handwritten digits, no official test set",
    licence="CC BY 4.0",
    source="Alpaydin 1998, https://archive.ics.uci.edu/dataset/80, as installed with scikit-learn",
    augmentation=Augmentation(crop_padding=1),
    read=read_digits,
)
