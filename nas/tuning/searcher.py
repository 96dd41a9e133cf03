"""A controller as a searcher of Ray Tune.

What Tune saves and restores is a JSON file of the asks and tells, which a fresh controller replays; so a restored
search proposes what the undisturbed one would have, and nothing of a controller is ever pickled.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, final

from ray.tune.search import Searcher
from ray.tune.search.variant_generator import parse_spec_vars

from controllers import make_controller
from controllers.trial import Measurement, Objective
from nas.errors import InvalidInputError, JournalError, StorageError, UnknownNameError
from nas.tuning.ledger import Ledger
from nas.tuning.trial_config import config_of
from search_spaces.registry import as_space
from search_spaces.space import SearchSpace

FORMAT_VERSION = 1
DIRECTIONS: dict[str, Any] = {"max": "maximize", "min": "minimize"}


@final
class NASSearcher(Searcher):
    """Propose what a controller asks for.

    A trainable is given the options by decision name; `architecture_from` makes the architecture of them. A trial's
    result is the last that it reported, whoever ended it: a scheduler that stops a network early stops it because it
    was behind, and that is what the controller learns. A trial that ended in an error is a failure to learn from. A
    network that was evaluated before, in whatever way it is drawn, is not proposed to Tune again.

    Tune passes its own metric on only together with a ``param_space``; what that holds are constants.
    """

    CKPT_FILE_TMPL = "searcher-state-{}.json"

    def __init__(
        self,
        space: Any,
        controller: str = "predictor",
        metric: str | Sequence[str] | None = None,
        mode: str | Sequence[str] | None = None,
        seed: int = 0,
        **options: Any,
    ) -> None:
        """Start with nothing asked.

        Args:
            space: a specification, a space, or a class or function of one's own; see `search_spaces.as_space`.
            controller: a name as `controllers.make_controller` takes it.
            metric: name of the reported number to search by; several for a controller that takes several objectives.
                None for Tune's, or ``val_accuracy``.
            mode: ``max`` or ``min``, one for each metric.
            seed: every random draw derives from it.
            options: the controller's.

        Raises:
            InvalidInputError: no such space, controller, option or mode, or more metrics than the controller takes.
        """
        self._arguments: dict[str, Any] = {"space": space, "controller": controller, "seed": seed, **options}
        self._space = space if isinstance(space, SearchSpace) else as_space(space)
        self._settings: dict[str, Any] = {
            "controller": controller,
            "seed": seed,
            "options": options,
            "space": self._space.name,
        }
        self._is_told = metric is not None
        self._use(metric, mode)
        super().__init__(metric=self._metric, mode=self._mode)

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Take over Tune's metric where none was given before.

        Returns:
            Whether all that is left of the parameter space are constants; Tune refuses others.

        Raises:
            InvalidInputError: the searcher was made for another metric.
        """
        if metric is not None and (metric, mode or "max") != (self._metric, self._mode):
            if self._is_told or self._ledger.events:
                raise InvalidInputError(
                    f"the searcher was made for metric {self._metric!r} with mode {self._mode!r}, TuneConfig says "
                    f"{metric!r} with {mode!r}: give them once."
                )
            self._use(metric, mode or "max")
        _, domains, grids = parse_spec_vars(config)
        return not domains and not grids

    # Tune's own annotation forgets FINISHED
    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """Return the next trial's configuration, None where it must wait for results, or ``FINISHED``."""
        trial = self._ledger.ask()
        if trial is None:
            return str(Searcher.FINISHED) if self._ledger.is_finished else None
        self._live[trial_id] = trial.number
        return config_of(self._space, trial)

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Keep the numbers of a trial's last report: a paused trial may be ended without being asked for them again."""
        if trial_id in self._live:
            self._last[trial_id] = self._measure(result).to_json()

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        """Tell the controller what came of a trial; one that Tune ran again after it was told is told once."""
        number = self._live.pop(trial_id, None)
        last = self._last.pop(trial_id, None)
        if number is None:
            return
        if error:
            measurement = Measurement("error", error="the trainable raised an error, which Tune keeps")
        elif result:
            measurement = self._measure(result)
        elif last is not None:
            measurement = Measurement.from_json(last)
        else:
            measurement = Measurement("lost", error="Tune ended the trial before it reported anything")
        self._ledger.tell(number, measurement)

    def save(self, checkpoint_path: str) -> None:
        """Write the asks and tells to a file.

        Raises:
            StorageError: it cannot be written.
        """
        try:
            Path(checkpoint_path).write_text(_sealed(self._state()))
        except OSError as error:
            raise StorageError(f"cannot write {checkpoint_path}: {error.strerror}. Make room, then go on.") from None

    def restore(self, checkpoint_path: str) -> None:
        """Replay what `save` wrote into a fresh controller.

        Raises:
            JournalError: there is no such file, it is damaged, or it was saved by a searcher made otherwise.
        """
        try:
            text = Path(checkpoint_path).read_text(errors="replace")
        except OSError as error:
            raise JournalError(f"cannot read {checkpoint_path}: {error.strerror}.") from None
        state = _unsealed(text)
        if state is None:
            raise JournalError(f"{checkpoint_path} is damaged, or no file of a NASSearcher: restore an older one.")
        self._load(state, source=checkpoint_path)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle how it was made and its asks and tells; Tune keeps its searcher in a pickle of its own."""
        return _rebuild, (self._arguments, self._is_told, self._state())

    def _use(self, metric: str | Sequence[str] | None, mode: str | Sequence[str] | None) -> None:
        """Begin a search by these metrics."""
        if metric is None:
            metric, mode = Objective().metric, mode or "max"
        metrics = [metric] if isinstance(metric, str) else list(metric)
        modes = [mode] if isinstance(mode, str) else list(mode or [])
        for one in modes:
            if one not in DIRECTIONS:
                raise UnknownNameError("mode", str(one), DIRECTIONS)
        if len(metrics) != len(modes):
            raise InvalidInputError(f"each metric needs a mode, 'max' or 'min': got {metrics} with {modes}.")
        self._objectives = [Objective(name, DIRECTIONS[one]) for name, one in zip(metrics, modes, strict=True)]
        several = not isinstance(metric, str)
        self._metric: Any = metrics if several else metrics[0]
        self._mode: Any = modes if several else modes[0]
        self._begin()

    def _begin(self) -> None:
        settings = self._settings
        make = partial(make_controller, settings["controller"], self._space, self._objectives, settings["seed"])
        self._ledger = Ledger(partial(make, settings["options"]))
        self._live: dict[str, int] = {}
        self._last: dict[str, Any] = {}

    def _measure(self, result: Mapping[str, Any]) -> Measurement:
        """Return the reported numbers that are searched by, or a failure where one is missing or not finite."""
        metrics = {}
        for objective in self._objectives:
            try:
                metrics[objective.metric] = float(result[objective.metric])
            except (KeyError, TypeError, ValueError):
                return Measurement("error", error=f"the trainable reported no number {objective.metric!r}")
        if not all(map(math.isfinite, metrics.values())):
            return Measurement("diverged", error=f"the trainable reported {metrics}")
        return Measurement("ok", metrics)

    def _state(self) -> dict[str, Any]:
        return {
            "format": FORMAT_VERSION,
            **self._settings,
            "metric": self._metric,
            "mode": self._mode,
            "events": self._ledger.events,
            "live": self._live,
            "last": self._last,
        }

    def _load(self, state: Any, *, source: str) -> None:
        """Go on from a state.

        Raises:
            JournalError: it is none, or another searcher's.
        """
        own = json.loads(json.dumps(self._state()))
        if not isinstance(state, dict) or state.keys() != own.keys():
            raise JournalError(f"{source} is no file of a NASSearcher, or of another version: start a new search.")
        for name in ("format", *self._settings, "metric", "mode"):
            if state[name] != own[name]:
                raise JournalError(
                    f"{source} was saved by another searcher: {name} is {state[name]!r} there and {own[name]!r} here. "
                    "Make the searcher as it was made then."
                )
        self._begin()
        self._ledger.replay(state["events"])
        self._live, self._last = dict(state["live"]), dict(state["last"])


def _sealed(state: dict[str, Any]) -> str:
    """Return a state as JSON with a checksum: a number that was altered in the file would go unnoticed."""
    text = json.dumps(state, allow_nan=False)
    return f'{{"crc": "{zlib.crc32(text.encode()):08x}", "state": {text}}}'


def _unsealed(text: str) -> Any:
    """Return the state that was sealed, or None when the text is another one."""
    try:
        state = json.loads(text)["state"]
        return state if text == _sealed(state) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _rebuild(arguments: Mapping[str, Any], is_told: bool, state: dict[str, Any]) -> NASSearcher:
    searcher = NASSearcher(metric=state["metric"], mode=state["mode"], **arguments)
    searcher._is_told = is_told
    searcher._load(json.loads(json.dumps(state)), source="a pickle")
    return searcher
