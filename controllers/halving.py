"""Multi-fidelity search around any controller: many networks for a few epochs, the best of them for more.

An inner controller says which networks are new; a schedule (`controllers.rungs`) says who is trained on. The inner
controller learns each network once, from the lowest rung: one signal for all, since the same network scores
differently after 3 and after 27 epochs and a model of both mixed would mistake training for quality. Networks that
Hyperband starts higher up are not told to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, final, get_args

import numpy as np

from controllers.controller import Controller, Proposal, single_objective
from controllers.rungs import (
    AsynchronousRungs,
    Brackets,
    HalvingOptions,
    Promotion,
    Schedule,
    halving_plans,
    hyperband_plans,
)
from controllers.trial import Record, Trial
from search_spaces.architecture import Architecture
from search_spaces.errors import InvalidInputError, UnknownNameError

HalvingKind = Literal["halving", "asha", "hyperband"]


@final
class MultiFidelitySearch(Controller):
    """Train new networks to the lowest budget, and promoted ones further.

    The same network comes back with a larger budget, in a trial that `continues` the one which trained it first.
    There is always something to do while the inner controller has new networks; when it has none, the last
    promotions remain, some only after results that are still out.
    """

    def __init__(self, inner: Controller, schedule: Schedule, *, budgets: tuple[int, ...], name: str) -> None:
        """Start with nothing learnt.

        Args:
            inner: proposes new networks; its own budgets are not heeded. It belongs to this controller from here on.
            schedule: says which rung each evaluation is for.
            budgets: epochs of the rungs.
            name: for messages.

        Raises:
            InvalidInputError: the inner controller has several objectives, or is of this kind itself.
        """
        if isinstance(inner, MultiFidelitySearch):
            raise InvalidInputError(f"controller {name!r} cannot be put around another one of its kind.")
        super().__init__(inner.space, inner.objectives, inner.seed)
        self._objective = single_objective(name, inner.objectives)
        self._inner = inner
        self._schedule = schedule
        self._budgets = budgets
        self._entries: dict[int, _Entry] = {}  # by the number of the trial here
        self._roots: dict[int, int] = {}  # by the number of the inner controller's trial

    def propose(self, number: int, rng: np.random.Generator) -> Proposal | None:
        """Return a promoted network, else a new one; None when there is neither for now.

        With trials still out, None may be followed by promotions; with none out it is the end.
        """
        promotion = self._schedule.promote()
        if promotion is not None:
            return self._promote(number, promotion)
        new = self._inner.ask()
        return self._enter(number, new[0]) if new else self.propose_further(number)

    def propose_further(self, number: int) -> Proposal | None:
        """Return a promoted network, as there is nobody new to wait for; None when none is due."""
        promotion = self._schedule.promote() or self._schedule.promote(last=True)
        return None if promotion is None else self._promote(number, promotion)

    @property
    def has_further(self) -> bool:
        """Whether a network is due when nobody new is to come."""
        return deepcopy(self._schedule).promote(last=True) is not None

    def _promote(self, number: int, promotion: Promotion) -> Proposal:
        entry = self._entries[promotion.root]
        before, entry.newest = entry.newest, number
        budget = self._budgets[promotion.rung]
        return Proposal(entry.architecture, budget, parents=(before,), continues=promotion.root)

    def _enter(self, number: int, trial: Trial) -> Proposal:
        rung = self._schedule.enter(number)
        self._entries[number] = _Entry(trial.architecture, number, trial if rung == 0 else None)
        self._roots[trial.number] = number
        parents = tuple(self._roots[parent] for parent in trial.parents)
        return Proposal(trial.architecture, self._budgets[rung], parents)

    def learn(self, record: Record) -> None:
        """Hand a result to the schedule, and one from the lowest rung to the inner controller.

        A new network that turns out to be a known one is no second contender.
        """
        score = self._objective.score(record.measurement)
        entry, is_new = self._entries[record.trial.root], record.trial.continues is None
        if is_new and entry.untold is not None:
            self._inner.tell([replace(record, trial=entry.untold, reused_from=None)])
            entry.untold = None
        self._schedule.report(record.trial.root, None if is_new and record.reused_from is not None else score)


@dataclass(slots=True)
class _Entry:
    """A network in the race: its newest trial, and the inner controller's trial while that one waits for a result."""

    architecture: Architecture
    newest: int
    untold: Trial | None


def make_halving(kind: HalvingKind, inner: Controller, options: HalvingOptions) -> MultiFidelitySearch:
    """Return a controller that trains what `inner` proposes rung by rung.

    Args:
        kind: ``halving`` for successive halving (Jamieson 2016, https://arxiv.org/abs/1502.07943) in bracket after
            bracket, ``asha`` for its asynchronous form, ``hyperband`` for brackets that start at different rungs.
        inner: a new controller with one objective, which belongs to the returned one from here on.
        options: the ladder.

    Raises:
        UnknownNameError: no such kind.
        InvalidInputError: options or an inner controller that the kind cannot take.
    """
    if kind not in get_args(HalvingKind):
        raise UnknownNameError("kind of halving", str(kind), get_args(HalvingKind))
    if options.first is not None and kind != "halving":
        raise InvalidInputError(
            f"controller {kind!r} sets the sizes of its rungs itself: leave the option 'first' out."
        )
    return MultiFidelitySearch(inner, _schedule(kind, options), budgets=options.budgets, name=kind)


def _schedule(kind: HalvingKind, options: HalvingOptions) -> Schedule:
    if kind == "asha":
        return AsynchronousRungs(options)
    return Brackets(options, halving_plans(options) if kind == "halving" else hyperband_plans(options))


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """Options by whom they are for: the ladder, and the inner controller."""

    halving: HalvingOptions
    inner: dict[str, Any]


def split_options(kind: HalvingKind, options: Mapping[str, Any]) -> SplitOptions:
    """Return the ladder that options by name describe, and what is left for the inner controller.

    Raises:
        InvalidInputError: no budgets, or a ladder that cannot be.
    """
    names = [field.name for field in fields(HalvingOptions)]
    if "budgets" not in options:
        raise InvalidInputError(
            f"controller {kind!r} needs the option 'budgets', the epochs of its rungs, such as [3, 9, 27]."
        )
    own = {name: options[name] for name in names if name in options}
    return SplitOptions(HalvingOptions(**own), {name: value for name, value in options.items() if name not in names})
