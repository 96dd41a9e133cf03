"""Choices as numbers that a model can compare: one code a decision, and features whose effects add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from search_spaces.architecture import Decision

Choices = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Points of a space, as a kernel sees them.

    Attributes:
        choices: (n, decisions) option indices.
        codes: (n, sum of option counts) one-hot codes of the choices, side by side.
        decision_of_code: (sum of option counts,) which decision each code belongs to.
        linear: blocks of features, each (n, features of the block) with a mean square of 1 a point
            over the whole space.
    """

    choices: Choices
    codes: Floats
    decision_of_code: NDArray[np.intp]
    linear: tuple[Floats, ...]

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.choices)

    def take(self, rows: NDArray[np.intp]) -> Self:
        """Return the points of these rows."""
        blocks = tuple(block[rows] for block in self.linear)
        return type(self)(self.choices[rows], self.codes[rows], self.decision_of_code, blocks)

    def join(self, other: Self) -> Self:
        """Return these points, then those of `other`."""
        choices = np.concatenate([self.choices, other.choices])
        codes = np.concatenate([self.codes, other.codes])
        linear = tuple(np.concatenate(pair) for pair in zip(self.linear, other.linear, strict=True))
        return type(self)(choices, codes, self.decision_of_code, linear)


class Encoder:
    """Writes the choices of a list of decisions as features.

    The blocks of linear features are the effects of single choices, and, since decisions with the same options
    usually mean the same by them (an operation on another edge), the numbers of decisions that choose each
    option, one count for all decisions alike.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        """Lay out the features."""
        self._counts = np.array([len(decision) for decision in decisions])
        self._offsets = np.concatenate([[0], np.cumsum(self._counts)[:-1]])
        self._decision_of_code = np.repeat(np.arange(len(decisions)), self._counts)
        alike: dict[object, list[int]] = {}
        for i, decision in enumerate(decisions):
            alike.setdefault(tuple((type(option), option) for option in decision.options), []).append(i)
        self._groups = [group for group in alike.values() if len(group) > 1 and self._counts[group[0]] > 1]
        self._num_blocks = 1 + bool(self._groups)

    @property
    def num_blocks(self) -> int:
        """Number of linear blocks, a guess not counted."""
        return self._num_blocks

    def encode(self, choices: Choices, guess: Floats | None = None) -> Features:
        """Return the features of (n, decisions) choices.

        Args:
            choices: option indices.
            guess: (n,) numbers of about zero mean and unit variance, a further block; None for none.
        """
        codes = np.zeros((len(choices), int(self._counts.sum())))
        np.put_along_axis(codes, choices + self._offsets, 1.0, axis=1)
        blocks = [self._effects(codes)]
        if self._groups:
            blocks.append(self._shared(codes))
        if guess is not None:
            blocks.append(np.asarray(guess, dtype=np.float64)[:, None])
        return Features(choices, codes, self._decision_of_code, tuple(blocks))

    def _effects(self, codes: Floats) -> Floats:
        """Centre the codes; a space without a choice has no effects."""
        variance = float(np.sum(1 - 1 / self._counts))
        return np.asarray((codes - 1 / self._counts[self._decision_of_code]) / np.sqrt(max(variance, 1e-12)))

    def _shared(self, codes: Floats) -> Floats:
        """Count the options over each group of decisions that have the same ones, centred."""
        parts, variance = [], 0.0
        for group in self._groups:
            count = int(self._counts[group[0]])
            columns = [codes[:, self._offsets[i] : self._offsets[i] + count] for i in group]
            parts.append(np.sum(columns, axis=0) - len(group) / count)
            variance += len(group) * (1 - 1 / count)
        return np.asarray(np.concatenate(parts, axis=1) / np.sqrt(variance))
