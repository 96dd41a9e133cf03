"""Published networks are reproduced to the last parameter and multiply-accumulate."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from search_spaces.cell_network import CellNetwork, drop_path
from search_spaces.genotypes import NETWORKS, published_blueprint
from search_spaces.nasnet import CellSpace
from search_spaces.registry import get_space

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "cell_networks.json").read_text())


def layout(name: str):
    blueprint = published_blueprint(name)
    space = get_space(blueprint.network.space)
    assert isinstance(space, CellSpace)
    return space, blueprint, space.layout(blueprint)


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", GOLDEN["networks"])
def test_counts_equal_the_released_networks(name: str) -> None:
    space, blueprint, _ = layout(name)
    cost = space.complexity(blueprint)
    expected = GOLDEN["networks"][name]
    assert (cost.params, cost.macs) == (expected["params"], expected["macs"])


@pytest.mark.parametrize("name", GOLDEN["networks"])
def test_built_network_has_the_counted_parameters(name: str) -> None:
    space, blueprint, _ = layout(name)
    with torch.device("meta"):
        network = space.build(blueprint)
    assert count(network) == space.complexity(blueprint).params


@pytest.mark.parametrize("name", [n for n, e in GOLDEN["networks"].items() if "params_with_auxiliary" in e])
def test_auxiliary_head_has_the_published_size(name: str) -> None:
    space, blueprint, _ = layout(name)
    with torch.device("meta"):
        network = space.build(replace(blueprint, auxiliary=True))
    assert count(network) == GOLDEN["networks"][name]["params_with_auxiliary"]


@pytest.mark.parametrize("name", [n for n, e in GOLDEN["networks"].items() if "bn_running_stats" in e])
def test_normalisation_keeps_the_published_statistics(name: str) -> None:
    """A mean and a variance of every normalised channel."""
    space, blueprint, _ = layout(name)
    with torch.device("meta"):
        network = space.build(blueprint)
    statistics = [buffer.numel() for n, buffer in network.named_buffers() if n.endswith(("mean", "var"))]
    assert sum(statistics) == GOLDEN["networks"][name]["bn_running_stats"]


def test_enas_reads_its_stem_twice_and_classifies_without_bias() -> None:
    _, _, found = layout("enas-micro")
    assert [(c.placement.previous, c.placement.current) for c in found.cells[:2]] == [(0, 0), (0, 1)]
    assert found.features == 720
    assert [c.placement.name for c in found.cells if c.placement.auxiliary] == ["cell10"]
    network, _ = small("enas-micro")
    assert network.classifier.bias is None


@pytest.mark.parametrize("name", GOLDEN["cells"])
def test_every_cell_has_the_published_cost_and_shape(name: str) -> None:
    _, _, found = layout(name)
    stem = [(part.channels, part.size, part.params, part.macs) for part in found.stem]
    cells = [(c.output.channels, c.output.size, c.params, c.macs) for c in found.cells]
    assert [tuple(row[1:]) for row in GOLDEN["cells"][name]] == stem + cells
    assert [row[0] for row in GOLDEN["cells"][name]][1:] == [cell.placement.name for cell in found.cells]


def test_every_published_network_is_golden() -> None:
    assert set(GOLDEN["networks"]) == set(NETWORKS)


@pytest.mark.parametrize("name", GOLDEN["cells"])
def test_real_forward_pass_costs_the_counted_macs(name: str) -> None:
    """Torch's own counter, which counts two per multiply-accumulate, sees the same network."""
    from torch.utils.flop_counter import FlopCounterMode

    space, blueprint, found = layout(name)
    with torch.device("meta"):
        network = space.build(blueprint).eval()
        images = torch.empty(1, blueprint.channels, blueprint.resolution, blueprint.resolution)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        logits = network(images)
    assert logits.shape == (1, blueprint.classes)
    assert counter.get_total_flops() == 2 * found.complexity.macs


def small(name: str, **changes: object) -> tuple[CellNetwork, torch.Tensor]:
    """A published cell at a trainable size, and images for it."""
    blueprint = replace(published_blueprint(name), depth=1, width=8, classes=5, **changes)
    torch.manual_seed(0)
    network = get_space(blueprint.network.space).build(blueprint)
    assert isinstance(network, CellNetwork)
    return network, torch.randn(4, blueprint.channels, blueprint.resolution, blueprint.resolution)


@pytest.mark.parametrize(
    ("name", "stem", "resolution"),
    [
        ("nasnet-a-mobile", "imagenet", 64),
        ("nasnet-a-cifar-6@768", "cifar", 17),
        ("amoebanet-b-mobile", "imagenet", 65),
        ("pnasnet-5-cifar", "tiny", 8),
        ("enas-micro", "cifar", 17),
        ("enas-micro", "imagenet", 63),
        ("darts-v2-imagenet", "imagenet", 63),
        ("darts-v2-cifar", "cifar", 16),
    ],
)
def test_networks_train_at_any_size(name: str, stem: str, resolution: int) -> None:
    """Logits have the right shape and every parameter gets a finite gradient, odd sizes included."""
    network, images = small(name, stem=stem, resolution=resolution, channels=1, auxiliary=True)
    logits, auxiliary = network.forward_with_auxiliary(images)
    assert logits.shape == (4, 5)
    assert auxiliary is not None
    assert auxiliary.shape == (4, 5)
    (logits.sum() + auxiliary.sum()).backward()
    missing = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert missing == []


def test_auxiliary_head_is_silent_in_evaluation() -> None:
    network, images = small("nasnet-a-cifar-6@768", auxiliary=True)
    assert network.eval().forward_with_auxiliary(images)[1] is None


def test_drop_path_changes_training_only() -> None:
    network, images = small("nasnet-a-cifar-6@768")
    network.set_drop_path(0.5)
    torch.manual_seed(1)
    first, second = network(images), network(images)
    assert not torch.equal(first, second)
    network.eval()
    assert torch.equal(network(images), network(images))


def test_drop_path_rate_grows_to_the_last_cell() -> None:
    network, _ = small("nasnet-a-cifar-6@768")
    network.set_drop_path(0.4)
    rates = [cell.drop_path for cell in network.cells]
    assert rates == pytest.approx([0.4 * (i + 1) / 5 for i in range(5)])


def test_drop_path_drops_whole_images_and_keeps_the_mean() -> None:
    """4,000 images at rate 0.25: the kept share lies within five standard deviations (one in 1.7 million)."""
    torch.manual_seed(0)
    dropped = drop_path(torch.ones(4000, 2, 3, 3), 0.25)
    per_image = dropped.flatten(1)
    assert ((per_image == 0).all(1) | (per_image == 1 / 0.75).all(1)).all()
    kept = (per_image[:, 0] > 0).float().mean().item()
    assert abs(kept - 0.75) < 5 * (0.25 * 0.75 / 4000) ** 0.5


def test_drop_path_zero_is_the_identity() -> None:
    x = torch.randn(3, 2, 4, 4)
    assert torch.equal(drop_path(x, 0.0), x)
