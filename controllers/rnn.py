"""Reinforcement learning: a recurrent policy proposes networks and is rewarded with their scores.

The policy is in `rnn_policy`. Here: what a reward is, and how the policy learns from it (REINFORCE or PPO).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar, Literal, Self, final, get_args

import numpy as np
import torch
from torch import Tensor
from torch.optim.adam import adam

from controllers.controller import Controller, Proposal, single_objective
from controllers.rnn_policy import DecisionPolicy
from controllers.trial import Objective, Record
from controllers.unseen import UnseenNetworks
from search_spaces.architecture import Architecture
from search_spaces.errors import InvalidInputError, UnknownNameError
from search_spaces.randomness import derive_torch_generator
from search_spaces.space import SearchSpace

Algorithm = Literal["ppo", "reinforce"]
NUM_DRAWS = 20  # of the policy, to find a network not seen before; then the last one drawn is mutated


@dataclass(frozen=True, slots=True)
class RNNOptions:
    """How the policy learns.

    The defaults are for one to a few hundred trials, in which the published ones change next to nothing: the
    policy has to move within ten batches, so batches are a quarter as large, steps thirty times longer, and
    the baseline forgets twice as fast.

    Attributes:
        algorithm: ``ppo`` (clipped, Schulman 2017, eq. 7) or ``reinforce`` (Williams 1992).
        hidden: units of the one-layer LSTM.
        init_range: initial weights are uniform in [-init_range, init_range].
        learning_rate: of Adam.
        minibatch: told trials that make one batch.
        epochs: gradient steps on a batch of ``ppo``; ``reinforce`` takes one.
        clip: how far ``ppo`` lets a probability ratio count, 1 - clip to 1 + clip.
        entropy_weight: weight of the entropy bonus, per nat of the whole architecture.
        baseline_decay: weight of the past in the moving average of rewards.
    """

    algorithm: Algorithm = "ppo"
    hidden: int = 100
    init_range: float = 0.1
    learning_rate: float = 0.01
    minibatch: int = 5
    epochs: int = 4
    clip: float = 0.2
    entropy_weight: float = 1e-5
    baseline_decay: float = 0.9

    def __post_init__(self) -> None:
        """Refuse settings that cannot learn."""
        if self.algorithm not in get_args(Algorithm):
            raise UnknownNameError("algorithm of controller 'rnn'", str(self.algorithm), get_args(Algorithm))
        for name in ("hidden", "minibatch", "epochs"):
            if getattr(self, name) < 1:
                raise InvalidInputError(f"{name} must be a whole number >= 1, got {getattr(self, name)}.")
        for name in ("init_range", "learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise InvalidInputError(f"{name} must be larger than 0, got {getattr(self, name)}.")
        if not self.entropy_weight >= 0:
            raise InvalidInputError(f"entropy_weight must be >= 0, got {self.entropy_weight}.")
        if not 0 <= self.baseline_decay < 1:
            raise InvalidInputError(f"baseline_decay must be in [0, 1), got {self.baseline_decay}.")

    @classmethod
    def published(cls) -> Self:
        """Return the settings of Zoph 2018, App. A, chosen for 20,000 trials."""
        return cls(learning_rate=3.5e-4, minibatch=20, entropy_weight=1e-5, baseline_decay=0.95)


@dataclass(frozen=True, slots=True)
class Experience:
    """A told trial: its choices, their log-probability when proposed, and its score (None for a failure)."""

    choices: tuple[int, ...]
    log_prob: float
    score: float | None


def normal_scores(scores: Sequence[float | None], among: Sequence[float | None]) -> list[float]:
    """Return the standard normal quantile of each score's rank among all; failures rank below every result.

    Ties share the middle of their ranks. So a reward has mean 0 and variance about 1 in any unit, is the same
    for accuracy, percent or a negated cost, and is not stretched by the few networks that are far worse.

    Args:
        scores: what to convert; each must also be in `among`.
        among: all scores to rank by.
    """
    ranked = np.sort(_failures_last(among))
    values = _failures_last(scores)
    below = np.searchsorted(ranked, values, side="left")
    up_to = np.searchsorted(ranked, values, side="right")
    quantiles = (below + up_to) / (2 * len(ranked))
    return [NormalDist().inv_cdf(float(quantile)) for quantile in quantiles]


@final
class RNNController(Controller):
    """Train an LSTM policy by the scores of what it proposed (Zoph 2018, App. A; Zoph 2017, Sec. 3.2).

    https://arxiv.org/abs/1707.07012, https://arxiv.org/abs/1611.01578. Deviations: a reward is the normal
    score of a trial's rank, not its accuracy (see `normal_scores`), so a failure is rewarded like the worst
    network so far; the policy draws again when it drew a network that it already proposed.
    """

    never_repeats: ClassVar[bool] = True

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective] = (Objective(),),
        seed: int = 0,
        *,
        options: RNNOptions | None = None,
    ) -> None:
        """Start with a policy close to uniform.

        Args:
            space: where to search.
            objectives: exactly one.
            seed: every random draw derives from it.
            options: how the policy learns; None for the defaults.
        """
        super().__init__(space, objectives, seed)
        self._objective = single_objective("rnn", objectives)
        self._options = options or RNNOptions()
        self._policy = DecisionPolicy(
            [len(decision) for decision in space.decisions],
            hidden=self._options.hidden,
            init_range=self._options.init_range,
            generator=derive_torch_generator(seed, 0, "policy weights"),
        )
        self._optimizer = AdamSteps(list(self._policy.parameters()), self._options.learning_rate)
        self._unseen = UnseenNetworks(space)
        self._log_probs: dict[int, float] = {}  # by trial number, as they were when it was proposed
        self._scores: list[float | None] = []
        self._batch: list[Experience] = []
        self._baseline = 0.0

    def propose(self, number: int, rng: np.random.Generator) -> Proposal | None:
        """Return a draw of the policy that was not proposed yet, or near one, or None when there is none."""
        with _one_thread():
            for choices, log_prob in zip(*self._policy.sample(NUM_DRAWS, rng), strict=True):
                architecture = Architecture(self.space.name, tuple(choices.tolist()))
                if self._unseen.take(architecture):
                    self._log_probs[number] = float(log_prob)
                    return Proposal(architecture)
            near = self._unseen.draw_near(architecture, self.space.mutate, rng) or self._unseen.draw(rng)
            if near is None:
                return None
            with torch.no_grad():
                self._log_probs[number] = self._policy(torch.tensor([near.choices]))[0].item()
            return Proposal(near)

    def learn(self, record: Record) -> None:
        """Collect the record; a full batch trains the policy."""
        score = self._objective.score(record.measurement)
        log_prob = self._log_probs.pop(record.trial.number)
        self._scores.append(score)
        self._batch.append(Experience(record.trial.architecture.choices, log_prob, score))
        if len(self._batch) == self._options.minibatch:
            with _one_thread():
                self._train(self._batch)
            self._batch = []

    def _train(self, batch: Sequence[Experience]) -> None:
        choices = torch.tensor([experience.choices for experience in batch])
        old_log_probs = torch.tensor([experience.log_prob for experience in batch], dtype=torch.float64)
        advantages = torch.tensor(self._advantages(batch), dtype=torch.float64)
        ppo = self._options.algorithm == "ppo"
        for _ in range(self._options.epochs if ppo else 1):
            log_probs, entropies = self._policy(choices)
            ratios = (log_probs - old_log_probs).exp()
            gains = clipped_gains(ratios, advantages, self._options.clip) if ppo else log_probs * advantages
            self._optimizer.ascend((gains + self._options.entropy_weight * entropies).mean())

    def _advantages(self, batch: Sequence[Experience]) -> list[float]:
        """Return each reward less the moving average of those before it."""
        decay = self._options.baseline_decay
        advantages = []
        for reward in normal_scores([experience.score for experience in batch], self._scores):
            advantages.append(reward - self._baseline)
            self._baseline = decay * self._baseline + (1 - decay) * reward
        return advantages


def clipped_gains(ratios: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """Return PPO's clipped objective of each trial (Schulman 2017, eq. 7), shape (batch,), to maximise."""
    return torch.minimum(ratios * advantages, ratios.clamp(1 - clip, 1 + clip) * advantages)


class AdamSteps:
    """Adam's state. torch's own class imports its compiler when made, 1.8 s; its function does not."""

    def __init__(self, parameters: list[Tensor], learning_rate: float) -> None:
        self._parameters = parameters
        self._learning_rate = learning_rate
        self._means = [torch.zeros_like(parameter) for parameter in parameters]
        self._squares = [torch.zeros_like(parameter) for parameter in parameters]
        self._steps = [torch.zeros(()) for _ in parameters]

    def ascend(self, gain: Tensor) -> None:
        """Move the parameters, in place, one step up the gradient of a scalar."""
        gradients = torch.autograd.grad(gain, self._parameters)
        with torch.no_grad():
            adam(
                self._parameters,
                list(gradients),
                self._means,
                self._squares,
                [],
                self._steps,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=self._learning_rate,
                weight_decay=0.0,
                eps=1e-8,
                maximize=True,
            )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep torch to one thread: these matrices are small, and with busy cores waiting costs a hundredfold."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _failures_last(scores: Sequence[float | None]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array([-np.inf if score is None else score for score in scores])
