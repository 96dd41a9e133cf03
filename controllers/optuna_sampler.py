"""Any controller as an Optuna sampler, for studies whose objective functions are Optuna's.

The study is the only memory. With every trial that a controller asked for, the study keeps what was asked and
which results were told just before. So a new sampler on an existing study replays it and goes on as if it had never
stopped, and a trial that was ended by somebody else, such as Optuna's check for stale ones, is told as well.

A controller learns from what it asked for. Trials that were enqueued, added, or proposed by another sampler or with
another seed are left to those who did: processes that share a study need a seed each.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast, final

from torch import nn

from controllers.controller import Controller
from controllers.registry import make_controller
from controllers.study_replica import ASKED, StudyReplica
from controllers.trial import Objective, Trial
from search_spaces.architecture import Architecture, Blueprint, Complexity, Decision, Option
from search_spaces.errors import InvalidInputError, MissingDependencyError
from search_spaces.randomness import derive_seed
from search_spaces.registry import get_space
from search_spaces.space import SearchSpace

try:
    import optuna
except ImportError as error:
    raise MissingDependencyError(
        "a controller as an Optuna sampler needs Optuna, which is not installed: run `pip install optuna`."
    ) from error

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.search_space import IntersectionSearchSpace
    from optuna.study import Study
    from optuna.trial import BaseTrial, FrozenTrial

ControllerFactory = Callable[[SearchSpace, Sequence[Objective], int], Controller]

MOST_VALUES = 64  # a numeric parameter with more values than these is not one choice among a few


@final
class ControllerSampler(optuna.samplers.BaseSampler):
    """Propose what a controller asks for.

    Decisions are categorical parameters; without a space of networks, whatever finite parameters all completed
    trials share: categorical ones, and numbers with a step and at most `MOST_VALUES` values, whose order a
    controller does not see. All other parameters are drawn at random.

    A failed trial is told as a failure, as is one without a finite value. A pruned one is told its last
    intermediate value, which is the value that Optuna gives it, or a failure when it reported none.

    Every draw derives from (seed, trial number): results in the same order give the same study, with threads too.
    """

    def __init__(
        self,
        controller: str | ControllerFactory = "predictor",
        space: SearchSpace | str | None = None,
        *,
        seed: int = 0,
        options: Mapping[str, Any] | None = None,
        stop_when_exhausted: bool = False,
    ) -> None:
        """Check that there is such a controller; it starts when a study asks.

        Args:
            controller: a name as `controllers.make_controller` takes it, or a function of (space, objectives, seed)
                that makes one, by its own name the same in every process.
            space: of the networks; None to find the parameters out from the study's completed trials.
            seed: every random draw derives from it.
            options: the named controller's.
            stop_when_exhausted: what happens when the controller has nothing new: True stops the study and prunes the
                trial before it costs anything, False draws a point at random, which was proposed before.

        Raises:
            InvalidInputError: no such controller, option or space.
        """
        if not isinstance(controller, str) and options:
            raise InvalidInputError(f"options are for a controller by name, got {dict(options)} with a function.")
        if isinstance(controller, str):
            self._make: ControllerFactory = partial(_make_named, controller, dict(options or {}))
        else:
            self._make = controller
        self._title = _title(controller)
        self._options = dict(options or {})
        self._space = get_space(space) if isinstance(space, str) else space
        self._seed = seed
        self._stop_when_exhausted = stop_when_exhausted
        self._forget()
        self._make(self._space or _PROBE, (Objective(),), seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the decisions that have alternatives, or the finite parameters of all completed trials."""
        if self._space is not None:
            return {
                decision.name: optuna.distributions.CategoricalDistribution(optuna_choices(decision))
                for decision in self._space.decisions
                if len(decision) > 1
            }
        with self._lock:
            shared = self._shared.setdefault(study.study_name, optuna.search_space.IntersectionSearchSpace())
            found = shared.calculate(getattr(study, "_study", study))  # the whole study, whatever Hyperband shows of it
        return {name: one for name, one in found.items() if _options_of(one) is not None and not one.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return what the controller asks for; a parameter that is no decision is drawn at random.

        Raises:
            InvalidInputError: several objectives for a controller that takes one, or a study that this controller
                cannot have written.
        """
        objectives = self._objectives(study)
        options = {name: found for name, one in search_space.items() if (found := _options_of(one)) is not None}
        chosen: dict[str, Any] = {}
        # what was enqueued in part is not the controller's to complete: it would learn of another network's result
        if options and not trial.system_attrs.get("fixed_params", {}).keys() & options.keys():
            chosen = self._ask(study, trial, options=options, objectives=objectives)
        rest = {name: one for name, one in search_space.items() if name not in chosen}
        return chosen | {name: self.sample_independent(study, trial, name, one) for name, one in rest.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a random value, drawn from the seed, the trial's number and the parameter's name."""
        self._objectives(study)
        seed = derive_seed(self._seed, trial.number, f"independent {param_name}") % 2**32
        sampler = optuna.samplers.RandomSampler(seed=seed)
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """Do nothing: threads share the controller, and no two of its trials draw from the same stream."""

    def _ask(
        self,
        study: Study,
        trial: FrozenTrial,
        *,
        options: Mapping[str, tuple[Option, ...]],
        objectives: tuple[Objective, ...],
    ) -> dict[str, Any]:
        """Return the options asked for by name, and have the study remember; nothing when there is nothing new."""
        space = self._space_of(options)
        identity = self._identity(space, objectives)
        storage = study._storage
        with self._lock:
            key = (study.study_name, identity)
            if key not in self._replicas:
                self._replicas[key] = StudyReplica(identity, partial(self._make, space, objectives, self._seed))
            asked = self._replicas[key].ask(trial.number, storage.get_all_trials(study._study_id, deepcopy=False))
            if asked is not None:
                storage.set_trial_system_attr(trial._trial_id, ASKED, asked)
        if asked is not None:
            choices = zip(space.decisions, asked["trial"]["architecture"]["choices"], strict=True)
            return {d.name: options[d.name][choice] for d, choice in choices if d.name in options}
        if self._stop_when_exhausted:
            with suppress(RuntimeError):  # outside of `optimize` there is nothing to stop
                study.stop()
            raise optuna.TrialPruned("the search space is exhausted")
        return {}

    def _space_of(self, options: Mapping[str, tuple[Option, ...]]) -> SearchSpace:
        """Return the space whose decisions these are: the sampler's own unless some are fixed elsewhere."""
        own = self._space
        if own is not None and options == {d.name: optuna_choices(d) for d in own.decisions if len(d) > 1}:
            return own
        return _ChoiceSpace([Decision(name, values) for name, values in options.items()])

    def _objectives(self, study: Study) -> tuple[Objective, ...]:
        """Return the study's objectives.

        Raises:
            InvalidInputError: there are several and the controller takes one.
        """
        directions = [cast(Any, direction.name.lower()) for direction in study.directions]
        objectives = tuple(Objective(f"value{i}", direction) for i, direction in enumerate(directions))
        if len(objectives) not in self._accepted:
            self._make(self._space or _PROBE, objectives, self._seed)
            self._accepted.add(len(objectives))
        return objectives

    def _identity(self, space: SearchSpace, objectives: Sequence[Objective]) -> str:
        """Return what tells this controller's trials from others': equal for samplers that are made alike."""
        decisions = [[decision.name, decision.options] for decision in space.decisions]
        directions = [objective.direction for objective in objectives]
        parts = [self._options, space.name, decisions, directions]
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True, default=repr).encode()).hexdigest()[:12]
        return f"{self._title}, seed {self._seed}, {digest}"

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._accepted: set[int] = set()
        self._replicas: dict[tuple[str, str], StudyReplica] = {}
        self._shared: dict[str, IntersectionSearchSpace] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what the study brings back."""
        left_out = ("_lock", "_accepted", "_replicas", "_shared")
        return {name: value for name, value in vars(self).items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start anew with the same settings."""
        vars(self).update(state)
        self._forget()


def suggest_trial(trial: BaseTrial, space: SearchSpace) -> Trial:
    """Suggest every decision of a space and return the trial to evaluate, in an objective or from a finished trial.

    Args:
        trial: Optuna's.
        space: of the networks.

    Returns:
        The controller's trial, with its budget and what it continues, where a `ControllerSampler` asked for it;
        otherwise one of full length with Optuna's number.
    """
    choices = []
    for decision in space.decisions:
        options = optuna_choices(decision)
        choices.append(options.index(trial.suggest_categorical(decision.name, options)) if len(options) > 1 else 0)
    architecture = space.architecture(choices)
    if isinstance(trial, optuna.Trial):
        attributes = trial.storage.get_trial_system_attrs(trial._trial_id)
    else:
        attributes = getattr(trial, "system_attrs", {})
    if ASKED in attributes:
        asked = Trial.from_json(attributes[ASKED]["trial"])
        if asked.architecture.choices == architecture.choices:
            return replace(asked, architecture=architecture)
    return Trial(trial.number, architecture)


def optuna_choices(decision: Decision) -> tuple[Option, ...]:
    """Return a decision's options as Optuna tells options apart: by ``==``, so that 1, 1.0 and True are one to it."""
    alike = [sum(option == other for other in decision.options) > 1 for option in decision.options]
    pairs = zip(decision.options, alike, strict=True)
    return tuple(f"{option} ({type(option).__name__})" if double else option for option, double in pairs)


def _options_of(distribution: BaseDistribution) -> tuple[Option, ...] | None:
    """Return the values of a parameter that is one choice among a few, or None."""
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        plain = all(value is None or isinstance(value, str | int | float) for value in distribution.choices)
        distinct = plain and len(set(distribution.choices)) == len(distribution.choices)
        return cast(tuple[Option, ...], distribution.choices) if distinct else None
    if not isinstance(distribution, optuna.distributions.IntDistribution | optuna.distributions.FloatDistribution):
        return None
    low, high, step = distribution.low, distribution.high, distribution.step
    if distribution.log or step is None or (high - low) / step > MOST_VALUES - 1 + 1e-9:
        return None
    return tuple(min(low + i * step, high) for i in range(round((high - low) / step) + 1))


def _title(controller: str | ControllerFactory) -> str:
    if isinstance(controller, str):
        return controller
    named = controller if hasattr(controller, "__qualname__") else type(controller)
    return f"{named.__module__}.{named.__qualname__}"


def _make_named(
    name: str, options: Mapping[str, Any], space: SearchSpace, objectives: Sequence[Objective], seed: int
) -> Controller:
    return make_controller(name, space, objectives, seed, options)


@final
class _ChoiceSpace(SearchSpace):
    """Parameters that stand for nothing that could be built: every point is its own."""

    def __init__(self, decisions: Sequence[Decision]) -> None:
        super().__init__("optuna parameters", decisions)

    def key(self, architecture: Architecture) -> str:
        """Return the choices."""
        return "-".join(map(str, architecture.choices))

    def build(self, blueprint: Blueprint) -> nn.Module:
        """Refuse: there is nothing to build."""
        raise InvalidInputError("parameters of an Optuna study are no networks: give the sampler their space.")

    def complexity(self, blueprint: Blueprint) -> Complexity:
        """Refuse: there is nothing to count."""
        raise InvalidInputError("parameters of an Optuna study are no networks: give the sampler their space.")


_PROBE = _ChoiceSpace([Decision("probe", (0, 1))])
