"""The contract of a search space: what every controller may ask of it.

A space is a list of categorical decisions with a way to tell equal networks (`key`), to build them and to
count them. Moving about in it (sample, mutate, neighbours, crossover) follows from the decisions alone and
is written once, here. A space knows nothing of searching, training, files or clusters.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import final

import numpy as np
import numpy.typing as npt
from torch import nn

from search_spaces.architecture import Architecture, Blueprint, Complexity, Decision, Option, Stem
from search_spaces.errors import InvalidInputError

# N and F of cell networks: small enough to train many, after the searches' own proxies.
PROXY_SIZES: Mapping[Stem, tuple[float, float]] = {"tiny": (1, 8), "cifar": (2, 16), "imagenet": (2, 32)}


class SearchSpace(ABC):
    """A finite set of architectures, each an option index per decision."""

    def __init__(
        self,
        name: str,
        decisions: Sequence[Decision],
        *,
        proxy_sizes: Mapping[Stem, tuple[float, float]] = PROXY_SIZES,
    ) -> None:
        """Fix the space's name and decisions.

        Args:
            name: what `search_spaces.get_space` finds an equal space by.
            decisions: the categorical choices, in order; names must differ.
            proxy_sizes: depth and width, as the space's blueprints mean them, at which a search trains its networks
                where nobody says; by stem.

        Raises:
            InvalidInputError: no decisions, or two with the same name.
        """
        if not decisions:
            raise InvalidInputError(f"space {name!r} needs at least one decision, got none.")
        names = [decision.name for decision in decisions]
        if len(set(names)) != len(names):
            double = next(n for n in names if names.count(n) > 1)
            raise InvalidInputError(f"decisions of space {name!r} must have different names, got {double!r} twice.")
        self.name = name
        self.decisions = tuple(decisions)
        self.proxy_sizes = proxy_sizes
        self._counts = tuple(len(decision) for decision in self.decisions)
        self._free = [i for i, count in enumerate(self._counts) if count > 1]  # decisions with an alternative
        self._offsets = np.concatenate([[0], np.cumsum(self._counts)])

    @abstractmethod
    def key(self, architecture: Architecture) -> str:
        """Return the canonical key: equal for architectures that compute the same function by construction."""

    @abstractmethod
    def build(self, blueprint: Blueprint) -> nn.Module:
        """Return the network: images (batch, channels, height, width) -> logits (batch, classes).

        Its weights are drawn from torch's global generator, as torch's own layers do; whoever builds seeds it.

        Raises:
            InvalidInputError: the blueprint is for another space or a size that the network cannot take.
        """

    @abstractmethod
    def complexity(self, blueprint: Blueprint) -> Complexity:
        """Return parameters and MACs of what `build` would return, from shapes, without allocating weights."""

    @property
    @final
    def size(self) -> int:
        """Number of architectures, networks drawn in several ways counted as often."""
        return math.prod(self._counts)

    @final
    def architecture(self, choices: Sequence[int]) -> Architecture:
        """Return the architecture with these option indices.

        Raises:
            InvalidInputError: wrong number of choices, or one out of range.
        """
        architecture = Architecture(self.name, tuple(int(choice) for choice in choices))
        self.validate(architecture)
        return architecture

    @final
    def from_options(self, options: dict[str, Option]) -> Architecture:
        """Return the architecture that chooses these options, given by decision name."""
        names = {decision.name for decision in self.decisions}
        if options.keys() != names:
            raise InvalidInputError(f"options must be given for the decisions {sorted(names)}, got {sorted(options)}.")
        return self.architecture([decision.options.index(options[decision.name]) for decision in self.decisions])

    @final
    def options(self, architecture: Architecture) -> dict[str, Option]:
        """Return the chosen option of every decision, by name."""
        self.validate(architecture)
        pairs = zip(self.decisions, architecture.choices, strict=True)
        return {decision.name: decision.options[choice] for decision, choice in pairs}

    @final
    def validate(self, architecture: Architecture) -> None:
        """Refuse an architecture that is not a point of this space.

        Raises:
            InvalidInputError: another space's, wrong number of choices, or an index out of range.
        """
        if architecture.space != self.name:
            raise InvalidInputError(
                f"space {self.name!r} takes its own architectures, got one of {architecture.space!r}."
            )
        if len(architecture.choices) != len(self._counts):
            raise InvalidInputError(
                f"an architecture of {self.name!r} has {len(self._counts)} choices, got {len(architecture.choices)}."
            )
        for decision, choice in zip(self.decisions, architecture.choices, strict=True):
            if choice >= len(decision):
                raise InvalidInputError(
                    f"decision {decision.name!r} of {self.name!r} has {len(decision)} options "
                    f"(indices 0 to {len(decision) - 1}), got index {choice}."
                )

    @final
    def sample(self, rng: np.random.Generator) -> Architecture:
        """Return an architecture whose decisions are drawn uniformly and independently."""
        draws = rng.random(len(self._counts))
        choices = tuple(int(draw * count) for draw, count in zip(draws, self._counts, strict=True))
        return Architecture(self.name, choices)

    @final
    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Return a copy with exactly one decision changed, drawn uniformly among the neighbours' decisions.

        The decision is uniform over those with an alternative, then the other option is uniform. A space
        with no alternative anywhere returns the architecture itself.
        """
        if not self._free:
            return architecture
        i = self._free[int(rng.integers(len(self._free)))]
        other = int(rng.integers(self._counts[i] - 1))
        return self._with_choice(architecture, i, other + (other >= architecture.choices[i]))

    @final
    def neighbours(self, architecture: Architecture) -> Iterator[Architecture]:
        """Yield every architecture that differs in exactly one decision, in a fixed order."""
        for i, count in enumerate(self._counts):
            for option in range(count):
                if option != architecture.choices[i]:
                    yield self._with_choice(architecture, i, option)

    @final
    def crossover(self, a: Architecture, b: Architecture, rng: np.random.Generator) -> Architecture:
        """Return a child that takes every decision from one parent or the other, each with probability 1/2."""
        from_a = rng.random(len(self._counts)) < 0.5
        pairs = zip(a.choices, b.choices, from_a, strict=True)
        return Architecture(self.name, tuple(x if first else y for x, y, first in pairs))

    @final
    def encode(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.float32]:
        """Return one row per architecture: the one-hot codes of its choices, side by side.

        Returns:
            Array (number of architectures, sum of option counts) of zeros and ones.
        """
        rows = np.zeros((len(architectures), int(self._offsets[-1])), dtype=np.float32)
        if architectures:
            columns = np.array([a.choices for a in architectures]) + self._offsets[:-1]
            np.put_along_axis(rows, columns, 1.0, axis=1)
        return rows

    def _with_choice(self, architecture: Architecture, i: int, option: int) -> Architecture:
        choices = architecture.choices
        return Architecture(self.name, (*choices[:i], option, *choices[i + 1 :]))
