"""Every part on networks of every kind: built, counted, run forward and backward, in training and in evaluation."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.ops import SqueezeExcitation

import nas
import nas.testing
from nas.data import load_data
from nas.errors import InvalidInputError
from nas.evaluators.training_evaluator import build_seeded
from nas.parts import (
    ACTIVATIONS,
    ATTENTIONS,
    HEADS,
    INITIALIZATIONS,
    NORMALIZATIONS,
    POOLINGS,
    WEIGHT_NORMALIZATIONS,
    Parts,
)
from nas.training.recipe import get_recipe

NETWORKS: dict[str, dict[str, Any]] = {
    "nasnet-a": {"input_shape": (3, 16, 16), "stem": "tiny", "depth": 1, "width": 8},
    "resnet-18": {"input_shape": (3, 64, 64), "width": 0.125},
    "mobilenet-v2": {"input_shape": (3, 64, 64), "width": 0.25},
    "vgg-11": {"input_shape": (3, 64, 64), "width": 0.125},
    "lenet-5-modern": {"input_shape": (1, 28, 28)},
}
EVERY = [
    *({"activation": name} for name in ACTIVATIONS),
    *({"normalization": name} for name in NORMALIZATIONS),
    *({"weight_normalization": name} for name in WEIGHT_NORMALIZATIONS),
    *({"initialization": name} for name in INITIALIZATIONS),
    *({"attention": name} for name in ATTENTIONS),
    *({"pooling": name} for name in POOLINGS),
    *({"head": name} for name in HEADS),
    {"dropout": 0.3},
    {"dropblock": 0.2, "dropblock_size": 3},
    {"dropconnect": 0.3},
    {"stochastic_depth": 0.3},
]
AVERAGES = ("nasnet-a", "resnet-18", "mobilenet-v2")  # their heads do already
# what a network has nothing for
REFUSED = {
    *(("head", name) for name in AVERAGES),
    *(("pooling", name) for name in ("mobilenet-v2",)),
    *(("stochastic_depth", name) for name in ("vgg-11", "lenet-5-modern")),
}
# without any normalisation there is none to take away
NOTHING_TO_DO = {("none", "vgg-11"), ("none", "lenet-5-modern")}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("given", EVERY, ids=str)
def test_every_part_goes_into_every_kind_of_network(name: str, given: dict[str, Any]) -> None:
    torch.manual_seed(0)
    settings = {"classes": 5, **NETWORKS[name]}
    parts, (part, value) = Parts(**given), next(iter(given.items()))
    if (part, name) in REFUSED or (value, name) in NOTHING_TO_DO:
        with pytest.raises(InvalidInputError, match="has no"):
            nas.build(name, **settings, parts=parts)
        return
    images = torch.randn(4, *settings["input_shape"])
    network = nas.build(name, **settings, parts=parts, sample=images)
    before = {key: tensor.clone() for key, tensor in network.named_parameters()}
    functional.cross_entropy(network.train()(images), torch.tensor([0, 1, 2, 3])).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter -= 1e-3 * parameter.grad  # type: ignore[operator]
        logits = network.eval()(images)
        assert torch.equal(network(images), logits)  # nothing is drawn in evaluation
    assert logits.shape == (4, 5)
    assert logits.isfinite().all()
    assert any(not torch.equal(before[key], tensor) for key, tensor in network.named_parameters())
    counted = nas.complexity(nas.get_blueprint(name, **settings, parts=parts))
    assert counted.params == sum(p.numel() for p in network.parameters())
    if parts.keeps_counts:
        assert counted == nas.complexity(nas.get_blueprint(name, **settings))


def test_an_initialization_that_looks_at_images_is_not_left_out_in_silence() -> None:
    """Counting needs no images, a network does."""
    settings: dict[str, Any] = {"classes": 5, "input_shape": (1, 28, 28), "parts": Parts(initialization="lsuv")}
    with pytest.raises(InvalidInputError, match=r"give nas\.build a sample"):
        nas.build("lenet-5-modern", **settings)
    counted = nas.profile(nas.get_blueprint("lenet-5-modern", **settings), (1, 28, 28)).params
    assert counted == 156 + 2_416 + (16 * 4 * 4 + 1) * 120 + 10_164 + 85 * 5


def test_attention_s_products_are_counted() -> None:
    """SE on C channels: 2 C (C / 16) MACs, in the two blocks of each of four stages."""
    settings = {"classes": 5, "input_shape": (3, 64, 64), "width": 0.5}
    plain = nas.complexity(nas.get_blueprint("resnet-18", **settings))
    attended = nas.complexity(nas.get_blueprint("resnet-18", **settings, parts=Parts(attention="se")))
    assert attended.macs - plain.macs == sum(2 * 2 * c * (c // 16) for c in (32, 64, 128, 256))


def test_what_adds_weights_or_takes_them_does_not_keep_counts() -> None:
    kept = [given for given in EVERY if Parts(**given).keeps_counts]
    assert {name for given in kept for name in given} >= {"dropout", "dropconnect", "stochastic_depth", "pooling"}
    assert not any({"attention", "head", "activation", "normalization"} & given.keys() for given in kept)


def test_every_option_is_walked() -> None:
    walked = {name for given in EVERY for name in given}
    assert walked == {field.name for field in fields(Parts)}


def test_all_at_once() -> None:
    parts = Parts(
        *("maxout", "local_response", "weight", "orthogonal"),
        dropout=0.1,
        dropblock=0.1,
        dropblock_size=3,
        attention="cbam",
        stochastic_depth=0.2,
        dropconnect=0.2,
        pooling="stochastic",
    )
    network = nas.build("resnet-18", classes=5, input_shape=(3, 64, 64), width=0.125, parts=parts)
    functional.cross_entropy(network(torch.randn(4, 3, 64, 64)), torch.tensor([0, 1, 2, 3])).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("resnet-18", ("attention=cbam", "stochastic_depth=0.2", "activation=maxout", "dropout=0.1")),
        ("lenet-5-modern", ("head=global_average", "pooling=stochastic", "attention=se", "normalization=batch")),
    ],
)
def test_networks_with_parts_are_trained_stored_and_read(
    name: str, parts: tuple[str, ...], tmp_path: Any, cli: Any
) -> None:
    options = ("--data", "digits", "--train-limit", 100, "--epochs", 1, "--recipe-set", "test_crops=10")
    size = ("--width", 0.125) if name == "resnet-18" else ()
    flags = [text for part in parts for text in ("--part", part)]
    answer = cli("train", name, *size, *options, *flags, "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    stored = nas.testing.find_stored(tmp_path / "run")
    network = stored.network()
    assert stored.metrics["params"] == sum(p.numel() for p in network.parameters())
    assert stored.metrics["test_views"] == 10
    found = nas.testing.test(stored, data="digits", crops=10).networks[0].measured
    assert found.correct == stored.metrics["test_correct"]


def test_a_search_s_networks_see_images_before_they_are_trained() -> None:
    """LSUV in a trial: the first layer's output has variance 1 for the first batch of training images."""
    data = load_data("digits").for_search()
    blueprint = nas.get_blueprint(
        "darts-v2", input_shape=(1, 8, 8), depth=1, width=8, parts=Parts(initialization="lsuv")
    )
    space, recipe = nas.as_space("darts"), get_recipe("proxy")
    network = build_seeded(space, blueprint, data=data, recipe=recipe, seed=0)
    given: list[float] = []
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    first.register_forward_hook(lambda layer, images, output: given.append(float(output.detach().var())))
    network.eval()(data.normalise(data.train.images[: recipe.batch_size]))
    assert given == [pytest.approx(1, abs=0.1)]


def test_a_search_counts_the_network_that_it_trains(tmp_path: Any) -> None:
    parts = {"attention": "se", "stochastic_depth": 0.1}
    settings: dict[str, Any] = {"space": "nasbench201", "depth": 1, "width": 4, "train_limit": 64}
    settings |= {"recipe_changes": {"epochs": 1}, "final_recipe": "proxy", "parts": parts}
    run = nas.search(data="digits", trials=1, **settings, out=tmp_path / "run")
    network, (record,) = run.best.network(), run.records
    assert sum(isinstance(module, SqueezeExcitation) for module in network.modules()) > 0
    assert record.measurement.metrics["params"] == sum(p.numel() for p in network.parameters())
    assert run.best.metrics["params"] == record.measurement.metrics["params"]
