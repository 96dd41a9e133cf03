"""Copies of layers are layers of their own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from search_spaces.layer_templates import copy_layer

LAYERS = [nn.Conv2d(3, 4, 3, bias=True), nn.BatchNorm2d(4, eps=1e-3, momentum=0.2), nn.ReLU(), nn.AvgPool2d(3, 1, 1)]


@pytest.mark.parametrize("template", LAYERS, ids=lambda layer: type(layer).__name__)
def test_a_copy_looks_like_the_template(template: nn.Module) -> None:
    copied = copy_layer(template)
    assert repr(copied) == repr(template)
    assert {name: value.shape for name, value in copied.state_dict().items()} == {
        name: value.shape for name, value in template.state_dict().items()
    }


def test_a_copy_shares_nothing() -> None:
    template = nn.BatchNorm2d(2)
    one, other = copy_layer(template), copy_layer(template)
    one.register_forward_hook(lambda *_: None)
    one.train()(torch.randn(4, 2, 3, 3))
    one.weight.data.fill_(5.0)
    for untouched in (template, other):
        assert not untouched._forward_hooks
        assert untouched.running_mean.tolist() == [0.0, 0.0]  # type: ignore[union-attr]
        assert untouched.weight.tolist() == [1.0, 1.0]
        assert int(untouched.num_batches_tracked) == 0  # type: ignore[arg-type]


def test_normalisation_comes_as_the_identity() -> None:
    copied = copy_layer(nn.BatchNorm2d(3))
    assert (copied.weight.tolist(), copied.bias.tolist()) == ([1.0] * 3, [0.0] * 3)
    assert copied.running_var.tolist() == [1.0] * 3


def test_a_copy_is_made_on_the_default_device() -> None:
    template, normalisation = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
    with torch.device("meta"):
        copies = [copy_layer(template), copy_layer(normalisation)]
    assert all(tensor.is_meta for copied in copies for tensor in copied.state_dict().values())


def test_a_network_does_not_depend_on_which_ones_were_built_before() -> None:
    """The first network of a kind makes the templates, which draw weights of their own."""
    from search_spaces.layers import Conv, Norm, Normalization, _template, layers_module

    _template.cache_clear()
    drawn = []
    for _ in range(2):
        torch.manual_seed(0)
        module = layers_module((Conv(3, 4, (3, 3)), Norm(4)), Normalization())
        drawn.append((next(module.parameters()).clone(), torch.rand(3)))
    assert torch.equal(drawn[0][0], drawn[1][0])
    assert torch.equal(drawn[0][1], drawn[1][1])
