"""The controller that a search's settings ask for."""

from __future__ import annotations

from typing import Any

from controllers import make_controller
from controllers.controller import Controller
from controllers.prior import Prior
from controllers.registry import CONTROLLERS
from controllers.trial import Objective
from nas.config import SearchConfig
from nas.errors import InvalidInputError, MissingDependencyError
from search_spaces.space import SearchSpace


def make_search_controller(config: SearchConfig, space: SearchSpace, *, prior: Prior | None) -> Controller:
    """Return a controller that has learnt nothing yet.

    Args:
        config: names the controller, its options, the objectives and the seed.
        space: where to search.
        prior: a guess of every network's worth; None when there is none, which every controller can do with.

    Raises:
        UnknownNameError: no such controller or option.
        InvalidInputError: an option, a prior, or several objectives that the controller cannot take.
        MissingDependencyError: it needs a package that is not installed.
    """
    name, options = config.resolved_controller, config.resolved_controller_options
    try:
        return make_controller(name, space, config.objectives, config.seed, options, prior=prior)
    except InvalidInputError:
        if config.costs and _takes(name, space, config.objectives[:1], options):
            raise InvalidInputError(_one_objective_only(config, space)) from None
        raise


def _one_objective_only(config: SearchConfig, space: SearchSpace) -> str:
    metrics = ", ".join(objective.metric for objective in config.objectives)
    able = ", ".join(name for name in CONTROLLERS if _takes(name, space, config.objectives, {}))
    return (
        f"controller {config.resolved_controller!r} searches for one objective, got {len(config.objectives)} "
        f"({metrics}): use one of {able}, or weigh one cost into the objective with --target."
    )


def _takes(name: str, space: SearchSpace, objectives: tuple[Objective, ...], options: dict[str, Any]) -> bool:
    try:
        make_controller(name, space, objectives, 0, options)
    except (InvalidInputError, MissingDependencyError):
        return False
    return True
