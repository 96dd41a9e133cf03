"""What to try next: controllers that ask and tell, and nothing else.

`CONTROLLERS` holds every controller by name; `make_controller` makes one. A controller of your own needs no
entry: a subclass of `Controller` with `propose` and `learn` works wherever these do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from controllers.controller import Controller, Proposal
from controllers.evolution import EvolutionOptions, RegularizedEvolution
from controllers.options import read_options
from controllers.optuna_adapter import SAMPLERS, OptunaSampler, make_sampler_factory
from controllers.random_search import RandomSearch
from controllers.rnn import RNNController, RNNOptions
from controllers.trial import Measurement, Objective, Record, Status, Trial
from search_spaces.errors import InvalidInputError, UnknownNameError
from search_spaces.space import SearchSpace

Options = Mapping[str, Any]


class ControllerFactory(Protocol):
    """Makes a controller of one kind from options by name."""

    def __call__(
        self, space: SearchSpace, *, objectives: Sequence[Objective], seed: int, options: Options
    ) -> Controller:
        """Return a controller that has learnt nothing yet."""


def _random(space: SearchSpace, *, objectives: Sequence[Objective], seed: int, options: Options) -> Controller:
    if options:
        raise InvalidInputError(f"controller 'random' takes no options, got {', '.join(options)}.")
    return RandomSearch(space, objectives, seed)


def _evolution(space: SearchSpace, *, objectives: Sequence[Objective], seed: int, options: Options) -> Controller:
    parsed = read_options(EvolutionOptions, controller="evolution", given=options)
    return RegularizedEvolution(space, objectives, seed, options=parsed)


def _rnn(space: SearchSpace, *, objectives: Sequence[Objective], seed: int, options: Options) -> Controller:
    parsed = read_options(RNNOptions, controller="rnn", given=options)
    return RNNController(space, objectives, seed, options=parsed)


def _rnn_by(
    algorithm: str, space: SearchSpace, *, objectives: Sequence[Objective], seed: int, options: Options
) -> Controller:
    if "algorithm" in options:
        raise InvalidInputError(f"controller {algorithm!r} takes no option 'algorithm': use it with controller 'rnn'.")
    return _rnn(space, objectives=objectives, seed=seed, options={**options, "algorithm": algorithm})


def _optuna(
    sampler: str, space: SearchSpace, *, objectives: Sequence[Objective], seed: int, options: Options
) -> Controller:
    return OptunaSampler(space, objectives, seed, sampler=make_sampler_factory(sampler, options))


CONTROLLERS: dict[str, ControllerFactory] = {
    "random": _random,
    "evolution": _evolution,
    "rnn": _rnn,
    "ppo": partial(_rnn_by, "ppo"),
    "reinforce": partial(_rnn_by, "reinforce"),
    **{f"optuna:{sampler}": partial(_optuna, sampler) for sampler in SAMPLERS},
}


def make_controller(
    name: str,
    space: SearchSpace,
    *,
    objectives: Sequence[Objective] = (Objective(),),
    seed: int = 0,
    options: Options | None = None,
) -> Controller:
    """Return the controller of a name.

    Args:
        name: a key of `CONTROLLERS`.
        space: where to search.
        objectives: what to search for; several only for ``random`` and ``optuna:...``.
        seed: every random draw derives from it.
        options: settings by name: the fields of `EvolutionOptions` or `RNNOptions`, or the keyword arguments
            of the Optuna sampler.

    Raises:
        UnknownNameError: no such controller or option; the message lists the known ones.
        InvalidInputError: an option's value, or the number of objectives, that the controller cannot take.
        MissingDependencyError: an ``optuna:...`` controller without Optuna installed.
    """
    kind, _, sampler = name.partition(":")
    if name not in CONTROLLERS and kind != "optuna":
        raise UnknownNameError("controller", name, CONTROLLERS)
    factory = CONTROLLERS.get(name) or partial(_optuna, sampler)  # which says what is wrong with the sampler
    return factory(space, objectives=objectives, seed=seed, options=options or {})


__all__ = [
    "CONTROLLERS",
    "Controller",
    "ControllerFactory",
    "EvolutionOptions",
    "Measurement",
    "Objective",
    "OptunaSampler",
    "Proposal",
    "RNNController",
    "RNNOptions",
    "RandomSearch",
    "Record",
    "RegularizedEvolution",
    "Status",
    "Trial",
    "make_controller",
]
