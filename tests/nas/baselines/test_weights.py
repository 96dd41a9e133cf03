"""Torchvision's weights in our networks: equal outputs, and a message for weights of another network."""

from __future__ import annotations

from urllib.error import URLError

import pytest
import torch
import torchvision

import nas
from nas.baselines.weights import fetch_torchvision_weights, load_torchvision_weights, torchvision_name
from nas.errors import InvalidInputError, NASError
from nas.training.seeding import seeded


@pytest.mark.parametrize("name", ["resnet-18", "mobilenet-v2", "googlenet-torchvision"])
@torch.inference_mode()
def test_outputs_are_those_of_torchvision(name: str) -> None:
    with seeded(0):
        extra = {"init_weights": False} if "googlenet" in name else {}
        theirs = getattr(torchvision.models, torchvision_name(name))(num_classes=7, **extra)
        for tensor in theirs.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor) * 0.05)
        ours = nas.build(name, classes=7, input_shape=(3, 224, 224))
        images = torch.randn(2, 3, 224, 224)
    load_torchvision_weights(ours, theirs.state_dict())
    assert torch.allclose(ours.eval()(images), theirs.eval()(images), rtol=1e-4, atol=1e-4)


def test_weights_without_counts_of_batches_fit() -> None:
    """Torchvision's first files are older than that count."""
    with seeded(0):
        theirs = torchvision.models.resnet18(num_classes=7)
        ours = nas.build("resnet-18", classes=7, input_shape=(3, 224, 224))
    state = {name: tensor for name, tensor in theirs.state_dict().items() if not name.endswith("num_batches_tracked")}
    load_torchvision_weights(ours, state)
    assert torch.equal(next(iter(ours.state_dict().values())), theirs.conv1.weight)


def test_weights_of_another_network_are_refused_by_tensor() -> None:
    with seeded(0):
        ours = nas.build("resnet-18", classes=7, input_shape=(3, 224, 224))
        other = torchvision.models.resnet34(num_classes=7)
        more_classes = torchvision.models.resnet18(num_classes=9)
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    with pytest.raises(InvalidInputError, match=r"122 tensors here and 218 there"):
        load_torchvision_weights(ours, other.state_dict())
    with pytest.raises(InvalidInputError, match=r"\(7, 512\) and fc.weight \(9, 512\)"):
        load_torchvision_weights(ours, more_classes.state_dict())
    assert all(torch.equal(tensor, before[name]) for name, tensor in ours.state_dict().items())


def test_a_network_that_torchvision_lacks_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no weights that fit lenet-5"):
        torchvision_name("lenet-5")


def test_a_failed_download_says_where_to_put_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(NASError, match=r"no route to host.*Put https://.*resnet18.*\.pth into"):
        fetch_torchvision_weights("resnet18")
