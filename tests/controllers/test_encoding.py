"""Choices as features: scaled alike, and counted together where decisions have the same options."""

from __future__ import annotations

import numpy as np

from controllers.encoding import Encoder
from search_spaces.architecture import Decision


def everything(decisions: list[Decision]) -> np.ndarray:
    counts = [len(decision) for decision in decisions]
    return np.indices(counts).reshape(len(counts), -1).T


def test_every_block_has_a_mean_square_of_one() -> None:
    decisions = [Decision("a", (1, 2, 3)), Decision("b", (1, 2, 3)), Decision("c", (False, True))]
    features = Encoder(decisions).encode(everything(decisions))
    assert len(features.linear) == 2
    for block in features.linear:
        assert np.allclose(block.mean(axis=0), 0)
        assert np.isclose(np.square(block).sum(axis=1).mean(), 1)


def test_decisions_with_the_same_options_are_counted_together() -> None:
    """Swapping two choices among alike decisions changes the effects, not the counts."""
    decisions = [
        Decision("a", ("conv", "pool", "skip")),
        Decision("b", ("conv", "pool", "skip")),
        Decision("c", (1, 2)),
    ]
    features = Encoder(decisions).encode(np.array([[0, 1, 0], [1, 0, 0], [1, 1, 0]]))
    effects, shared = features.linear
    assert not np.allclose(effects[0], effects[1])
    assert np.allclose(shared[0], shared[1])
    assert not np.allclose(shared[0], shared[2])


def test_one_and_true_are_different_options() -> None:
    decisions = [Decision("a", (0, 1)), Decision("b", (False, True))]
    assert Encoder(decisions).num_blocks == 1


def test_codes_are_one_hot() -> None:
    decisions = [Decision("a", (1, 2, 3)), Decision("b", (1, 2))]
    features = Encoder(decisions).encode(np.array([[2, 0]]))
    assert features.codes.tolist() == [[0, 0, 1, 1, 0]]
    assert features.decision_of_code.tolist() == [0, 0, 0, 1, 1]


def test_points_are_taken_and_joined_in_all_parts() -> None:
    decisions = [Decision("a", (1, 2, 3)), Decision("b", (1, 2, 3))]
    features = Encoder(decisions).encode(everything(decisions), np.arange(9.0))
    again = features.take(np.arange(4)).join(features.take(np.arange(4, 9)))
    assert np.array_equal(again.choices, features.choices)
    assert np.array_equal(again.codes, features.codes)
    assert [np.array_equal(a, b) for a, b in zip(again.linear, features.linear, strict=True)] == [True] * 3


def test_a_space_without_a_choice_has_no_effects() -> None:
    features = Encoder([Decision("a", (1,)), Decision("b", (1,))]).encode(np.zeros((1, 2), dtype=np.int64))
    assert np.all(features.linear[0] == 0)
