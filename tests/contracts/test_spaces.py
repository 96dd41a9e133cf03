"""The contract that every search space keeps; a space is tested by being listed."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from search_spaces.architecture import Architecture, Blueprint
from search_spaces.errors import InvalidInputError
from search_spaces.registry import SPACES, get_space
from search_spaces.space import SearchSpace

VARIANTS = [
    *SPACES,
    "nasnet:concat=extra",
    "nasnet:blocks=2,operations=identity+sep_conv_3x3+zero,concat=blocks",
    "darts:blocks=1,combinations=add+concat",
    "mbconv:base=efficientnet-b0,blocks=sep_conv+fused_mbconv,kernels=3",
    str(Path(__file__).parents[1] / "search_spaces" / "own_net.py"),
]

# Exchanging the choices of these leaves the network as it is: always for the two sides of a block, in nasbench201
# where nodes 0 and 1 are the same, in mbconv where neither stage's blocks expand, and in a user's network where it is
# too shallow to draw them.
TWIN_DECISIONS = [
    ("normal_block0_left_state", "normal_block0_right_state"),
    ("normal_block0_left_operation", "normal_block0_right_operation"),
    ("0>3", "1>3"),
    ("kernel1", "kernel2"),
    ("stage0_expansion", "stage1_expansion"),
]


@pytest.fixture(params=VARIANTS)
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return get_space(request.param)


def samples(space: SearchSpace, count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


def blueprint(architecture: Architecture) -> Blueprint:
    width = 0.25 if architecture.space.startswith("mbconv") else 4  # a factor there, filters elsewhere
    return Blueprint(architecture, 8, channels=1, classes=3, stem="tiny", depth=1, width=width)


def test_samples_are_points_of_the_space(space: SearchSpace) -> None:
    for architecture in samples(space, 100):
        space.validate(architecture)
        assert all(type(choice) is int for choice in architecture.choices)


def test_equal_specification_gives_an_equal_space(space: SearchSpace) -> None:
    again = get_space(space.name)
    assert (again.name, again.decisions, again.size) == (space.name, space.decisions, space.size)


def test_architectures_survive_json_and_options(space: SearchSpace) -> None:
    for architecture in samples(space, 20):
        assert Architecture.from_json(architecture.to_json()) == architecture
        assert space.from_options(space.options(architecture)) == architecture


def test_sampling_is_uniform_over_each_decision(space: SearchSpace) -> None:
    """Counts of 2,000 draws lie within 5.5 standard deviations: fewer than one false alarm in 10,000 runs."""
    drawn = np.array([a.choices for a in samples(space, 2000)])
    for i, decision in enumerate(space.decisions):
        share = 1 / len(decision)
        counts = np.bincount(drawn[:, i], minlength=len(decision))
        assert np.all(np.abs(counts - 2000 * share) <= 5.5 * (2000 * share * (1 - share)) ** 0.5 + 1e-9)


def test_mutation_changes_exactly_one_decision(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    for architecture in samples(space, 100):
        child = space.mutate(architecture, rng)
        space.validate(child)
        assert sum(x != y for x, y in zip(architecture.choices, child.choices, strict=True)) == 1


def test_mutation_can_reach_every_neighbour(space: SearchSpace) -> None:
    """Twenty times as many draws as neighbours would need: none is left out."""
    architecture = samples(space, 1)[0]
    neighbours = set(space.neighbours(architecture))
    rng = np.random.default_rng(0)
    decisions = sum(len(d) > 1 for d in space.decisions)
    draws = 20 * decisions * max(len(d) for d in space.decisions)
    assert neighbours == {space.mutate(architecture, rng) for _ in range(draws)}


def test_neighbours_are_all_single_changes_once(space: SearchSpace) -> None:
    architecture = samples(space, 1)[0]
    neighbours = list(space.neighbours(architecture))
    assert len(neighbours) == sum(len(d) - 1 for d in space.decisions) == len(set(neighbours))


def test_crossover_takes_each_decision_from_a_parent(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    a, b = samples(space, 2)
    for _ in range(20):
        child = space.crossover(a, b, rng)
        assert all(c in (x, y) for c, x, y in zip(child.choices, a.choices, b.choices, strict=True))
    assert space.crossover(a, a, rng) == a


def test_encoding_tells_architectures_apart(space: SearchSpace) -> None:
    drawn = list(dict.fromkeys(samples(space, 50)))
    rows = space.encode(drawn)
    assert rows.shape == (len(drawn), sum(len(d) for d in space.decisions))
    assert np.all(rows.sum(axis=1) == len(space.decisions))
    assert len({row.tobytes() for row in rows}) == len(drawn)
    assert space.encode([]).shape == (0, rows.shape[1])


def test_same_generator_state_gives_the_same_draws(space: SearchSpace) -> None:
    assert samples(space, 10, seed=5) == samples(space, 10, seed=5)
    assert samples(space, 10, seed=5) != samples(space, 10, seed=6)


def test_wrong_architectures_are_refused(space: SearchSpace) -> None:
    architecture = samples(space, 1)[0]
    with pytest.raises(InvalidInputError, match="takes its own architectures"):
        space.key(replace(architecture, space="another"))
    with pytest.raises(InvalidInputError, match=r"has \d+ choices"):
        space.key(Architecture(space.name, architecture.choices[:-1]))
    with pytest.raises(InvalidInputError, match=r"options \(indices"):
        space.key(Architecture(space.name, (99, *architecture.choices[1:])))


def test_networks_give_logits_and_finite_gradients(space: SearchSpace) -> None:
    for architecture in samples(space, 3):
        network = space.build(blueprint(architecture))
        logits = network(torch.randn(2, 1, 8, 8))
        assert logits.shape == (2, 3)
        logits.square().sum().backward()
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        assert gradients
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_complexity_equals_the_built_network(space: SearchSpace) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    for architecture in samples(space, 6):
        cost = space.complexity(blueprint(architecture))
        network = space.build(blueprint(architecture)).eval()
        assert sum(p.numel() for p in network.parameters()) == cost.params
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.zeros(1, 1, 8, 8))
        assert counter.get_total_flops() == 2 * cost.macs


def test_equal_keys_give_equal_networks(space: SearchSpace) -> None:
    """Walk to neighbours; whenever the key stays, so do the weights drawn and the function, to the last bit."""
    rng = np.random.default_rng(0)
    images = torch.randn(2, 1, 8, 8)
    found = 0
    for architecture in itertools.chain.from_iterable(_with_twins(space, rng) for _ in range(200)):
        twin = architecture[1]
        if space.key(architecture[0]) == space.key(twin) and found < 3:
            found += 1
            outputs = []
            for one in (architecture[0], twin):
                torch.manual_seed(0)
                outputs.append(space.build(blueprint(one)).eval()(images))
            assert torch.equal(outputs[0], outputs[1])
    assert found == 3


def _with_twins(space: SearchSpace, rng: np.random.Generator) -> list[tuple[Architecture, Architecture]]:
    """A random architecture, and the same with the choices of its space's interchangeable decisions exchanged."""
    architecture = space.sample(rng)
    options = space.options(architecture)
    swapped = dict(options)
    for left, right in TWIN_DECISIONS:
        if left in options:
            swapped[left], swapped[right] = options[right], options[left]
    return [(architecture, space.from_options(swapped))] if swapped != options else []
