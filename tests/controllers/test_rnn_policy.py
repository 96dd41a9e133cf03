"""The LSTM policy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from controllers.rnn_policy import DecisionPolicy

COUNTS = (3, 1, 2)
SEQUENCES = list(itertools.product(*map(range, COUNTS)))


def make_policy(counts: tuple[int, ...] = COUNTS, *, init_range: float = 1.0, seed: int = 0) -> DecisionPolicy:
    """Return a policy; with weights ten times the usual, so that it is far from uniform."""
    generator = torch.Generator().manual_seed(seed)
    return DecisionPolicy(counts, hidden=8, init_range=init_range, generator=generator)


def test_weights_follow_from_the_generator_alone() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first, same, other = make_policy(), make_policy(), make_policy(seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    for name, weights in first.state_dict().items():
        assert torch.equal(weights, same.state_dict()[name])
        assert not torch.equal(weights, other.state_dict()[name])


def test_weights_fill_their_range() -> None:
    policy = make_policy(init_range=0.1)
    weights = torch.cat([parameter.flatten() for parameter in policy.parameters()])
    assert 0.099 < weights.max() <= 0.1
    assert -0.1 <= weights.min() < -0.099


def test_probabilities_of_all_sequences_add_up_to_one() -> None:
    log_probs, _ = make_policy()(torch.tensor(SEQUENCES))
    assert log_probs.exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_a_policy_without_weights_is_uniform() -> None:
    log_probs, entropies = make_policy((3, 1, 4), init_range=1e-9)(torch.tensor([[0, 0, 0], [2, 0, 3]]))
    assert log_probs.tolist() == pytest.approx([-math.log(12)] * 2)
    assert entropies.tolist() == pytest.approx([math.log(12)] * 2)


def test_entropy_is_the_mean_surprise_of_one_decision() -> None:
    log_probs, entropies = make_policy((5,))(torch.arange(5).unsqueeze(1))
    expected = -(log_probs.exp() * log_probs).sum().item()
    assert entropies.tolist() == pytest.approx([expected] * 5)


def test_choices_depend_on_those_before() -> None:
    """What is likely for the second of two decisions differs by the first."""
    log_probs, _ = make_policy((2, 2))(torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]]))
    odds = (log_probs[0] - log_probs[1], log_probs[2] - log_probs[3])
    assert odds[0].item() != pytest.approx(odds[1].item(), abs=1e-3)


def test_drawn_sequences_come_with_their_own_log_probability() -> None:
    policy = make_policy((4, 2, 5, 3))
    choices, log_probs = policy.sample(50, np.random.default_rng(0))
    expected, _ = policy(torch.from_numpy(choices))
    assert log_probs == pytest.approx(expected.detach().numpy(), abs=1e-12)


def test_sequences_are_drawn_by_their_probability() -> None:
    """6,000 draws over 6 sequences: chi-square of 5 degrees exceeds 30 once in 65,000."""
    policy = make_policy()
    choices, _ = policy.sample(6_000, np.random.default_rng(0))
    log_probs, _ = policy(torch.tensor(SEQUENCES))
    expected = 6_000 * log_probs.exp().detach().numpy()
    counts = np.array([(choices == sequence).all(axis=1).sum() for sequence in SEQUENCES])
    assert ((counts - expected) ** 2 / expected).sum() < 30


def test_gradients_reach_every_weight() -> None:
    policy = make_policy()
    log_probs, entropies = policy(torch.tensor(SEQUENCES))
    gradients = torch.autograd.grad((log_probs * torch.arange(6) + entropies).sum(), list(policy.parameters()))
    assert all(gradient.isfinite().all() and gradient.abs().max() > 0 for gradient in gradients)
