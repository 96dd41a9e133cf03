"""Preparing batches where they are: the same pixels, and nothing that the host and a device wait for each other by."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from nas.data import Augmentation, ImageData, Split
from nas.data.augmentation import cut_out
from nas.training.averaging import Average
from nas.training.preparing import fused_normalisation, make_preparation
from nas.training.recipe import Recipe

sys.path.insert(0, str(Path(__file__).parent))
from tape import Recorder


def data() -> ImageData:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (64, 3, 8, 8)).astype(np.uint8))
    split = Split(images, torch.from_numpy(rng.integers(0, 4, 64)))
    augmentation = Augmentation(crop_padding=1, flip=True, cutout=2)
    return ImageData("noise", split, split, None, ("a", "b", "c", "d"), augmentation)


def test_normalising_in_one_operation_is_normalising() -> None:
    """Up to float32's rounding of values of at most 2.5, in channels_last."""
    noise = data()
    images = noise.train.images
    fused = fused_normalisation(noise, torch.device("cpu"))(images)
    assert torch.allclose(fused, noise.normalise(images), atol=1e-6, rtol=1e-6)
    assert (fused.dtype, fused.is_contiguous(memory_format=torch.channels_last)) == (torch.float32, True)


def test_preparing_makes_no_tensor_of_numbers_and_reads_none() -> None:
    """Either would copy between host and device, batch by batch."""
    noise = data()
    prepare = make_preparation(noise, Recipe("test", epochs=1, cutout=3))
    noise.normalise(noise.train.images)  # its constants are made once
    generator = torch.Generator().manual_seed(0)
    with Recorder() as recorder:
        prepared = prepare(noise.train.images, generator)
    names = [operation.function.overloadpacket.__name__ for operation in recorder.operations]
    assert "lift_fresh" not in names
    assert len(names) > 10
    assert prepared.shape == noise.train.images.shape
    with Recorder() as recorder:
        cut_out(noise.train.images, generator, size=3, fill=[1.0, 2.0, 3.0])
    names = [operation.function.overloadpacket.__name__ for operation in recorder.operations]
    assert "lift_fresh" in names  # what the test would see


def test_what_cutout_fills_with_may_be_a_tensor() -> None:
    images, fill = data().train.images, [1.4, 2.5, 3.6]
    one = cut_out(images, torch.Generator().manual_seed(0), size=3, fill=fill)
    other = cut_out(images, torch.Generator().manual_seed(0), size=3, fill=torch.tensor(fill))
    assert torch.equal(one, other)
    assert not torch.equal(one, images)


def test_an_average_by_a_share_in_a_tensor_is_that_by_a_number() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
        averages = Average(network, 0.5), Average(network, 0.5)
        for step in range(20):
            torch.nn.init.normal_(network[0].weight)  # type: ignore[arg-type]
            averages[0].update(network, averages[0].share_at(step))
            averages[1].update(network, torch.tensor(averages[1].share_at(step)))
    for name, value in averages[0].values.items():
        assert torch.allclose(value, averages[1].values[name], atol=1e-6)
