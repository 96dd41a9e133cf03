"""Training: learns, repeats itself bit for bit, leaves global state alone, and notices when it diverges."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from nas.data import Augmentation, ImageData, Split
from nas.errors import DivergedError, InvalidInputError, UnknownNameError
from nas.training.checkpoint import TrainingState
from nas.training.recipe import RECIPES, Recipe, get_recipe
from nas.training.seeding import seeded
from nas.training.training_loop import Epoch, Stretch, measure_accuracy, train
from search_spaces.architecture import Blueprint
from search_spaces.nasnet import cell_space


def stripes(count: int, seed: int) -> Split:
    """Images of four classes: one bright quarter each, in noise."""
    rng = np.random.default_rng(seed)
    labels = torch.from_numpy(rng.integers(0, 4, count))
    images = rng.integers(0, 120, (count, 1, 8, 8))
    for i, label in enumerate(labels.tolist()):
        images[i, :, 4 * (label // 2) : 4 * (label // 2) + 4, 4 * (label % 2) : 4 * (label % 2) + 4] += 100
    return Split(torch.from_numpy(images.astype(np.uint8)), labels)


DATA = ImageData(
    name="stripes",
    train=stripes(256, 0),
    validation=stripes(100, 1),
    test_split=stripes(100, 2),
    class_names=("a", "b", "c", "d"),
    augmentation=Augmentation(),
)
RECIPE = Recipe("test", epochs=3, batch_size=32, learning_rate=0.05)


def cell_network(seed: int = 0, *, auxiliary: bool = False) -> nn.Module:
    space = cell_space("nasnet:blocks=2")
    architecture = space.sample(np.random.default_rng(seed))
    with seeded(seed):
        return space.build(
            Blueprint(architecture, 8, channels=1, classes=4, stem="tiny", depth=1, width=4, auxiliary=auxiliary)
        )


def weights(network: nn.Module) -> torch.Tensor:
    return torch.cat([value.flatten().double() for value in network.state_dict().values()])


def trained(recipe: Recipe = RECIPE, seed: int = 0, *, auxiliary: bool = False) -> nn.Module:
    network = cell_network(auxiliary=auxiliary)
    train(network, DATA, recipe=recipe, seed=seed)
    return network


def test_a_network_learns() -> None:
    network = cell_network()
    before = measure_accuracy(network, DATA, DATA.validation)
    train(network, DATA, recipe=replace(RECIPE, epochs=8), seed=0)
    after = measure_accuracy(network, DATA, DATA.validation)
    assert after.share > 0.9 > before.share
    assert after.loss < before.loss
    assert after.images == 100
    assert after.share == after.correct / 100


def test_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    recipe = replace(RECIPE, epochs=1, drop_path=0.3)
    assert torch.equal(weights(trained(recipe)), weights(trained(recipe)))
    assert not torch.equal(weights(trained(recipe)), weights(trained(recipe, seed=1)))


def test_global_random_state_is_left_alone() -> None:
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is the point
    trained(replace(RECIPE, epochs=1, drop_path=0.3))
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])  # noqa: NPY002


def test_only_the_training_split_is_read() -> None:
    poisoned = replace(DATA, validation=stripes(100, 5), test_split=None)
    network = cell_network()
    train(network, poisoned, recipe=replace(RECIPE, epochs=1), seed=0)
    assert torch.equal(weights(network), weights(trained(replace(RECIPE, epochs=1))))


def test_training_matches_a_loop_written_out() -> None:
    """One epoch of plain SGD on a linear network, without any extras, equals the textbook update."""
    recipe = Recipe("plain", epochs=1, batch_size=256, learning_rate=0.5, momentum=0.0, weight_decay=0.01, warmup=0.0)
    recipe = replace(recipe, gradient_clip=0.0, augment=False)

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(64, 4)
            nn.init.zeros_(self.linear.weight)
            nn.init.ones_(self.linear.bias)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x.flatten(1))

    network = Linear()
    train(network, DATA, recipe=recipe, seed=0)
    x = DATA.normalise(DATA.train.images).flatten(1).double()
    onehot = nn.functional.one_hot(DATA.train.labels, 4).double()
    error = (torch.full((256, 4), 0.25, dtype=torch.float64) - onehot) / 256
    assert torch.allclose(network.linear.weight.double(), -0.5 * error.T @ x, atol=1e-5)
    assert torch.allclose(network.linear.bias.double(), 1 - 0.5 * error.sum(0), atol=1e-5)


def test_auxiliary_head_is_trained_with_its_weight() -> None:
    """With weight 0 the head's loss adds nothing, so its classifier stays as drawn."""
    drawn = cell_network(auxiliary=True).state_dict()["auxiliary.classifier.weight"]
    for weight, moves in ((0.0, False), (0.4, True)):
        recipe = replace(RECIPE, epochs=1, auxiliary_weight=weight, weight_decay=0.0)
        after = trained(recipe, auxiliary=True).state_dict()["auxiliary.classifier.weight"]
        assert torch.equal(drawn, after) != moves


def test_divergence_is_an_error_that_says_when() -> None:
    with pytest.raises(DivergedError, match=r"loss became (nan|inf) in epoch \d of 3"):
        trained(replace(RECIPE, learning_rate=1e30, gradient_clip=0.0))


def test_epochs_are_reported_in_order() -> None:
    seen: list[Epoch] = []
    network = cell_network()
    last = train(network, DATA, recipe=RECIPE, seed=0, on_epoch=seen.append)
    assert [epoch.index for epoch in seen] == [0, 1, 2]
    assert seen[-1] == last
    assert seen[0].train_loss > seen[-1].train_loss
    assert not network.training


def in_stretches(recipe: Recipe, stops: list[int], *, auxiliary: bool = False) -> nn.Module:
    """Train in several calls, each on a network drawn anew, from a copy of what the call before left."""
    left: list[TrainingState] = []
    network = cell_network(auxiliary=auxiliary)
    for stop in stops:
        start = left[-1] if left else None
        train(network, DATA, recipe=recipe, seed=0, stretch=Stretch(start, stop, lambda s: left.append(deepcopy(s))))
        if stop < stops[-1]:
            network = cell_network(auxiliary=auxiliary)
    return network


@pytest.mark.parametrize("stops", [[1, 3], [1, 2, 3]])
def test_training_in_stretches_is_training_straight_through(stops: list[int]) -> None:
    """Bit for bit, with all that draws or carries over: dropout, drop path, augmentation, momentum, auxiliary head."""
    recipe = replace(RECIPE, epochs=3, drop_path=0.3, auxiliary_weight=0.4, cutout=2, label_smoothing=0.1)
    straight = trained(recipe, auxiliary=True)
    assert torch.equal(weights(in_stretches(recipe, stops, auxiliary=True)), weights(straight))


def test_a_stretch_stops_early_on_the_whole_schedule() -> None:
    """The first of two epochs is not a recipe of one epoch, whose learning rate falls to zero."""
    recipe = replace(RECIPE, epochs=2)
    assert not torch.equal(weights(in_stretches(recipe, [1])), weights(trained(replace(recipe, epochs=1))))


@pytest.mark.parametrize(("begun", "stop"), [(0, 4), (2, 2), (2, 1)])
def test_a_stretch_outside_the_recipe_is_refused(begun: int, stop: int) -> None:
    start = TrainingState(begun, 0.1, {}, {}) if begun else None
    with pytest.raises(InvalidInputError, match=f"from {begun} to {stop} is no part of it"):
        train(cell_network(), DATA, recipe=RECIPE, seed=0, stretch=Stretch(start, stop))


def test_another_networks_state_is_refused() -> None:
    start = TrainingState(1, 0.1, nn.Linear(2, 2).state_dict(), {})
    with pytest.raises(InvalidInputError, match="goes on with the network that it began with"):
        train(cell_network(), DATA, recipe=RECIPE, seed=0, stretch=Stretch(start))


def test_rate_rises_then_follows_the_cosine() -> None:
    recipe = Recipe("r", epochs=1, learning_rate=2.0, warmup=0.2)
    assert recipe.rate_at(0.0) == 0.0
    assert recipe.rate_at(0.1) == pytest.approx(1.0)
    assert recipe.rate_at(0.2) == pytest.approx(2.0)
    assert recipe.rate_at(0.6) == pytest.approx(1.0)
    assert recipe.rate_at(1.0) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch_size", 1.5),
        ("learning_rate", math.nan),
        ("momentum", 1.0),
        ("drop_path", -0.1),
        ("cutout", -1),
    ],
)
def test_impossible_recipes_are_refused_by_field(field: str, value: object) -> None:
    with pytest.raises(InvalidInputError, match=field):
        RECIPE.with_changes({field: value})


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'quick'"):
        get_recipe("quik")
    with pytest.raises(UnknownNameError, match="Did you mean 'learning_rate'"):
        RECIPE.with_changes({"learning_rat": 1})


def test_recipes_survive_json() -> None:
    for recipe in RECIPES.values():
        assert Recipe.from_json(recipe.to_json()) == recipe
