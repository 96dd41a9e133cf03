"""Asks and tells in their order, as values that replay; a network that was evaluated before is answered from here.

It is what the journal and the loop are to a search of our own, for an engine that asks and tells by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from controllers.controller import Controller
from controllers.trial import Measurement, Record, Trial
from nas.errors import JournalError
from nas.search_loop import TRANSIENT

MOST_TWINS = 64  # proposals of networks that are being evaluated; with more than these, the controller has to wait
FRUITLESS = 2000  # known networks in a row after which there is nothing new to come, as in `nas.search_loop`

_Key = tuple[str, int | None]


class Ledger:
    """A controller, everything it asked for and learnt, and what is known of every network."""

    def __init__(self, make: Callable[[], Controller]) -> None:
        """Start with nothing asked.

        Args:
            make: returns the controller when it has learnt nothing; called once.
        """
        self.controller = make()
        self.events: list[dict[str, Any]] = []
        self._asked: dict[int, tuple[Trial, _Key]] = {}  # those without a result
        self._results: dict[_Key, Record] = {}
        self._running: dict[_Key, int] = {}
        self._twins: dict[int, int] = {}  # trials that wait for the result of another one
        self._barren = False

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing to come, after `ask` found nothing."""
        return self._barren or not self.controller.pending

    def ask(self) -> Trial | None:
        """Return the next network to evaluate; None when there is none, for now or for ever."""
        for _ in range(FRUITLESS):
            found = self.controller.ask() if len(self._twins) < MOST_TWINS else []
            if not found:
                return None
            key = self._enter(found[0])
            if key in self._results:
                self._answer(found[0].number, self._results[key])
            elif self._running[key] == found[0].number:
                return found[0]
        self._barren = True
        return None

    def tell(self, number: int, measurement: Measurement) -> None:
        """Learn the result of a trial that `ask` returned, and of those that wait for it."""
        record = self._learn(number, measurement)
        for twin in [twin for twin, original in self._twins.items() if original == number]:
            self._answer(twin, record)

    def replay(self, events: Sequence[dict[str, Any]]) -> None:
        """Bring a new ledger to where another one's events end.

        Raises:
            JournalError: the controller asks for other trials, or an event cannot be read.
        """
        try:
            for event in events:
                if "asked" in event:
                    self._replay_ask(Trial.from_json(event["asked"]))
                else:
                    self._learn(event["told"], Measurement.from_json(event["measurement"]), event["reused_from"])
        except (KeyError, TypeError, ValueError) as error:
            raise JournalError(f"the searcher's events cannot be read ({error!r}): start a new search.") from error

    def _replay_ask(self, trial: Trial) -> None:
        if self.controller.ask() != [trial]:
            raise JournalError(
                f"trial {trial.number} of the saved searcher is not what this controller asks for: it was saved by "
                "another version. Start a new search."
            )
        self._enter(trial)

    def _enter(self, trial: Trial) -> _Key:
        """Write down what was asked for; it runs, waits for a twin that runs, or has its result already."""
        key = (self.controller.space.key(trial.architecture), trial.budget)
        self.events.append({"asked": trial.to_json()})
        self._asked[trial.number] = (trial, key)
        if key in self._running:
            self._twins[trial.number] = self._running[key]
        elif key not in self._results:
            self._running[key] = trial.number
        return key

    def _answer(self, number: int, known: Record) -> None:
        source = known.trial.number if known.reused_from is None else known.reused_from
        self._learn(number, known.measurement, source)

    def _learn(self, number: int, measurement: Measurement, reused_from: int | None = None) -> Record:
        trial, key = self._asked[number]
        record = Record(trial, measurement, reused_from=reused_from)
        self.controller.tell([record])
        self.events.append({"told": number, "measurement": measurement.to_json(), "reused_from": reused_from})
        del self._asked[number]
        self._twins.pop(number, None)
        if self._running.get(key) == number:
            del self._running[key]
        if measurement.status not in TRANSIENT:
            self._results.setdefault(key, record)
        return record
