"""Chance: known p-values, reductions of one test to another, and the rate of false alarms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nas.comparison.statistics import (
    LEVEL,
    Difference,
    Outcome,
    Pooled,
    compare_outcomes,
    differences,
    holm,
    image_p,
    paired_t,
    t_test,
    welch,
)


def outcome(correct: list[list[int]], *, paired: bool = True) -> Outcome:
    rows = np.array(correct, dtype=bool)
    return Outcome(tuple(map(float, rows.mean(axis=1))), tuple(range(len(rows))), rows, paired)


def draw(rng: np.random.Generator, *, seeds: int, images: int, shared: bool = True) -> Outcome:
    """Draw a network of about 70 % whose trainings and images vary as those of any other."""
    hard = rng.random(images)
    rows = rng.random((seeds, images)) < 0.4 + 0.6 * hard
    return Outcome(tuple(map(float, rows.mean(axis=1))), tuple(range(seeds)), rows, shared)


def test_one_training_each_is_mcnemar() -> None:
    first = np.array([[1, 1, 1, 1, 1, 1, 0, 0, 1, 1]], dtype=bool)
    second = np.array([[0, 0, 0, 0, 0, 1, 1, 0, 1, 1]], dtype=bool)
    assert image_p(first, second) == pytest.approx(stats.binomtest(1, 6).pvalue)


def test_flipped_signs_of_repeated_trainings_agree_with_mcnemar() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.random((1, 400)) < 0.7, rng.random((1, 400)) < 0.76
    exact = image_p(first, second)
    several = image_p(np.repeat(first, 2, axis=0), np.repeat(second, 2, axis=0))
    assert exact is not None
    # 20,000 flips: a standard deviation of at most 0.0035
    assert several == pytest.approx(exact, abs=0.015)


def test_equal_networks_differ_by_chance() -> None:
    same = outcome([[1, 0, 1], [1, 1, 0]])
    gap = compare_outcomes(same, same, Pooled.of([same]))
    assert gap.accuracy == 0
    assert gap.raw == 1.0


def test_paired_t_is_that_of_scipy() -> None:
    gaps = np.array([0.01, 0.03, 0.02, -0.005, 0.015])
    assert paired_t(gaps) == pytest.approx(stats.ttest_1samp(gaps, 0).pvalue)
    assert paired_t(gaps[:1]) is None


def test_equal_gaps_are_certain_and_no_gap_is_none() -> None:
    assert t_test(0.1, error=0.0, freedom=2) == 0.0
    assert t_test(0.0, error=0.0, freedom=2) == 1.0
    assert t_test(0.1, error=0.1, freedom=0) is None


def test_welch_needs_two_of_each() -> None:
    assert welch([0.5], [0.4, 0.3]) is None
    assert welch([0.5, 0.6], [0.4, 0.3]) == pytest.approx(
        stats.ttest_ind([0.5, 0.6], [0.4, 0.3], equal_var=False).pvalue
    )


def test_holm_is_as_published() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_the_larger_p_counts() -> None:
    assert Difference(-0.1, 0.2, 0.01).raw == 0.2
    assert Difference(-0.1, None, 0.01).raw == 0.01
    assert Difference(-0.1, None, None).words == "cannot be told"


def test_single_trainings_speak_of_themselves_only() -> None:
    best, other = outcome([[1] * 60]), outcome([[1] * 20 + [0] * 40])
    (gap,) = differences(best, [other])
    assert gap.words == "unlikely to be chance, p < 0.001, of these trainings only"


def test_few_seeds_borrow_the_spread_of_all_networks() -> None:
    rng = np.random.default_rng(0)
    steady = [draw(rng, seeds=2, images=500) for _ in range(6)]
    pooled = Pooled.of(steady)
    assert pooled.freedom == 6
    assert pooled.std == pytest.approx(np.sqrt(np.mean([np.var(one.accuracies, ddof=1) for one in steady])))


def test_an_unstable_network_does_not_hide_what_steady_ones_show() -> None:
    """As measured once: one network of 21 points spread, and a gap of half a point among steady ones."""
    steady = [outcome_of(0.9239, 0.0010), outcome_of(0.9193, 0.0010), outcome_of(0.9215, 0.0012)]
    unstable = outcome_of(0.3141, 0.2957)
    pooled = Pooled.of([*steady, unstable])
    assert pooled == Pooled.of(steady)
    assert pooled.freedom == 6
    gap = compare_outcomes(steady[0], steady[1], pooled)
    assert gap.p_seeds is not None
    assert gap.p_seeds < LEVEL


def test_ordinary_spreads_are_all_pooled() -> None:
    rng = np.random.default_rng(5)
    left_out = 0
    for _ in range(200):
        networks = [draw(rng, seeds=3, images=200) for _ in range(6)]
        left_out += Pooled.of(networks).freedom < 12
    assert left_out <= 200 * (0.01 + 4 * np.sqrt(0.01 * 0.99 / 200))  # four standard deviations


def outcome_of(mean: float, std: float) -> Outcome:
    """An outcome of three seeds with this mean and deviation."""
    accuracies = (mean - std, mean, mean + std)
    return Outcome(accuracies, (0, 1, 2), np.zeros((3, 10), dtype=np.bool_))


def test_equal_networks_are_rarely_told_apart() -> None:
    """Of 300 pairs, at most 5 % and four standard deviations (5 %) are called different: a false alarm in 30,000."""
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(300):
        first, second = draw(rng, seeds=3, images=200), draw(rng, seeds=3, images=200)
        (gap,) = differences(first, [second])
        alarms += gap.p is not None and gap.p < LEVEL
    assert alarms <= 300 * (LEVEL + 4 * np.sqrt(LEVEL * (1 - LEVEL) / 300))


def test_a_large_difference_is_seen_with_three_seeds() -> None:
    rng = np.random.default_rng(2)
    best = draw(rng, seeds=3, images=500)
    worse = Outcome((0.3, 0.31, 0.29), (0, 1, 2), rng.random((3, 500)) < 0.3)
    (gap,) = differences(best, [worse])
    assert gap.p is not None
    assert gap.p < LEVEL
    assert gap.accuracy < -0.3
