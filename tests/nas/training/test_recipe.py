"""Recipes: published values, schedules at their corners, refused values, and what is written of them."""

from __future__ import annotations

import math
import re
from dataclasses import fields
from typing import Any

import pytest

from nas.errors import InvalidInputError, UnknownNameError
from nas.training.recipe import RECIPES, SOURCES, Recipe, get_recipe


def rate(recipe: Recipe, epoch: float) -> float:
    return recipe.rate_at(epoch / recipe.epochs)


def test_the_named_recipes_are_there() -> None:
    assert {
        *("proxy", "quick", "nasnet-cifar", "nasnet-imagenet", "efficientnet-imagenet"),
        *("alexnet", "vgg", "resnet", "resnet-cifar", "fast"),
    } <= RECIPES.keys()


def test_every_recipe_says_where_its_values_are_from() -> None:
    assert RECIPES.keys() == SOURCES.keys()
    assert all(re.search(r"\d{4}|ours", source) for source in SOURCES.values())


def test_what_was_written_of_the_first_recipes_is_written_as_ever() -> None:
    """Later fields are left out, so that checkpoints and journals compare equal."""
    assert get_recipe("quick").to_json() == {
        "name": "quick",
        "epochs": 40,
        "batch_size": 64,
        "learning_rate": 0.1,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "warmup": 0.1,
        "label_smoothing": 0.1,
        "gradient_clip": 5.0,
        "drop_path": 0.1,
        "auxiliary_weight": 0.0,
        "augment": True,
        "cutout": 0,
    }


def test_exponential_falls_in_steps_after_the_warm_up() -> None:
    """Tan 2019: 0.97 every 2.4 epochs, 5 epochs of warm-up."""
    recipe = get_recipe("efficientnet-imagenet")
    assert rate(recipe, 2.5) == pytest.approx(0.008)
    assert rate(recipe, 5) == pytest.approx(0.016 * 0.97**2)
    assert rate(recipe, 240) == pytest.approx(0.016 * 0.97**100)
    assert rate(recipe, 242.3) == rate(recipe, 240)


def test_step_falls_at_the_milestones() -> None:
    """He 2016, section 4.2: a tenth at 32k of 64k steps, a hundredth at 48k."""
    recipe = get_recipe("resnet-cifar")
    assert [round(recipe.rate_at(step / 64_000), 9) for step in (0, 31_999, 32_000, 48_000, 64_000)] == [
        *(0.1, 0.1, 0.01, 0.001, 0.001)
    ]
    assert [round(rate(get_recipe("resnet"), epoch), 9) for epoch in (29.9, 30, 60)] == [0.1, 0.01, 0.001]


def test_triangular_ends_at_its_share() -> None:
    recipe = get_recipe("fast")
    assert recipe.rate_at(0.0) == 0
    assert recipe.rate_at(0.23) == pytest.approx(1.5)
    assert recipe.rate_at((1 + 0.23) / 2) == pytest.approx(1.5 * (1 + 0.07) / 2)
    assert recipe.rate_at(1.0) == pytest.approx(1.5 * 0.07)


def test_cosine_ends_at_its_share() -> None:
    recipe = Recipe("r", epochs=1, warmup=0.0, final_rate=0.5, learning_rate=2.0)
    assert [recipe.rate_at(progress) for progress in (0.0, 0.5, 1.0)] == pytest.approx([2.0, 1.5, 1.0])


def test_plateau_goes_by_the_losses() -> None:
    recipe = Recipe("r", epochs=9, warmup=0.0, schedule="plateau", decay_patience=1, learning_rate=1.0)
    losses = [1.0, 0.9, 0.9, 0.9]
    assert [recipe.rate_at(0.5, losses=losses[:seen]) for seen in range(5)] == pytest.approx([1, 1, 1, 1, 0.1])


@pytest.mark.parametrize("given", ["0.75,0.5", [0.75, 0.5], (0.5, 0.75)])
def test_milestones_are_read_in_any_form(given: Any) -> None:
    changed = get_recipe("resnet").with_changes({"milestones": given})
    assert changed.milestones == (0.5, 0.75)
    assert Recipe.from_json(changed.to_json()) == changed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("optimizer", "adagrad"),
        ("schedule", "constant"),
        ("decayed", "some"),
        ("policy", "auto"),
        ("milestones", "half"),
        ("milestones", [1.5]),
        ("decay_factor", 1.0),
        ("decay_epochs", 0.0),
        ("final_rate", -0.1),
        ("average", 1.0),
        ("stochastic_depth", 1.0),
        ("epsilon", 0.0),
        ("squared_momentum", math.nan),
        ("colour_noise", -1.0),
        ("accumulation", 65),
        ("accumulation", 0),
        ("patience", -1),
        ("precision", "float16"),
        ("nesterov", 1),
        ("flip_test", "yes"),
        ("test_crops", 5),
        ("test_crops", True),
        ("test_crops", "10"),
        ("label_smoothing", "much"),
        ("learning_rate", True),
    ],
)
def test_impossible_values_are_refused_by_field(field: str, value: Any) -> None:
    with pytest.raises(InvalidInputError, match=field):
        Recipe("r", epochs=1).with_changes({field: value})


def test_unknown_choices_list_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="rmsprop"):
        Recipe("r", epochs=1).with_changes({"optimizer": "rmspropp"})


def test_every_field_is_described() -> None:
    assert Recipe.__doc__ is not None
    assert [f.name for f in fields(Recipe) if f"{f.name}:" not in Recipe.__doc__] == []


def test_ten_crops_hold_mirror_images_and_the_default_is_written_as_ever() -> None:
    recipe = Recipe("r", epochs=1).with_changes({"test_crops": 10})
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert "test_crops" not in Recipe("r", epochs=1).to_json()
    with pytest.raises(InvalidInputError, match="mirror images already"):
        recipe.with_changes({"flip_test": True})
