"""What to try next: controllers that ask and tell, and nothing else.

A controller of your own needs no entry anywhere: a subclass of `Controller` with `propose` and `learn` works
wherever these do. Names are loaded when they are first used, so that importing this costs little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.lazy import lazy_attributes

if TYPE_CHECKING:
    from controllers.controller import Controller, Proposal
    from controllers.evolution import EvolutionOptions, RegularizedEvolution
    from controllers.local_search import LocalSearch
    from controllers.nsga2 import NSGA2, NSGA2Options
    from controllers.optuna_adapter import OptunaSampler
    from controllers.optuna_sampler import ControllerSampler, suggest_trial
    from controllers.predictor import PredictorSearch
    from controllers.prior import Prior
    from controllers.random_search import RandomSearch
    from controllers.registry import CONTROLLERS, describe_controller, make_controller
    from controllers.rnn import RNNController, RNNOptions
    from controllers.trial import Measurement, Objective, Record, Trial

_HOMES = {
    "NSGA2": "controllers.nsga2",
    "NSGA2Options": "controllers.nsga2",
    "Prior": "controllers.prior",
    "CONTROLLERS": "controllers.registry",
    "Controller": "controllers.controller",
    "ControllerSampler": "controllers.optuna_sampler",
    "EvolutionOptions": "controllers.evolution",
    "LocalSearch": "controllers.local_search",
    "Measurement": "controllers.trial",
    "Objective": "controllers.trial",
    "OptunaSampler": "controllers.optuna_adapter",
    "PredictorSearch": "controllers.predictor",
    "Proposal": "controllers.controller",
    "RNNController": "controllers.rnn",
    "RNNOptions": "controllers.rnn",
    "RandomSearch": "controllers.random_search",
    "Record": "controllers.trial",
    "RegularizedEvolution": "controllers.evolution",
    "Trial": "controllers.trial",
    "describe_controller": "controllers.registry",
    "make_controller": "controllers.registry",
    "suggest_trial": "controllers.optuna_sampler",
}

__all__ = [
    "CONTROLLERS",
    "NSGA2",
    "Prior",
    "Controller",
    "ControllerSampler",
    "EvolutionOptions",
    "LocalSearch",
    "Measurement",
    "NSGA2Options",
    "Objective",
    "OptunaSampler",
    "PredictorSearch",
    "Proposal",
    "RNNController",
    "RNNOptions",
    "RandomSearch",
    "Record",
    "RegularizedEvolution",
    "Trial",
    "describe_controller",
    "make_controller",
    "suggest_trial",
]

__getattr__ = lazy_attributes(__name__, _HOMES)
