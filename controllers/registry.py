"""The controllers by name, and how one is made from options that come by name too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from controllers.controller import Controller
from controllers.evolution import EvolutionOptions, RegularizedEvolution
from controllers.local_search import LocalSearch
from controllers.options import read_options
from controllers.optuna_adapter import SAMPLERS, OptunaSampler, make_sampler_factory
from controllers.random_search import RandomSearch
from controllers.trial import Objective
from search_spaces.errors import InvalidInputError, UnknownNameError
from search_spaces.space import SearchSpace

Options = Mapping[str, Any]


class ControllerFactory(Protocol):
    """Makes a controller of one kind."""

    def __call__(self, space: SearchSpace, objectives: Sequence[Objective], seed: int, options: Options) -> Controller:
        """Return a controller that has learnt nothing yet."""


@dataclass(frozen=True, slots=True)
class ControllerKind:
    """A controller that can be asked for by name: what it does, in a line, and how one is made."""

    description: str
    make: ControllerFactory


def _random(space: SearchSpace, objectives: Sequence[Objective], seed: int, options: Options) -> Controller:
    _refuse_options("random", options)
    return RandomSearch(space, objectives, seed)


def _evolution(space: SearchSpace, objectives: Sequence[Objective], seed: int, options: Options) -> Controller:
    parsed = read_options(EvolutionOptions, controller="evolution", given=options)
    return RegularizedEvolution(space, objectives, seed, options=parsed)


def _local(space: SearchSpace, objectives: Sequence[Objective], seed: int, options: Options) -> Controller:
    _refuse_options("local", options)
    return LocalSearch(space, objectives, seed)


def _predictor(space: SearchSpace, objectives: Sequence[Objective], seed: int, options: Options) -> Controller:
    from controllers.predictor import PredictorSearch  # the only controller that needs scipy

    _refuse_options("predictor", options)
    return PredictorSearch(space, objectives, seed)


def _rnn(space: SearchSpace, objectives: Sequence[Objective], seed: int, options: Options) -> Controller:
    from controllers.rnn import RNNController, RNNOptions  # the only controller that needs torch's layers

    parsed = read_options(RNNOptions, controller="rnn", given=options)
    return RNNController(space, objectives, seed, options=parsed)


def _rnn_by(
    algorithm: str, space: SearchSpace, objectives: Sequence[Objective], seed: int, options: Options
) -> Controller:
    if "algorithm" in options:
        raise InvalidInputError(f"controller {algorithm!r} takes no option 'algorithm': use it with controller 'rnn'.")
    return _rnn(space, objectives, seed, {**options, "algorithm": algorithm})


def _optuna(
    sampler: str, space: SearchSpace, objectives: Sequence[Objective], seed: int, options: Options
) -> Controller:
    return OptunaSampler(space, objectives, seed, sampler=make_sampler_factory(sampler, options))


def _refuse_options(name: str, options: Options) -> None:
    if options:
        raise InvalidInputError(f"controller {name!r} takes no options, got {', '.join(options)}: leave them out.")


CONTROLLERS: dict[str, ControllerKind] = {
    "random": ControllerKind("uniform draws, no network twice", _random),
    "evolution": ControllerKind("regularized evolution: tournament, one mutation, the oldest dies", _evolution),
    "local": ControllerKind("climb to better neighbours from random starts", _local),
    "predictor": ControllerKind("a Gaussian process over the choices, Thompson sampling", _predictor),
    "rnn": ControllerKind("an LSTM proposes, trained by PPO or, by option, REINFORCE", _rnn),
    "ppo": ControllerKind("rnn with algorithm=ppo", partial(_rnn_by, "ppo")),
    "reinforce": ControllerKind("rnn with algorithm=reinforce", partial(_rnn_by, "reinforce")),
    **{
        f"optuna:{sampler}": ControllerKind(f"{name} of Optuna", partial(_optuna, sampler))
        for sampler, name in SAMPLERS.items()
    },
}


def describe_controller(name: str) -> str:
    """Return in a line what the controller of a name does."""
    if name not in CONTROLLERS:
        raise UnknownNameError("controller", name, CONTROLLERS)
    return CONTROLLERS[name].description


def make_controller(
    name: str,
    space: SearchSpace,
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
    prefix, _, sampler = name.partition(":")
    if name in CONTROLLERS:
        make = CONTROLLERS[name].make
    elif prefix == "optuna":
        make = partial(_optuna, sampler)  # which says what is wrong with the sampler
    else:
        raise UnknownNameError("controller", name, CONTROLLERS)
    return make(space, objectives, seed, options or {})
