"""What the settings of a search must keep, and what follows from them."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, Field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from controllers.trial import Objective
from nas.errors import InvalidInputError, UnknownNameError
from search_spaces.local_file import is_local
from search_spaces.registry import as_space
from search_spaces.space import SearchSpace

if TYPE_CHECKING:
    from nas.config import SearchConfig

ExecutorName = Literal["serial", "processes", "ray", "simulated"]
TRAINING = "training"  # the evaluator that is no training-free score
# Controllers that ask for short trainings first; they are told which lengths there are.
MULTI_FIDELITY = ("asha", "halving", "hyperband")
SHORTEST_LADDER = 8  # epochs of a training whose first quarter says something of the whole: after one epoch none does
# What says nothing when results are looked up in a table, and what says nothing elsewhere.
IMAGE_SETTINGS = (
    *("space", "data", "data_root", "download", "train_limit", "resolution", "recipe", "recipe_changes"),
    *("final_recipe", "depth", "width", "stem", "parts", "evaluator", "gpus_per_worker", "device", "constraints"),
    *("trial_seconds", "trial_memory_bytes"),
)
TABLE_SETTINGS = ("report_metric", "seconds_metric", "fidelities")


def flag(name: str) -> str:
    """Return a setting's name as the command line spells it."""
    if name == "constraints":
        return "the bounds of params, macs and memory"
    renamed = {"fidelities": "fidelity", "costs": "cost", "recipe_changes": "recipe-set"}
    renamed |= {"trial_memory_bytes": "trial-memory"}
    return f"--{renamed.get(name, name).replace('_', '-')}"


def refuse_with_table(names: list[str]) -> None:
    """Refuse settings that say nothing when results are looked up.

    Raises:
        InvalidInputError: there are any.
    """
    if names:
        given = ", ".join(map(flag, names))
        raise InvalidInputError(f"a search on a table looks results up and trains nothing: leave out {given}.")


def settled(config: SearchConfig) -> dict[str, Any]:
    """Return the fields that follow from others: one way to write each value, and the metric that goes without saying.

    Raises:
        InvalidInputError: a fidelity that is no number of epochs.
    """
    try:
        fidelities = {int(epochs): column for epochs, column in config.fidelities.items()}
    except ValueError:
        raise InvalidInputError(f"--fidelity takes EPOCHS=COLUMN, got {config.fidelities}.") from None
    costs: Any = config.costs
    if isinstance(costs, str):
        raise InvalidInputError(f"costs are a list of metrics, got {costs!r}: put it into one.")
    changes: dict[str, Any] = {"costs": tuple(costs), "fidelities": dict(sorted(fidelities.items()))}
    changes["space"] = _findable(config.space)
    if config.table is not None:
        changes["table"] = str(Path(config.table).absolute())
    metric = config.evaluator if config.evaluator != TRAINING else fidelities[max(fidelities)] if fidelities else None
    if metric is not None and config.objective.metric == Objective().metric:
        changes["objective"] = replace(config.objective, metric=metric)
    return changes


def _findable(space: Any) -> str:
    """Return a specification by which another process finds a space: that of a file holds the whole path.

    Args:
        space: a specification, a space, or a user's class or function.

    Raises:
        InvalidInputError: an object that could not be found again from its name.
    """
    if isinstance(space, str):
        path, suffix, attribute = space.rpartition(".py")
        return f"{Path(path + suffix).expanduser().absolute()}{attribute}" if is_local(space) else space
    found = as_space(space)
    file = None if isinstance(space, SearchSpace) else inspect.getsourcefile(space)
    attribute = space.__qualname__ if file is not None else ""
    return found.name if file is None else f"{Path(file).absolute()}:{attribute}"


def check_numbers(config: SearchConfig) -> None:
    """Refuse numbers out of range, and an executor that is none."""
    for name, least in (("trials", 1), ("seed", 0), ("threads", 1), ("max_failures", 1)):
        value = getattr(config, name)
        if value < least:
            rule = f"at least {least}" if least else ">= 0"
            raise InvalidInputError(f"{flag(name)} must be {rule}, got {value}.")
    if config.executor not in get_args(ExecutorName):
        raise UnknownNameError("executor", str(config.executor), get_args(ExecutorName))
    for name in ("max_seconds", "max_epochs", "trial_seconds", "trial_memory_bytes"):
        value = getattr(config, name)
        if value is not None and not value > 0:
            raise InvalidInputError(f"{flag(name)} must be larger than 0, got {value}.")
    if config.executor == "simulated" and config.seconds_metric is None:
        raise InvalidInputError(
            "--executor simulated needs to be told how long trainings took: give --table, and --seconds-metric."
        )


def check_objectives(config: SearchConfig) -> None:
    """Refuse objectives of which one says nothing beside the others, and a weight that rewards dear networks."""
    metrics = [objective.metric for objective in config.objectives]
    if len(set(metrics)) < len(metrics):
        raise InvalidInputError(f"every metric is one objective, got {', '.join(metrics)}: name each once.")
    target, direction, weight = config.objective.target, config.objective.direction, config.objective.weight
    if config.costs and target is not None:
        raise InvalidInputError("a cost is weighed against a target or kept small by itself: give a target or costs.")
    if target is not None and (weight > 0 if direction == "maximize" else weight < 0):
        side = "below" if direction == "maximize" else "above"
        raise InvalidInputError(
            f"with --direction {direction}, --weight lies {side} 0 so that dear networks score worse, got {weight:g}."
        )


def check_table(config: SearchConfig) -> None:
    """Refuse what only a table has without one, and what only trainings have with one."""
    if config.table is None:
        given = [flag(name) for name in TABLE_SETTINGS if getattr(config, name)]
        if given:
            raise InvalidInputError(f"only a search on a table takes {', '.join(given)}: give --table FILE as well.")
        return
    refuse_with_table(
        [f.name for f in fields(config) if f.name in IMAGE_SETTINGS and getattr(config, f.name) != _default(f)]
    )
    if config.multi_fidelity and not config.fidelities:
        raise InvalidInputError(
            f"controller {config.resolved_controller!r} asks for trainings of several lengths: name the column of "
            "each, --fidelity 12=COLUMN --fidelity 200=COLUMN."
        )


def _default(setting: Field[Any]) -> Any:
    factory = setting.default_factory
    return setting.default if factory is MISSING else factory()
