"""A controller in the state that an Optuna study's trials bring it to. Optuna itself is not needed to say so.

Results are told just before the controller is asked again, and the trial that it then asks for keeps which they were.
So the study's trials alone say in what order the controller asked and learnt, whoever ended them and whenever.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from controllers.controller import Controller
from controllers.trial import Measurement, Record, Trial
from search_spaces.errors import InvalidInputError

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

ASKED = "nas:asked"  # the attribute of a study's trial that says what the controller asked for


@dataclass(slots=True)
class StudyReplica:
    """A controller as the trials of a study leave it.

    Attributes:
        identity: what marks the controller's trials in the study.
        make: returns the controller when it has learnt nothing.
        asked: its trials, in the order of asking.
        numbers: the number that each has in the study.
        told: numbers of those told since something was last asked for.
    """

    identity: str
    make: Callable[[], Controller]
    controller: Controller = field(init=False)
    asked: list[Trial] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    told: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start with nothing learnt."""
        self.controller = self.make()

    def ask(self, number: int, trials: Sequence[FrozenTrial]) -> dict[str, Any] | None:
        """Tell what ended, then ask.

        Args:
            number: the study's number of the trial that is asked for.
            trials: all trials of the study.

        Returns:
            What the study is to keep of the trial; None when there is nothing new to propose.
        """
        study = {trial.number: trial for trial in trials}
        self._follow(study)
        ended = [trial.number for trial in self.controller.pending if self._of(trial.number, study).state.is_finished()]
        self._tell(sorted(ended, key=lambda i: (self._of(i, study).datetime_complete, i)), study)
        found = self.controller.ask()
        if not found:
            return None
        kept = {"by": self.identity, "number": number, "trial": found[0].to_json(), "told": self.told}
        self._enter(found[0], number)
        return kept

    def _follow(self, study: Mapping[int, FrozenTrial]) -> None:
        """Begin again and replay, unless the study's trials of this controller are just those that it knows of."""
        kept_of = {i: trial.system_attrs[ASKED] for i, trial in study.items() if ASKED in trial.system_attrs}
        # Optuna's retry of a failed trial is a copy of it, attributes and all: that was not asked for again
        log = [kept for i, kept in kept_of.items() if kept["by"] == self.identity and kept["number"] == i]
        log.sort(key=lambda kept: (kept["trial"]["number"], kept["number"]))
        if [kept["number"] for kept in log] == self.numbers:
            return
        self.controller, self.asked, self.numbers, self.told = self.make(), [], [], []
        for kept in log:
            found = self._again(kept, study)
            if [trial.to_json() for trial in found] != [kept["trial"]]:
                raise InvalidInputError(
                    f"trial {kept['number']} of the study is not what its controller asks for ({self.identity}): "
                    "another version made it, or two processes search with one seed. Give each process its own seed."
                )
            self._enter(found[0], kept["number"])

    def _again(self, kept: Mapping[str, Any], study: Mapping[int, FrozenTrial]) -> list[Trial]:
        """Return what the controller asks for where it asked for this; nothing if what it was told cannot be."""
        try:
            self._tell(kept["told"], study)
        except (InvalidInputError, LookupError):
            return []
        return self.controller.ask()

    def _enter(self, trial: Trial, number: int) -> None:
        self.asked.append(trial)
        self.numbers.append(number)
        self.told = []

    def _tell(self, numbers: Sequence[int], study: Mapping[int, FrozenTrial]) -> None:
        self.controller.tell([Record(self.asked[i], _measurement(self._of(i, study))) for i in numbers])
        self.told = [*self.told, *numbers]

    def _of(self, i: int, study: Mapping[int, FrozenTrial]) -> FrozenTrial:
        return study[self.numbers[i]]


def _measurement(trial: FrozenTrial) -> Measurement:
    """Return what an ended trial of a study found."""
    if trial.state.name == "FAIL" or trial.values is None:
        return Measurement("error", error=f"trial {trial.number} of the study: {trial.state.name}")
    if not all(math.isfinite(value) for value in trial.values):
        return Measurement("diverged", error=f"trial {trial.number} of the study: {trial.values}")
    return Measurement("ok", {f"value{i}": value for i, value in enumerate(trial.values)})
