"""Transfer learning: what is taken over, what is new, what stays."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import nas
from nas.errors import InvalidInputError, UnknownNameError
from nas.training.seeding import seeded
from nas.training.transfer import Transfer, find_classifier, take_over


def resnet(classes: int, seed: int = 0) -> nn.Module:
    with seeded(seed):
        return nas.build("cifar-resnet-20", classes=classes, input_shape=(3, 32, 32))


def test_all_but_the_classifier_is_taken_over() -> None:
    old, new, drawn = resnet(10), resnet(4, seed=1), resnet(4, seed=1)
    take_over(new, old.state_dict(), keep_classifier=True)
    classifier = find_classifier(new)
    for name, tensor in new.state_dict().items():
        source = drawn if name.startswith(f"{classifier}.") else old
        assert torch.equal(tensor, source.state_dict()[name])


@pytest.mark.parametrize("keep", [True, False])
def test_the_classifier_is_kept_for_the_same_classes_where_asked(keep: bool) -> None:
    old, new = resnet(10), resnet(10, seed=1)
    take_over(new, old.state_dict(), keep_classifier=keep)
    name = f"{find_classifier(new)}.weight"
    assert torch.equal(new.state_dict()[name], old.state_dict()[name]) == keep


def test_wrong_weights_are_named_and_nothing_is_changed() -> None:
    new = resnet(4)
    before = {name: tensor.clone() for name, tensor in new.state_dict().items()}
    state = resnet(10).state_dict()
    first = next(iter(state))
    state[first] = torch.zeros(1, 2, 3, 3)
    del state[list(state)[1]]
    state["extra"] = torch.zeros(1)
    with pytest.raises(InvalidInputError, match=r"is missing; extra is not part of this network; .* should be"):
        take_over(new, state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in new.state_dict().items())


def test_features_train_the_classifier_only() -> None:
    network = resnet(4)
    rates = Transfer("features").rates(network)
    new = {name for name, _ in network.named_parameters()} - rates.keys()
    assert new == {f"{find_classifier(network)}.{part}" for part in ("weight", "bias")}
    assert set(rates.values()) == {0.0}


def test_old_layers_are_trained_slower_and_the_first_not_at_all() -> None:
    network = nn.Sequential()
    for name in ("stem", "body", "head"):
        network.add_module(name, nn.Linear(2, 2))
    rates = Transfer("finetune", old_rate=0.2, freeze_until="stem").rates(network)
    assert rates == {"stem.weight": 0.0, "stem.bias": 0.0, "body.weight": 0.2, "body.bias": 0.2}


def test_unknown_layers_list_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="stage"):
        Transfer(freeze_until="stage").rates(resnet(4))


@pytest.mark.parametrize("changes", [{"mode": "freeze"}, {"old_rate": 0.0}, {"old_rate": 1.5}])
def test_impossible_transfers_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        Transfer(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["alexnet", "vgg-a", "googlenet", "mobilenet-v2", "squeezenet", "vit-b-16", "densenet-121", "airbench94"]
)
def test_the_classifier_is_the_layer_that_gives_the_logits(name: str) -> None:
    with torch.device("meta"):
        size = 32 if name == "airbench94" else 224
        network = nas.build(name, classes=7, input_shape=(3, size, size))
    layer = network.get_submodule(find_classifier(network))
    assert 7 in (getattr(layer, "out_features", 0), getattr(layer, "out_channels", 0))
