"""What recipes can ask for: each option does what its paper says, and all survive being stopped and gone on with."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

import nas
from nas.data import ImageData, Split
from nas.errors import InvalidInputError
from nas.training.checkpoint import TrainingState
from nas.training.dropping import set_stochastic_depth
from nas.training.measuring import measure_accuracy
from nas.training.preparing import make_preparation
from nas.training.processes import Processes
from nas.training.recipe import RECIPES, Recipe, get_recipe
from nas.training.seeding import seeded
from nas.training.training_loop import Epoch, Stretch, Training, train
from search_spaces.mbconv_network import MBConvBlock


def quarters(count: int, seed: int, channels: int = 3) -> Split:
    """Images of four classes: one bright quarter each, in noise."""
    rng = np.random.default_rng(seed)
    labels = torch.from_numpy(rng.integers(0, 4, count))
    images = rng.integers(0, 120, (count, channels, 8, 8))
    for i, label in enumerate(labels.tolist()):
        images[i, :, 4 * (label // 2) : 4 * (label // 2) + 4, 4 * (label % 2) : 4 * (label % 2) + 4] += 100
    return Split(torch.from_numpy(images.astype(np.uint8)), labels)


DATA = ImageData("quarters", quarters(96, 0), quarters(64, 1), quarters(64, 2), ("a", "b", "c", "d"))
RECIPE = Recipe("test", epochs=2, batch_size=32, learning_rate=0.05, gradient_clip=0.0)


class Plain(nn.Module):
    """Without normalisation, so that a batch in parts is the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.head = nn.Linear(8 * 36, 4)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.conv(x).relu().flatten(1))
        return logits


def plain() -> nn.Module:
    with seeded(0):
        return Plain()


def weights(network: nn.Module) -> Tensor:
    return torch.cat([value.flatten().double() for value in network.state_dict().values()])


def trained(recipe: Recipe, network: nn.Module | None = None) -> Tensor:
    network = network or plain()
    train(network, DATA, recipe=recipe, seed=0)
    return weights(network)


def test_a_batch_in_parts_is_the_batch() -> None:
    whole = trained(RECIPE)
    for parts in (2, 3, 32):
        assert torch.allclose(trained(replace(RECIPE, accumulation=parts)), whole, atol=1e-5)


def test_more_parts_than_images_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="cannot be divided into 20 parts"):
        Training(
            plain(), DATA, recipe=replace(RECIPE, batch_size=10, accumulation=10), seed=0, processes=Processes(0, 2)
        )


def test_the_average_is_of_all_weights_seen() -> None:
    """With decay min(0.5, (1 + n) / (10 + n)) over three steps, written out."""
    recipe = replace(RECIPE, epochs=1, average=0.5)
    seen: list[Tensor] = [weights(plain())]

    class Spy(Plain):
        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                seen.append(weights(self))
            return super().forward(x)

    with seeded(0):
        spy = Spy()
    averaged = trained(recipe, spy)
    after = [*seen[2:], trained(replace(recipe, average=0.0))]  # before step 2, before step 3, at the end
    expected = seen[0]
    for n, now in enumerate(after):
        decay = min(0.5, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * now
    assert torch.allclose(averaged, expected, atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"average": 0.9},
        {"optimizer": "rmsprop", "epsilon": 0.1, "learning_rate": 0.001},
        {"optimizer": "adamw", "learning_rate": 0.001, "decayed": "all"},
        {"optimizer": "muon", "learning_rate": 0.001},
        {"schedule": "plateau", "decay_patience": 0, "warmup": 0.0},
        {"colour_noise": 0.1, "policy": "autoaugment", "cutout": 2},
        {"policy": "trivialaugment", "accumulation": 2, "average": 0.5, "patience": 9},
    ],
)
def test_training_in_stretches_is_training_straight_through(changes: dict[str, object]) -> None:
    recipe = replace(RECIPE, epochs=3).with_changes(changes)
    left: list[TrainingState] = []
    for stop in (1, 3):
        start = left[-1] if left else None
        network = plain()
        train(network, DATA, recipe=recipe, seed=0, stretch=Stretch(start, stop, lambda s: left.append(deepcopy(s))))
    assert torch.equal(weights(network), trained(recipe))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains(name: str) -> None:
    recipe = replace(get_recipe(name), epochs=1, batch_size=32)
    assert not torch.equal(trained(recipe), weights(plain()))


def test_plateau_lowers_the_rate_when_the_validation_loss_stays() -> None:
    """With labels that say nothing no loss falls for long, and a rate that fell changes the weights less."""
    recipe = replace(RECIPE, epochs=4, schedule="plateau", decay_patience=0, warmup=0.0, decay_factor=1e-9)
    noise = replace(DATA, validation=Split(DATA.validation.images, DATA.validation.labels.roll(1)))
    seen: list[Tensor] = []
    network = plain()
    train(network, noise, recipe=recipe, seed=0, on_epoch=lambda epoch: seen.append(weights(network)))
    moves = [float((b - a).norm()) for a, b in pairwise(seen)]
    assert moves[-1] < 1e-3 * moves[0] or moves[-1] < 1e-6


def test_patience_stops_and_goes_back_to_the_best_epoch() -> None:
    recipe = replace(RECIPE, epochs=30, patience=2, learning_rate=0.05)
    seen: list[Epoch] = []
    network = plain()
    train(network, DATA, recipe=recipe, seed=0, on_epoch=seen.append)
    accuracies = [epoch.val_accuracy for epoch in seen]
    best = accuracies.index(max(a for a in accuracies if a is not None))
    assert len(seen) == best + 3 < 30
    assert measure_accuracy(network, DATA, DATA.validation).share == accuracies[best]


def test_patience_without_validation_images_is_no_end() -> None:
    empty = DATA.validation.select(torch.empty(0, dtype=torch.int64))
    seen: list[Epoch] = []
    recipe = replace(RECIPE, epochs=4, patience=1, schedule="plateau")
    train(plain(), replace(DATA, validation=empty), recipe=recipe, seed=0, on_epoch=seen.append)
    assert len(seen) == 4


def test_mirrored_measuring_is_the_mean_over_both_views() -> None:
    network = plain()
    network.eval()
    images = DATA.normalise(DATA.validation.images)
    with torch.inference_mode():
        logits = (network(images) + network(images.flip(3))) / 2
    measured = measure_accuracy(network, DATA, DATA.validation, mirrored=True)
    assert measured.correct == int((logits.argmax(1) == DATA.validation.labels).sum())
    assert measured.loss == pytest.approx(float(nn.functional.cross_entropy(logits, DATA.validation.labels)))


def test_a_policy_is_drawn_for_every_image_and_leaves_the_global_generator() -> None:
    same = Split(DATA.train.images[:1].repeat(16, 1, 1, 1), torch.zeros(16, dtype=torch.int64))
    prepare = make_preparation(DATA, replace(RECIPE, policy="autoaugment"))
    before = torch.get_rng_state()
    first, again, other = (prepare(same.images, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len({image.numpy().tobytes() for image in first}) > 4
    assert torch.equal(before, torch.get_rng_state())


def test_a_policy_needs_grey_or_colour() -> None:
    two = replace(DATA, train=quarters(8, 0, 2), validation=quarters(8, 1, 2), test_split=None)
    with pytest.raises(InvalidInputError, match="got 2 channels"):
        make_preparation(two, replace(RECIPE, policy="autoaugment"))


def test_colour_noise_shifts_whole_images() -> None:
    prepare = make_preparation(DATA, replace(RECIPE, augment=False, colour_noise=0.5))
    difference = prepare(DATA.train.images, torch.Generator().manual_seed(0)) - DATA.normalise(DATA.train.images)
    assert difference.abs().max() > 0.01
    assert difference.std((2, 3)).median() < 0.02


@pytest.mark.parametrize(("name", "attribute"), [("efficientnet-b0", "drop_path"), ("convnext-tiny", "p")])
def test_stochastic_depth_keeps_a_networks_proportions(name: str, attribute: str) -> None:
    network = nas.build(name, classes=4, input_shape=(3, 32, 32))

    def rates() -> list[float]:
        blocks = (m for m in network.modules() if isinstance(m, StochasticDepth | MBConvBlock))
        return [float(getattr(block, attribute)) for block in blocks]

    before = rates()
    set_stochastic_depth(network, 0.5)
    assert max(rates()) == pytest.approx(0.5)
    assert rates() == pytest.approx([p * 0.5 / max(before) for p in before])


def test_stochastic_depth_reaches_networks_that_draw_for_a_whole_batch() -> None:
    network = nas.build("stochastic-depth-110", classes=4, input_shape=(3, 32, 32))
    set_stochastic_depth(network, 0.2)
    survivals = [float(module.survival) for module in network.modules() if hasattr(module, "survival")]
    assert min(survivals) == pytest.approx(0.8)
    assert survivals == sorted(survivals, reverse=True)


def test_auxiliary_heads_of_baselines_are_trained_with_their_weight() -> None:
    """GoogLeNet's two (Szegedy 2015, section 5)."""
    data = replace(DATA, train=quarters(16, 0), validation=quarters(8, 1), test_split=None)
    for weight, moves in ((0.0, False), (0.3, True)):
        with seeded(0):
            blueprint = nas.get_blueprint("googlenet", classes=4, input_shape=(3, 8, 8), width=0.1)
            network = nas.build(replace(blueprint, auxiliary=True))
        drawn = network.auxiliary[0][-1].weight.detach().clone()  # type: ignore[union-attr, index]
        recipe = replace(RECIPE, epochs=1, batch_size=8, auxiliary_weight=weight, weight_decay=0.0)
        train(network, data, recipe=recipe, seed=0)
        assert torch.equal(drawn, network.auxiliary[0][-1].weight) != moves  # type: ignore[union-attr, index]


def test_frozen_modules_stay_in_evaluation_mode() -> None:
    with seeded(0):
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4))
    before = deepcopy(network.state_dict())
    rates = {name: 0.0 for name, _ in network.named_parameters() if not name.startswith("4.")}
    Training(network, DATA, recipe=RECIPE, seed=0, rates=rates).run_epoch()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"4.weight", "4.bias"}
