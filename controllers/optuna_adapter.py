"""Any Optuna sampler as a controller. Optuna is imported when one is made, never before.

A sampler sees each decision as a categorical parameter, and the scores as values to maximise.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, final

import numpy as np

from controllers.controller import Controller, Proposal
from controllers.single_thread import one_thread
from controllers.trial import Objective, Record
from search_spaces.errors import InvalidInputError, MissingDependencyError, UnknownNameError
from search_spaces.randomness import derive_seed
from search_spaces.space import SearchSpace

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

SamplerFactory = Callable[[int], "BaseSampler"]

# Samplers that can search categorical decisions, by our name: the class in `optuna.samplers`.
SAMPLERS = {
    "gp": "GPSampler",
    "nsga2": "NSGAIISampler",
    "nsga3": "NSGAIIISampler",
    "random": "RandomSampler",
    "tpe": "TPESampler",
}
_VISITS_ALL = "visits every point in turn: the controller 'random' does so, and tells equal networks apart"
_CONTINUOUS = "searches continuous parameters only and would draw every decision of a network at random"
UNSUITABLE = {"brute_force": _VISITS_ALL, "cmaes": _CONTINUOUS, "grid": _VISITS_ALL, "qmc": _CONTINUOUS}


@final
class OptunaSampler(Controller):
    """Propose what an Optuna sampler suggests.

    Two things differ from the sampler alone. Its random streams restart at every ask from the trial's own
    number, so a resumed run asks for the same networks. And failures are told as values worse than any result,
    since samplers ignore failed trials: one spread of the results below the worst, in every objective. Until
    there is a result to be worse than, failures are left running, which TPE and GP avoid too.

    A sampler may suggest a network again.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective] = (Objective(),),
        seed: int = 0,
        *,
        sampler: SamplerFactory,
    ) -> None:
        """Start an empty study.

        Args:
            space: where to search.
            objectives: one, or several if the sampler can handle them.
            seed: every random draw derives from it.
            sampler: makes a sampler with the given seed; called once.

        Raises:
            MissingDependencyError: Optuna is not installed.
        """
        super().__init__(space, objectives, seed)
        optuna = _import_optuna()
        with _quiet():
            self._sampler = sampler(derive_seed(seed, 0, "sampler") % 2**32)
            self._study = optuna.create_study(directions=["maximize"] * len(self.objectives), sampler=self._sampler)
        self._distributions = {
            decision.name: optuna.distributions.CategoricalDistribution(range(len(decision)))
            for decision in space.decisions
            if len(decision) > 1
        }
        self._results: list[list[float]] = []
        self._held_back: list[int] = []

    def propose(self, number: int, rng: np.random.Generator) -> Proposal:
        """Return what the sampler suggests."""
        _restart(self._sampler, int(rng.integers(2**32)))
        with _quiet(), one_thread():
            suggested = self._study.ask(self._distributions)
        choices = [suggested.params.get(decision.name, 0) for decision in self.space.decisions]
        return Proposal(self.space.architecture(choices))

    def learn(self, record: Record) -> None:
        """Tell the study a result, or that a trial was worse than all results."""
        scores = [objective.score(record.measurement) for objective in self.objectives]
        result = [score for score in scores if score is not None]
        if result:
            self._results.append(result)
            self._tell(record.trial.number, result)
        else:
            self._held_back.append(record.trial.number)
        if self._results:
            for number in self._held_back:
                self._tell(number, [_worse_than(column) for column in zip(*self._results, strict=True)])
            self._held_back.clear()

    def _tell(self, number: int, values: list[float]) -> None:
        with _quiet():
            self._study.tell(number, values)


def make_sampler_factory(name: str, options: Mapping[str, Any]) -> SamplerFactory:
    """Return what makes an Optuna sampler of a name in `SAMPLERS`, given a seed.

    Args:
        name: a key of `SAMPLERS`.
        options: keyword arguments of the sampler's class, other than its seed.

    Raises:
        UnknownNameError: no such sampler, or the sampler has no such option.
        InvalidInputError: a sampler that cannot search architectures, or an option's value that it refuses.
        MissingDependencyError: Optuna is not installed.
    """
    if name in UNSUITABLE:
        raise InvalidInputError(f"Optuna's sampler {name!r} {UNSUITABLE[name]}. Use one of: {', '.join(SAMPLERS)}.")
    if name not in SAMPLERS:
        raise UnknownNameError("Optuna sampler", name, SAMPLERS)
    sampler_class = getattr(_import_optuna().samplers, SAMPLERS[name])
    known = inspect.signature(sampler_class).parameters.keys() - {"seed"}
    for option in options:
        if option not in known:
            raise UnknownNameError(f"option of controller 'optuna:{name}'", option, known)

    def make(seed: int) -> BaseSampler:
        sampler: BaseSampler = sampler_class(seed=seed, **options)
        return sampler

    try:
        with _quiet():
            make(0)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"controller 'optuna:{name}' does not take {dict(options)}: {error}.") from error
    return make


def _restart(sampler: BaseSampler, seed: int) -> None:
    """Seed every random stream of a sampler and of those it leans on.

    Optuna itself restarts them from the system's entropy only. A sampler that keeps its streams elsewhere
    stays reproducible, as a whole run, by the seed that it was made with.
    """
    from optuna.samplers import BaseSampler

    for part in vars(sampler).values():
        if isinstance(part, BaseSampler):
            _restart(part, seed)
        elif isinstance(stream := getattr(part, "rng", None), np.random.RandomState):
            stream.seed(seed)


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingDependencyError(
            "the controllers 'optuna:...' need Optuna, which is not installed: run `pip install optuna`."
        ) from error
    return optuna


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's log lines and its warnings of experimental classes from the user, inside this block only."""
    logging = _import_optuna().logging
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)


def _worse_than(scores: Sequence[float]) -> float:
    """Return a score one spread below the worst; with no spread, below by the worst's own size."""
    worst = min(scores)
    return worst - ((max(scores) - worst) or abs(worst) or 1.0)
