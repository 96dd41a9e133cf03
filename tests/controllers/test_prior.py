"""Guesses on a common scale, and a predictor that learns how far to trust them."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest

from controllers import PredictorSearch, Prior, make_controller
from controllers.prior import StandardGuesses
from search_spaces.architecture import Architecture
from search_spaces.errors import InvalidInputError


def test_unit_and_outliers_of_a_guess_do_not_matter(tables: ModuleType) -> None:
    space = tables.TableSpace()
    rng = np.random.default_rng(1)
    networks = [space.sample(rng) for _ in range(50)]
    plain = StandardGuesses(Prior("score", space.score), space, np.random.default_rng(0))
    huge = StandardGuesses(Prior("score", lambda a: math.exp(500 * space.score(a))), space, np.random.default_rng(0))
    assert np.array_equal(plain(networks), huge(networks))


def test_guesses_have_about_unit_variance_over_the_space(tables: ModuleType) -> None:
    """Uniform between -sqrt(3) and sqrt(3): mean 0 +- 0.07 and variance 1 +- 0.07 by the 200 marks, 400 networks."""
    space = tables.TableSpace()
    rng = np.random.default_rng(1)
    found = StandardGuesses(Prior("score", space.score), space, rng)([space.sample(rng) for _ in range(400)])
    assert abs(found.mean()) < 0.3
    assert abs(found.var() - 1) < 0.25


def test_a_missing_guess_is_the_middle(tables: ModuleType) -> None:
    space = tables.TableSpace()
    rng = np.random.default_rng(0)
    nothing = StandardGuesses(Prior("nothing", lambda architecture: math.nan), space, rng)
    assert np.array_equal(nothing([space.sample(rng) for _ in range(5)]), np.zeros(5))


def test_a_network_is_guessed_once(tables: ModuleType) -> None:
    space = tables.TableSpace()
    asked: list[Architecture] = []

    def guess(architecture: Architecture) -> float:
        asked.append(architecture)
        return 0.0

    guesses = StandardGuesses(Prior("zero", guess), space, np.random.default_rng(0))
    network = space.sample(np.random.default_rng(1))
    guesses([network, network])
    guesses([network])
    assert asked.count(network) == 1


@pytest.mark.parametrize("costly", [False, True])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_good_guess_helps_even_upside_down(costly: bool, sign: int, tables: ModuleType) -> None:
    """Twenty trials with a guess that orders networks rightly, over eight tables: a smaller regret than without."""
    with_guess, without = [], []
    for seed in range(8):
        space = tables.TableSpace(table=seed)
        prior = Prior("oracle", lambda a, space=space: sign * space.score(a), costly)
        for scores, controller in (
            (with_guess, PredictorSearch(space, seed=seed, prior=prior)),
            (without, PredictorSearch(space, seed=seed)),
        ):
            scores.append(tables.best_score(tables.run(controller, tables.by_table(space), 20)))
    assert np.mean(with_guess) > np.mean(without)


def test_a_costly_guess_is_made_for_few_networks(tables: ModuleType) -> None:
    space = tables.TableSpace()
    asked: set[Architecture] = set()

    def guess(architecture: Architecture) -> float:
        asked.add(architecture)
        return space.score(architecture)

    tables.run(PredictorSearch(space, prior=Prior("slow", guess, costly=True)), tables.by_table(space), 30)
    assert len(asked) < 600


def test_a_useless_guess_does_little_harm(tables: ModuleType) -> None:
    """A guess that is noise: still better than random search with twice the trials."""
    found, random = [], []
    for seed in range(6):
        space = tables.TableSpace(table=seed)
        noise = np.random.default_rng(seed)
        prior = Prior("noise", lambda architecture, noise=noise: float(noise.random()))
        found.append(
            tables.best_score(tables.run(PredictorSearch(space, seed=seed, prior=prior), tables.by_table(space), 50))
        )
        random.append(
            tables.best_score(tables.run(make_controller("random", space, seed=seed), tables.by_table(space), 100))
        )
    assert np.mean(found) > np.mean(random)


def test_a_prior_is_refused_where_it_would_be_ignored(tables: ModuleType) -> None:
    prior = Prior("params", lambda architecture: 0.0)
    with pytest.raises(InvalidInputError, match="'local' cannot use a prior, got 'params': use predictor, or no prior"):
        make_controller("local", tables.TableSpace(), prior=prior)
    options = {"budgets": [1, 3]}
    assert make_controller("asha:predictor", tables.TableSpace(), options=options, prior=prior).ask()
