"""Whether a difference in accuracy could be chance: over trainings, over test images, and with many comparisons.

Two things are drawn by chance in a comparison. The seeds, and what they stand for: another training would have come
out differently. And the test images: others would have been classified differently. A difference is called real only
if it holds against both, so the larger of the two p-values counts (an intersection-union test, Berger 1982).

**Seeds.** From five common seeds on, a paired t-test over them: equal seeds mean equal order of the images. Fewer say
next to nothing of a network's own spread, so the standard error is that of the spread pooled over all networks of the
comparison, as in an analysis of variance; where the pair's own is larger, the paired t-test it is. A network whose
spread is out of line, by Cochran's test, says nothing of the others' and is left out of the pool. Random architectures
have no such pairs; theirs is Welch's t-test over architectures.

**Images.** With one training each, McNemar's exact test (Dietterich 1998, https://doi.org/10.1162/089976698300017197).
With several, an image counts by the share of its trainings that are right, and the signs of the differences are
flipped at random: with one training that is McNemar's test again.

Against several networks p-values are corrected by Holm 1979. "Could be chance" may also mean that too little was
trained to tell; and the best of many is the best by luck as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

LEVEL = 0.05
OUT_OF_LINE = 0.01  # p-value of a spread that is not pooled with the others'
NOTHING = 1e-12  # of shares, which sums of floats leave
FLIPS = 20_000
PAIRED_SEEDS = 5  # from which on the pair's own spread is enough
Correct = npt.NDArray[np.bool_]  # (trainings, images)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a network did in its trainings.

    Attributes:
        accuracies: of the trainings on the test images, in [0, 1].
        seeds: of each training, in the same order.
        correct: (trainings, images), whether an image was classified correctly.
        paired: whether equal seeds of this and another outcome mean paired trainings.
    """

    accuracies: tuple[float, ...]
    seeds: tuple[int, ...]
    correct: Correct
    paired: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """How far a network is from the best one.

    Attributes:
        accuracy: mean accuracy less that of the best, in [-1, 1]; over common seeds, where those are paired.
        p_seeds, p_images: see the module; None where nothing can be said.
        p: the larger one, corrected by Holm; None where neither is there.
    """

    accuracy: float
    p_seeds: float | None
    p_images: float | None
    p: float | None = None

    @property
    def raw(self) -> float | None:
        """The larger p-value, before any correction."""
        known = [p for p in (self.p_seeds, self.p_images) if p is not None]
        return max(known) if known else None

    @property
    def words(self) -> str:
        """Whether it could be chance, in words."""
        if self.p is None:
            return "cannot be told"
        number = "p < 0.001" if self.p < 0.001 else f"p = {self.p:.2g}"
        verdict = "unlikely to be chance" if self.p < LEVEL else "could be chance"
        return f"{verdict}, {number}" + ("" if self.p_seeds is not None else ", of these trainings only")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "accuracy": self.accuracy,
            "p_seeds": self.p_seeds,
            "p_images": self.p_images,
            "p": self.p,
            "words": self.words,
        }


def differences(best: Outcome, others: Sequence[Outcome]) -> list[Difference]:
    """Return the difference of each from the best, p-values corrected for their number."""
    spread = Pooled.of([one for one in (best, *others) if one.paired])
    found = [compare_outcomes(best, other, spread) for other in others]
    corrected = iter(holm([one.raw for one in found if one.raw is not None]))
    return [
        one if one.raw is None else Difference(one.accuracy, one.p_seeds, one.p_images, next(corrected))
        for one in found
    ]


def compare_outcomes(best: Outcome, other: Outcome, spread: Pooled) -> Difference:
    """Return one difference, uncorrected.

    Args:
        best: the network that is compared with.
        other: the network.
        spread: of trainings of a network, pooled over all networks.
    """
    if not (best.paired and other.paired):
        gap = float(np.mean(other.accuracies) - np.mean(best.accuracies))
        return Difference(gap, welch(best.accuracies, other.accuracies), image_p(best.correct, other.correct))
    images = image_p(best.correct, other.correct)
    common = sorted(set(best.seeds) & set(other.seeds))
    mine, theirs = ([one.seeds.index(seed) for seed in common] for one in (best, other))
    pairs = zip(mine, theirs, strict=True)
    gaps = np.array([other.accuracies[j] - best.accuracies[i] for i, j in pairs])
    if len(common) >= PAIRED_SEEDS:
        return Difference(float(gaps.mean()), paired_t(gaps), image_p(best.correct[mine], other.correct[theirs]))
    gap = float(np.mean(other.accuracies) - np.mean(best.accuracies))
    error = spread.std * math.sqrt(1 / len(best.accuracies) + 1 / len(other.accuracies))
    own = gaps.std(ddof=1) / math.sqrt(len(gaps)) if len(gaps) > 1 else 0.0
    p_seeds = paired_t(gaps) if own > error else t_test(gap, error=error, freedom=spread.freedom)
    return Difference(gap, p_seeds, images)


@dataclass(frozen=True, slots=True, order=True)
class Pooled:
    """The standard deviation of a network's trainings, pooled over networks, and its degrees of freedom."""

    std: float
    freedom: int

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Pooled:
        """Return that of these networks, without those whose spread is out of line; single trainings say nothing."""
        known = [one.accuracies for one in outcomes if len(one.accuracies) > 1]
        spreads = sorted(cls(float(np.std(values, ddof=1)), len(values) - 1) for values in known)
        while len(spreads) > 2 and _is_out_of_line(spreads[-1], cls._together(spreads[:-1]), of=len(spreads)):
            spreads.pop()
        return cls._together(spreads)

    @classmethod
    def _together(cls, spreads: Sequence[Pooled]) -> Pooled:
        freedom = sum(one.freedom for one in spreads)
        squares = sum(one.freedom * one.std**2 for one in spreads)
        return cls(math.sqrt(squares / freedom) if freedom else 0.0, freedom)


def _is_out_of_line(largest: Pooled, others: Pooled, *, of: int) -> bool:
    """Return whether the largest of so many spreads is no chance: Cochran's test, as an F test corrected for them."""
    if others.std <= NOTHING:
        return largest.std > NOTHING
    ratio = (largest.std / others.std) ** 2
    return bool(of * stats.f.sf(ratio, largest.freedom, others.freedom) < OUT_OF_LINE)


def paired_t(gaps: npt.NDArray[np.float64]) -> float | None:
    """Return the p-value, of both sides, of gaps that would be 0 on average; None for fewer than two."""
    if len(gaps) < 2:
        return None
    return t_test(float(gaps.mean()), error=float(gaps.std(ddof=1)) / math.sqrt(len(gaps)), freedom=len(gaps) - 1)


def t_test(gap: float, *, error: float, freedom: int) -> float | None:
    """Return the p-value, of both sides, of a gap with this standard error; None without degrees of freedom."""
    if freedom < 1:
        return None
    if error <= NOTHING:
        return 1.0 if abs(gap) <= NOTHING else 0.0
    return float(2 * stats.t.sf(abs(gap) / error, freedom))


def welch(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return the p-value, of both sides, of Welch's t-test; None where a side has fewer than two values."""
    if min(len(first), len(second)) < 2:
        return None
    if np.std(first) + np.std(second) <= NOTHING:
        return 1.0 if abs(np.mean(first) - np.mean(second)) <= NOTHING else 0.0
    return float(stats.ttest_ind(first, second, equal_var=False).pvalue)


def image_p(first: Correct, second: Correct) -> float | None:
    """Return the p-value, of both sides, of two networks that are equally good on such images.

    Args:
        first: (trainings, images).
        second: (trainings, images); of other trainings, perhaps of more or fewer.
    """
    if not (len(first) and len(second)):
        return None
    gaps = second.mean(axis=0) - first.mean(axis=0)
    if len(first) == len(second) == 1:
        wins, losses = int((gaps > 0).sum()), int((gaps < 0).sum())
        return 1.0 if wins + losses == 0 else float(stats.binomtest(wins, wins + losses).pvalue)
    return _flip_signs(gaps)


def _flip_signs(gaps: npt.NDArray[np.float64]) -> float:
    """Return the share of random signs that give a sum as far from 0, this one among them.

    Few sizes of gaps are possible, so the flips of all gaps of one size are one binomial draw.
    """
    sizes, counts = np.unique(np.round(np.abs(gaps[np.abs(gaps) > 1e-9]), 9), return_counts=True)
    rng = np.random.Generator(np.random.PCG64(0))
    sums = np.zeros(FLIPS)
    for size, count in zip(sizes, counts, strict=True):
        sums += size * (2.0 * rng.binomial(count, 0.5, FLIPS) - count)
    return float((1 + (np.abs(sums) >= abs(gaps.sum()) - 1e-9).sum()) / (FLIPS + 1))


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm 1979), in the order given."""
    corrected = [0.0] * len(values)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        largest = max(largest, min(1.0, (len(values) - rank) * values[i]))
        corrected[i] = largest
    return corrected
