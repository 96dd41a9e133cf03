"""The controllers by name, and how one is made from options that come by name too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from controllers.controller import Controller
from controllers.evolution import EvolutionOptions, RegularizedEvolution
from controllers.halving import HalvingKind, make_halving, split_options
from controllers.local_search import LocalSearch
from controllers.nsga2 import NSGA2, NSGA2Options
from controllers.options import read_options
from controllers.optuna_adapter import SAMPLERS, OptunaSampler, make_sampler_factory
from controllers.random_search import RandomSearch
from controllers.trial import Objective
from search_spaces.errors import InvalidInputError, UnknownNameError
from search_spaces.space import SearchSpace

if TYPE_CHECKING:
    from controllers.prior import Prior


@dataclass(frozen=True, slots=True)
class ControllerSetup:
    """Everything that a controller is made from; see `make_controller`."""

    space: SearchSpace
    objectives: Sequence[Objective] = (Objective(),)
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    prior: Prior | None = None


@dataclass(frozen=True, slots=True)
class ControllerKind:
    """A controller that can be asked for by name.

    Attributes:
        description: what it does, in a line.
        make: returns one that has learnt nothing yet.
        uses_prior: whether it can use a guess of the score.
    """

    description: str
    make: Callable[[ControllerSetup], Controller]
    uses_prior: bool = False


def _random(setup: ControllerSetup) -> Controller:
    _refuse_options("random", setup.options)
    return RandomSearch(setup.space, setup.objectives, setup.seed)


def _evolution(setup: ControllerSetup) -> Controller:
    options = read_options(EvolutionOptions, controller="evolution", given=setup.options)
    return RegularizedEvolution(setup.space, setup.objectives, setup.seed, options=options)


def _local(setup: ControllerSetup) -> Controller:
    _refuse_options("local", setup.options)
    return LocalSearch(setup.space, setup.objectives, setup.seed)


def _nsga2(setup: ControllerSetup) -> Controller:
    options = read_options(NSGA2Options, controller="nsga2", given=setup.options)
    return NSGA2(setup.space, setup.objectives, setup.seed, options=options)


def _predictor(setup: ControllerSetup) -> Controller:
    from controllers.predictor import PredictorSearch  # the only controller that needs scipy

    _refuse_options("predictor", setup.options)
    return PredictorSearch(setup.space, setup.objectives, setup.seed, prior=setup.prior)


def _rnn(setup: ControllerSetup) -> Controller:
    from controllers.rnn import RNNController, RNNOptions  # the only controller that needs torch's layers

    options = read_options(RNNOptions, controller="rnn", given=setup.options)
    return RNNController(setup.space, setup.objectives, setup.seed, options=options)


def _rnn_by(algorithm: str, setup: ControllerSetup) -> Controller:
    if "algorithm" in setup.options:
        raise InvalidInputError(f"controller {algorithm!r} takes no option 'algorithm': use it with controller 'rnn'.")
    return _rnn(replace(setup, options={**setup.options, "algorithm": algorithm}))


def _optuna(sampler: str, setup: ControllerSetup) -> Controller:
    make = make_sampler_factory(sampler, setup.options)
    return OptunaSampler(setup.space, setup.objectives, setup.seed, sampler=make)


def _halving(kind: HalvingKind, inner: str, setup: ControllerSetup) -> Controller:
    split = split_options(kind, setup.options)
    return make_halving(kind, find_kind(inner).make(replace(setup, options=split.inner)), split.halving)


def _refuse_options(name: str, options: Mapping[str, Any]) -> None:
    if options:
        raise InvalidInputError(f"controller {name!r} takes no options, got {', '.join(options)}: leave them out.")


# The published algorithms draw new networks at random. Evolution inside finds better ones for the same epochs.
INNER = "evolution"
HALVINGS: dict[str, tuple[HalvingKind, str]] = {
    "halving": ("halving", "successive halving of evolution's networks; halving:NAME, of another's"),
    "asha": ("asha", "asynchronous successive halving; asha:NAME, of another's networks"),
    "hyperband": ("hyperband", "successive halving that starts at several lengths; hyperband:NAME, of another's"),
}

CONTROLLERS: dict[str, ControllerKind] = {
    "random": ControllerKind("uniform draws, no choices twice: the baseline", _random),
    "evolution": ControllerKind("regularized evolution: tournament, one mutation, the oldest dies", _evolution),
    "local": ControllerKind("climb to better neighbours from random starts", _local),
    "predictor": ControllerKind("a Gaussian process over the choices says what to try", _predictor, uses_prior=True),
    "nsga2": ControllerKind("NSGA-II: a front of several objectives, crossover and mutation", _nsga2),
    "rnn": ControllerKind("an LSTM proposes, trained by PPO or, by option, REINFORCE", _rnn),
    "ppo": ControllerKind("rnn with algorithm=ppo", partial(_rnn_by, "ppo")),
    "reinforce": ControllerKind("rnn with algorithm=reinforce", partial(_rnn_by, "reinforce")),
    **{name: ControllerKind(text, partial(_halving, kind, INNER)) for name, (kind, text) in HALVINGS.items()},
    **{
        f"optuna:{sampler}": ControllerKind(f"{name} of Optuna", partial(_optuna, sampler))
        for sampler, name in SAMPLERS.items()
    },
}


def find_kind(name: str) -> ControllerKind:
    """Return the kind of a name; ``asha:NAME`` and its like wrap another kind.

    Raises:
        UnknownNameError: no such controller; the message lists the known ones.
    """
    prefix, _, rest = name.partition(":")
    if name in CONTROLLERS:
        return CONTROLLERS[name]
    if prefix == "optuna":
        return ControllerKind("", partial(_optuna, rest))  # which says what is wrong with the sampler
    if prefix in HALVINGS:
        inner = find_kind(rest)
        if rest.partition(":")[0] in HALVINGS:
            raise InvalidInputError(
                f"controller {name!r} halves twice: name one that does not, as in '{prefix}:local'."
            )
        return ControllerKind(
            f"{prefix} of {rest}'s networks", partial(_halving, HALVINGS[prefix][0], rest), inner.uses_prior
        )
    raise UnknownNameError("controller", name, CONTROLLERS)


def describe_controller(name: str) -> str:
    """Return in a line what the controller of a name does."""
    return find_kind(name).description


def make_controller(
    name: str,
    space: SearchSpace,
    objectives: Sequence[Objective] = (Objective(),),
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    *,
    prior: Prior | None = None,
) -> Controller:
    """Return the controller of a name.

    Args:
        name: a key of `CONTROLLERS`, or ``asha:NAME``, ``halving:NAME``, ``hyperband:NAME`` around another.
        space: where to search.
        objectives: what to search for; several only for ``random``, ``predictor``, ``nsga2`` and ``optuna:...``.
        seed: every random draw derives from it.
        options: settings by name: the fields of the controller's options class, or the keyword arguments of the
            Optuna sampler.
        prior: a guess of every network's score, for the controllers that can use one.

    Raises:
        UnknownNameError: no such controller or option; the message lists the known ones.
        InvalidInputError: an option's value, a prior, or the number of objectives, that the controller cannot take.
        MissingDependencyError: an ``optuna:...`` controller without Optuna installed.
    """
    kind = find_kind(name)
    if prior is not None and not kind.uses_prior:
        able = ", ".join(known for known, other in CONTROLLERS.items() if other.uses_prior)
        raise InvalidInputError(f"controller {name!r} cannot use a prior, got {prior.name!r}: use {able}, or no prior.")
    return kind.make(ControllerSetup(space, objectives, seed, options or {}, prior))
