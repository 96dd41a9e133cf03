"""Recorded steps train as steps run one by one do; what cannot be recorded is trained all the same."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import final

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas.data import Augmentation, ImageData, Split
from nas.training.capturing import Capture, capture_on
from nas.training.clock import PhaseClock
from nas.training.rates import HeldRate
from nas.training.recipe import Recipe
from nas.training.seeding import seeded
from nas.training.stepping import WARM_UP
from nas.training.training_loop import Training
from search_spaces.architecture import Blueprint
from search_spaces.nasnet import cell_space

sys.path.insert(0, str(Path(__file__).parent))
from tape import TapeCapture

RECIPE = Recipe(
    "test", epochs=3, batch_size=16, learning_rate=0.05, average=0.9, auxiliary_weight=0.4, label_smoothing=0.1
)


def split(count: int, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    images = torch.from_numpy(rng.integers(0, 256, (count, 3, 8, 8)).astype(np.uint8))
    return Split(images, torch.from_numpy(rng.integers(0, 4, count)))


DATA = ImageData(
    name="noise",
    train=split(100, 0),  # six batches and four images, which no step sees
    validation=split(20, 1),
    test_split=None,
    class_names=("a", "b", "c", "d"),
    augmentation=Augmentation(crop_padding=1, flip=True),
)


def cell_network(seed: int = 0) -> nn.Module:
    space = cell_space("nasnet:blocks=2")
    architecture = space.sample(np.random.default_rng(seed))
    blueprint = Blueprint(architecture, 8, channels=3, classes=4, stem="tiny", depth=1, width=4, auxiliary=True)
    with seeded(seed):
        return space.build(blueprint)


class Dropping(nn.Module):
    """A small network with normalisation and dropout, so with state and draws of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.dropout, self.head = nn.Dropout(0.3), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.dropout(self.norm(self.conv(x)).relu().mean((2, 3))))
        return logits


def dropping() -> nn.Module:
    with seeded(0):
        return Dropping()


def training(network: nn.Module, recipe: Recipe, capture: Capture | None) -> Training:
    return Training(network, DATA, recipe=recipe, seed=0, capture=lambda device: capture)


def weights(network: nn.Module) -> Tensor:
    return torch.cat([value.flatten().double() for value in network.state_dict().values()])


@final
class Closure(Capture):
    """Records nothing: a repetition runs the function once more."""

    def warm_up(self, function: Callable[[], None]) -> str:
        function()
        return ""

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        return function


def trained(make: Callable[[], nn.Module], recipe: Recipe, capture: Capture | None) -> Tensor:
    network = make()
    run = training(network, recipe, capture)
    for _ in range(recipe.epochs):
        run.run_epoch()
    run.finish()
    return weights(network)


CASES: list[tuple[Callable[[], nn.Module], dict[str, object]]] = [
    (cell_network, {}),
    (cell_network, {"precision": "bfloat16", "drop_path": 0.5}),
    (dropping, {"accumulation": 3}),
    (dropping, {"optimizer": "adamw", "learning_rate": 0.01}),
    (dropping, {"momentum": 0.0, "gradient_clip": 0.0}),
    (dropping, {"schedule": "step", "milestones": (0.5,), "average": 0.0}),
]


@pytest.mark.parametrize(("make", "changes"), CASES)
def test_recorded_steps_are_the_steps(make: Callable[[], nn.Module], changes: dict[str, object]) -> None:
    """Bit for bit: rates, batches, dropout, running statistics and averages follow every step."""
    recipe, tape = RECIPE.with_changes(changes), TapeCapture()
    recorded = trained(make, recipe, tape)
    steps = recipe.epochs * (100 // 16)
    assert (tape.warmed, tape.recorded, tape.repeated) == (WARM_UP, 1, steps - WARM_UP)
    assert torch.equal(trained(make, recipe, Closure()), recorded)
    assert not torch.allclose(weights(make()), recorded, atol=1e-2)


@pytest.mark.parametrize(("make", "changes"), [case for case in CASES if "drop_path" not in case[1]])
def test_rates_on_the_device_train_as_numbers_do(make: Callable[[], nn.Module], changes: dict[str, object]) -> None:
    """Up to float32's rounding of the rates, which AdamW makes larger where a gradient is nearly 0."""
    recipe = RECIPE.with_changes(changes)
    tolerance = 1e-3 if recipe.optimizer == "adamw" else 1e-5
    held, numbers = trained(make, recipe, Closure()), trained(make, recipe, None)
    assert torch.allclose(held, numbers, rtol=tolerance, atol=tolerance)


def test_a_drop_path_rate_that_rises_is_followed() -> None:
    """A rate held at the end of the schedule gives another network than one that begins with 0."""
    network = cell_network()
    run = training(network, replace(RECIPE, drop_path=0.6), TapeCapture())
    for _ in range(RECIPE.epochs):
        run.run_epoch()
    cells = [cell.drop_path for cell in network.cells]  # type: ignore[union-attr]
    assert all(isinstance(rate, HeldRate) for rate in cells)
    held = [float(rate.value) for rate in cells]
    last = 0.6 * 17 / 18
    assert np.allclose(held, [last * (i + 1) / len(held) for i in range(len(held))])
    run.finish()
    assert [type(cell.drop_path) for cell in network.cells] == [float] * len(held)  # type: ignore[union-attr]


def test_dropped_paths_keep_their_share() -> None:
    """Of 20,000 images, a rate of 0.3 drops 6,000, within 5 standard deviations of 65."""
    from search_spaces.cell_network import drop_path

    rate = HeldRate.on("cpu")
    rate.set(0.6)
    with seeded(0):
        kept = drop_path(torch.ones(20_000, 1, 1, 1), rate / 2)  # type: ignore[arg-type]
    assert abs(int((kept == 0).sum()) - 6000) < 5 * 65
    assert torch.allclose(kept[kept > 0], torch.tensor(1 / 0.7))


def test_a_recorded_training_goes_on_from_a_state_of_either_kind() -> None:
    """States have numbers for rates, so a run with a recording and one without can continue each other."""
    whole = weights_after(None, [None])
    for first, second in ((TapeCapture(), None), (None, TapeCapture()), (TapeCapture(), TapeCapture())):
        assert torch.allclose(whole, weights_after(first, [second]), rtol=1e-5, atol=1e-5)


def weights_after(first: Capture | None, others: list[Capture | None]) -> Tensor:
    network = cell_network()
    run = training(network, RECIPE, first)
    run.run_epoch()
    state = run.state()
    assert all(isinstance(group["lr"], float) for group in state.optimizer["param_groups"])
    for other in others:
        network = cell_network()
        run = training(network, RECIPE, other)
        run.restore(state)
    run.run_epoch()
    run.run_epoch()
    run.finish()
    return weights(network)


def test_restoring_after_a_recording_begins_again() -> None:
    network, tape = cell_network(), TapeCapture()
    run = training(network, RECIPE, tape)
    run.run_epoch()
    state = run.state()
    kept = replace(
        state,
        weights={name: value.clone() for name, value in state.weights.items()},
        average={name: value.clone() for name, value in state.average.items()},
    )
    optimizer = torch.utils._pytree.tree_map(lambda x: x.clone() if isinstance(x, Tensor) else x, state.optimizer)
    kept = replace(kept, optimizer=optimizer)
    run.run_epoch()
    once = weights(network)
    run.restore(kept)
    run.run_epoch()
    assert torch.equal(once, weights(network)) or torch.allclose(once, weights(network), atol=1e-6)
    assert tape.recorded == 2


class Reading(Dropping):
    """Reads a value of its own while it computes, which a recording cannot."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1.0 if float(self.head.bias.detach().sum()) < 1e6 else 2.0)


def test_a_network_that_cannot_be_recorded_is_trained_step_by_step_and_this_is_said() -> None:
    def reading() -> nn.Module:
        with seeded(0):
            return Reading()

    network, tape = reading(), TapeCapture()
    run = training(network, RECIPE, tape)
    with pytest.warns(RuntimeWarning, match="runs operation by operation, which takes longer: operation not permitted"):
        run.run_epoch()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run.run_epoch()
    plain = reading()
    other = training(plain, RECIPE, None)
    other.run_epoch()
    other.run_epoch()
    assert (tape.recorded, tape.repeated) == (0, 0)
    assert torch.allclose(weights(network), weights(plain), rtol=1e-5, atol=1e-5)


def test_what_follows_from_more_than_tensors_is_not_recorded() -> None:
    """Muon reads its rate; a clock wants phases; and a CPU has nothing to record on."""
    tape = TapeCapture()
    training(dropping(), RECIPE.with_changes({"optimizer": "muon"}), tape).run_epoch()
    clock = PhaseClock()
    Training(dropping(), DATA, recipe=RECIPE, seed=0, clock=clock, capture=lambda device: tape).run_epoch()
    assert (tape.warmed, tape.recorded) == (0, 0)
    assert clock.seconds["forward"] > 0
    assert capture_on(torch.device("cpu")) is None


def test_the_recording_sees_only_what_it_was_given() -> None:
    """The tape itself: numbers are frozen, tensors are not, and recording changes nothing."""
    x, total = torch.ones(3), torch.zeros(3)
    factor = 2.0

    def function() -> None:
        total.add_(x * factor)

    replay = TapeCapture().record(function)
    assert total.tolist() == [0, 0, 0]
    factor = 100.0
    x.fill_(5)
    replay()
    assert total.tolist() == [10, 10, 10]
