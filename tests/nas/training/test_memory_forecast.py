"""The memory of a training, foretold from shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from nas.data.image_data import ImageData, Split
from nas.training.memory_forecast import TrainingMemory, forecast_memory
from nas.training.recipe import Recipe
from nas.training.training_loop import Training
from search_spaces.architecture import Blueprint
from search_spaces.fast_convolutions import CHUNK_BYTES
from search_spaces.nasnet import cell_space

SPACE = cell_space("nasnet:blocks=2")
BATCH = 32
PLAIN = Recipe("plain", epochs=2, batch_size=BATCH, augment=False)
FLOAT = 4


class TwoReaders(nn.Module):
    """A convolution whose activations two linear layers read: they are kept once."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1, bias=False)
        self.first, self.second = nn.Linear(128, 3, bias=False), nn.Linear(128, 3, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 1, 8, 8) -> (batch, 3)."""
        read = self.conv(images).relu().flatten(1)
        first: Tensor = self.first(read)
        return first + self.second(read)


def two_readers(**changes: Any) -> TrainingMemory:
    return forecast_memory(TwoReaders, (1, 8, 8), recipe=PLAIN.with_changes(changes), validation_images=0)


def test_parts_by_hand() -> None:
    memory = two_readers()
    weights = FLOAT * (18 + 2 * 3 * 128)
    image, activations, logits = FLOAT * BATCH * 64, FLOAT * BATCH * 128, FLOAT * BATCH * 3
    assert memory.weights == memory.gradients == memory.optimizer == weights
    # the image for the convolution; what relu gives, for itself and as a view for both readers; for the loss the
    # logarithms of probabilities, the labels, and the number that the mean is over
    assert memory.saved == image + activations + logits + 8 * BATCH + FLOAT
    assert memory.step >= 3 * weights + memory.saved


@pytest.mark.parametrize(
    ("changes", "copies"),
    [
        ({"momentum": 0.0, "nesterov": False}, 0),
        ({}, 1),
        ({"optimizer": "adamw"}, 2),
        ({"optimizer": "rmsprop"}, 2),
    ],
)
def test_optimizer_state_is_so_many_copies_of_the_weights(changes: dict[str, Any], copies: int) -> None:
    memory = two_readers(**changes)
    steps = FLOAT * 3 if copies == 2 else 0  # of each of three weights, as a number
    assert memory.optimizer == copies * memory.weights + steps


def test_average_and_best_epoch_are_copies_of_the_weights() -> None:
    plain, averaged = two_readers(), two_readers(average=0.9, patience=2)
    assert plain.copies == 0
    assert averaged.copies == 2 * plain.weights
    assert averaged.step >= plain.step + 2 * plain.weights


def test_half_of_a_batch_keeps_half_for_backward() -> None:
    whole, halved = two_readers(), two_readers(accumulation=2)
    given = (FLOAT * 64 + 8) * BATCH  # images and labels are kept whole: a part of a batch is a view
    assert halved.saved - given == pytest.approx((whole.saved - given) / 2, abs=FLOAT)
    assert halved.step < whole.step


def test_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    two_readers()
    assert torch.equal(torch.get_rng_state(), before)


def random_cells() -> nn.Module:
    architecture = SPACE.sample(np.random.default_rng(3))
    return SPACE.build(Blueprint(architecture, 8, channels=1, classes=3, stem="tiny", depth=1, width=32))


class ReadsContents(nn.Module):
    """Cannot run where tensors have no contents."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 512), nn.Linear(512, 3)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 1, 8, 8) -> (batch, 3)."""
        scale = 1.0 if float(images.sum()) > 0 else 2.0
        result: Tensor = self.second(self.first(images.flatten(1)).relu() * scale)
        return result


def allocated_peak(network: Callable[[], nn.Module], recipe: Recipe) -> int:
    """Return the most bytes that torch's allocator had handed out in two epochs of two steps."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2 * BATCH, 1, 8, 8), dtype=torch.uint8, generator=generator)
    split = Split(images, torch.arange(len(images)) % 3)
    data = ImageData("noise", split, split, None, ("a", "b", "c"))
    Training(network(), data, recipe=recipe, seed=0, validates=True).run_epoch()  # what is made once a process
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        training = Training(network(), data, recipe=recipe, seed=0, validates=True)
        training.run_epoch()
        training.run_epoch()
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    return int(np.cumsum([event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]).max())


@pytest.mark.parametrize(("network", "workspace"), [(random_cells, 2 * CHUNK_BYTES), (ReadsContents, 16_384)])
@pytest.mark.parametrize("changes", [{}, {"accumulation": 2, "average": 0.9, "patience": 3, "optimizer": "adamw"}])
def test_forecast_is_what_the_allocator_hands_out_less_the_workspace_of_kernels(
    network: Callable[[], nn.Module], workspace: int, changes: dict[str, Any]
) -> None:
    recipe = PLAIN.with_changes(changes)
    measured = allocated_peak(network, recipe)
    memory = forecast_memory(network, (1, 8, 8), recipe=recipe, validation_images=2 * BATCH)
    one_image = 64  # of bytes, of which the forecast's validation images are views
    assert memory.peak - one_image <= measured <= memory.peak + workspace
    assert memory.needed > measured
