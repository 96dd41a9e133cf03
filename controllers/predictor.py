"""Predictor-guided search: a model of the space proposes what it believes, or can imagine, to be best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
from scipy.stats import norm, rankdata

from controllers.acquisition import log_expected_improvement
from controllers.candidates import Candidates, CandidateSource, make_candidate_source
from controllers.controller import Controller, Proposal
from controllers.encoding import Encoder, Features, Floats
from controllers.gaussian_process import Kernel, Posterior, fit_kernel
from controllers.prior import Prior, StandardGuesses
from controllers.single_thread import one_thread
from controllers.trial import Objective, Record
from controllers.unseen import UnseenNetworks
from search_spaces.architecture import Architecture
from search_spaces.randomness import derive_generator
from search_spaces.space import SearchSpace

RANDOM_START = 10  # networks measured before the model is asked
REFIT_GROWTH = 1.1  # the kernel is fitted again when there is so much more data
FIT_POINTS = 300  # and to at most so many of them: a fit costs their number cubed
LINEAR_SHARE = 0.05  # of the plain sum in a scalarised score (Knowles 2006)


@final
class PredictorSearch(Controller):
    """Propose by a Gaussian process over the choices: by expected improvement and by Thompson sampling in turn.

    Expected improvement finds good networks soon and may then stay among their like. A draw of every candidate's
    value from what is believed of it, of which the largest is proposed (Thompson 1933), goes elsewhere as long as
    anything better is thinkable. Neither has a constant to tune.

    Scores enter as normal scores of their ranks, so their unit and outliers do not matter, and a failure is simply
    the lowest rank. Networks still in work count as measured with what is predicted of them, so several workers
    get different ones. Candidates are all networks of a small space; in a large one random networks and mutations
    of the best (as in BANANAS, White 2021, https://arxiv.org/abs/1910.11858).

    Several objectives are searched by a random weighing of them for every proposal (ParEGO, Knowles 2006): the
    smallest weighted rank, plus a small share of the weighted sum.
    """

    never_repeats = True

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective] = (Objective(),),
        seed: int = 0,
        *,
        prior: Prior | None = None,
    ) -> None:
        """Start with nothing learnt.

        Args:
            space: where to search.
            objectives: what to search for, any number.
            seed: every random draw derives from it.
            prior: a guess of the score; how far it is right, and in which direction, is learnt.
        """
        super().__init__(space, objectives, seed)
        self._encoder = Encoder(space.decisions)
        self._unseen = UnseenNetworks(space)
        self._told: list[Architecture] = []
        self._scores: list[list[float]] = []
        guesses = None if prior is None else StandardGuesses(prior, space, derive_generator(seed, 0, "guesses"))
        self._guesses = guesses
        self._source: CandidateSource = make_candidate_source(
            space, self._encoder, guesses, costly=prior is not None and prior.costly
        )
        self._points: Features | None = None
        self._kernel = Kernel.start(len(space.decisions), self._encoder.num_blocks + (prior is not None))
        self._fitted = 0  # number of results at the last fit
        self._posterior: Posterior | None = None

    def propose(self, number: int, rng: np.random.Generator) -> Proposal | None:
        """Return the most promising candidate that was not proposed yet; at random while too little is known."""
        if len(self._told) >= RANDOM_START and len({tuple(scores) for scores in self._scores}) > 1:
            weights = rng.dirichlet(np.ones(len(self.objectives)))
            values = self._values(weights)
            with one_thread():
                self._refit(rng)
                candidates = self._source.draw(self._told, values, rng)
                mean, deviation = self._predict(candidates, values)
            if number % 2:
                worth = mean + deviation * rng.standard_normal(len(mean))
            else:
                worth = log_expected_improvement(mean, deviation, best=float(values.max()))
            for i in np.argsort(-worth, kind="stable"):
                architecture = candidates.architecture(int(i))
                if self._unseen.take(architecture):
                    return Proposal(architecture)
        unseen = self._unseen.draw(rng)
        return None if unseen is None else Proposal(unseen)

    def learn(self, record: Record) -> None:
        """Add a result, or a failure as worse than all results."""
        scores = [objective.score(record.measurement) for objective in self.objectives]
        self._told.append(record.trial.architecture)
        self._scores.append([-np.inf if score is None else score for score in scores])
        point = self._encode([record.trial.architecture])
        self._points = point if self._points is None else self._points.join(point)

    def _values(self, weights: Floats) -> Floats:
        """Return one number a result, larger is better, spread as a normal distribution."""
        ranks = rankdata(np.array(self._scores), axis=0)
        if len(weights) > 1:
            weighted = weights * ranks / len(ranks)
            ranks = rankdata(weighted.min(axis=1) + LINEAR_SHARE * weighted.sum(axis=1))
        return np.asarray(norm.ppf((ranks.ravel() - 0.5) / len(ranks)))

    def _refit(self, rng: np.random.Generator) -> None:
        """Fit the kernel again once the data have grown enough, all objectives weighing the same."""
        n = len(self._told)
        if n < REFIT_GROWTH * self._fitted:
            return
        assert self._points is not None
        rows = np.sort(rng.choice(n, min(n, FIT_POINTS), replace=False))
        values = self._values(np.full(len(self.objectives), 1 / len(self.objectives)))
        self._kernel = fit_kernel(self._points.take(rows), values[rows], start=self._kernel)
        self._fitted = n
        self._posterior = None

    def _predict(self, candidates: Candidates, values: Floats) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of each candidate's value, networks in work taken as measured."""
        assert self._points is not None
        if self._posterior is None or not candidates.permanent:
            self._posterior = Posterior(self._kernel, candidates.features)
        known = len(self._posterior)
        if known < len(values):
            self._posterior.extend(self._points.take(np.arange(known, len(values))))
        if self.pending:
            self._posterior.extend(self._encode([trial.architecture for trial in self.pending]))
        prediction = self._posterior.predict(values)
        self._posterior.truncate(len(values))
        return prediction

    def _encode(self, architectures: Sequence[Architecture]) -> Features:
        guess = None if self._guesses is None else self._guesses(architectures)
        return self._encoder.encode(np.array([architecture.choices for architecture in architectures]), guess)
