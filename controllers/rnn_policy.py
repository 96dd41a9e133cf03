"""The policy of the RNN controller: an LSTM that makes one decision after another.

It draws architectures and gives their log-probabilities. What is done with those, rewards and all, is not here.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


class DecisionPolicy(nn.Module):
    """A distribution over sequences of categorical choices (Zoph 2018, App. A.1).

    Each step takes the embedding of the previous choice through the LSTM and softmaxes over the options of
    the next decision. Options of all decisions share one table each for embeddings and for output weights.
    Numbers are float64, so that the last bit of a sum does not decide what is drawn.
    """

    def __init__(
        self, option_counts: Sequence[int], *, hidden: int, init_range: float, generator: torch.Generator
    ) -> None:
        """Draw the weights.

        Args:
            option_counts: number of options of each decision, in order.
            hidden: units of the LSTM, and length of the embeddings.
            init_range: every weight is uniform in [-init_range, init_range].
            generator: what the weights are drawn from; the global generator is not touched.
        """
        super().__init__()
        num_options = sum(option_counts)
        offsets = np.concatenate([[0], np.cumsum(option_counts)])
        self._spans = [(int(low), int(high)) for low, high in itertools.pairwise(offsets)]
        self._start = num_options  # the embedding in place of a previous choice
        with torch.random.fork_rng(devices=[]):  # layers draw weights from the global generator when made
            self.embedding = nn.Embedding(num_options + 1, hidden, dtype=torch.float64)
            self.lstm = nn.LSTM(hidden, hidden, batch_first=True, dtype=torch.float64)
            self.head = nn.Linear(hidden, num_options, dtype=torch.float64)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-init_range, init_range, generator=generator)
        columns = torch.arange(num_options)
        self._is_option = torch.stack([(columns >= low) & (columns < high) for low, high in self._spans])
        self._offsets = torch.tensor(offsets[:-1])

    @torch.no_grad()
    def sample(self, num_sequences: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        """Draw sequences.

        Returns:
            Option indices (sequences, decisions), and log-probabilities (sequences,) of the whole sequences.
        """
        draws = rng.random((num_sequences, len(self._spans)))
        choices = np.zeros(draws.shape, dtype=np.int64)
        total = np.zeros(num_sequences)
        state, previous = None, np.full(num_sequences, self._start)
        for i, (low, high) in enumerate(self._spans):
            output, state = self.lstm(self.embedding(torch.from_numpy(previous)).unsqueeze(1), state)
            logits = output[:, 0] @ self.head.weight[low:high].T + self.head.bias[low:high]
            log_probs = torch.log_softmax(logits, dim=1).numpy()
            # Inverting the cumulative distribution; its last entry, 1 up to rounding, is never an edge to cross.
            edges = np.exp(log_probs).cumsum(axis=1)[:, :-1]
            choices[:, i] = (edges <= draws[:, i : i + 1]).sum(axis=1)
            total += np.take_along_axis(log_probs, choices[:, i : i + 1], axis=1)[:, 0]
            previous = low + choices[:, i]
        return choices, total

    def forward(self, choices: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-probability and the entropy of each sequence.

        Args:
            choices: option indices (batch, decisions), integer.

        Returns:
            Log-probabilities (batch,), and entropies (batch,): sums over the decisions, in nats, of the
            distributions met along the sequence.
        """
        options = self._offsets + choices
        starts = torch.full_like(options[:, :1], self._start)
        outputs, _ = self.lstm(self.embedding(torch.cat([starts, options[:, :-1]], dim=1)))
        logits = self.head(outputs).masked_fill(~self._is_option, -torch.inf)
        log_probs = torch.log_softmax(logits, dim=2).masked_fill(~self._is_option, 0.0)
        entropies = -(log_probs.exp() * log_probs).sum(dim=(1, 2))  # masked options add exp(0) * 0 = 0
        chosen = log_probs.gather(2, options.unsqueeze(2)).squeeze(2)
        return chosen.sum(dim=1), entropies
