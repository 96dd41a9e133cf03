"""The embedded digits: same images, same splits, everywhere."""

import numpy as np
import torch
from sklearn.datasets import load_digits

from nas.data import load_data
from nas.data.dataset import LoadOptions
from nas.data.digits import read_digits


def test_pixels_are_scaled_to_bytes_and_labels_kept() -> None:
    pools, original = read_digits(LoadOptions()), load_digits()
    images = pools.train.read(torch.arange(1797))
    assert images.shape == (1797, 1, 8, 8)
    assert np.abs(images[:, 0].numpy() / 255 - original.images / 16).max() <= 0.5 / 255
    assert (int(images.min()), int(images.max())) == (0, 255)
    assert pools.train.labels.tolist() == original.target.tolist()


def test_the_splits_are_those_of_the_first_version() -> None:
    """All runs on digits compare only as long as these stay."""
    data = load_data("digits")
    assert (len(data.train), len(data.validation), len(data.test)) == (1155, 294, 348)
    assert data.fingerprint == "9c2ff2e2fd08e28f3c08ef0e49cb34d5b011b687d9f7956ecb45736349bc2ed1"


def test_every_class_is_well_represented_in_every_split() -> None:
    data = load_data("digits")
    assert min(data.train.count_classes(10)) >= 100
    assert min(data.validation.count_classes(10)) >= 20
    assert min(data.test.count_classes(10)) >= 20
