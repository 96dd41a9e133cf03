"""Choices that a function draws while it builds a network: answering them, and finding all that there are.

A function says what can be chosen only by choosing. `Chooser` answers one run of it, `discover` runs it until no new
decision turns up. Nothing here builds or counts a network: a run is any callable that takes a chooser.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar, final

from search_spaces.architecture import Decision, Option
from search_spaces.errors import InvalidInputError
from search_spaces.randomness import derive_generator

# With up to so many combinations all are run, and nothing can be missed. With more, so many drawn at random are: what
# turns up in one network of fifty is then missed once in 176 times (0.98 ** 256), and named when it turns up later.
PROBES = 256
MAX_RUNS = 5000
MAX_DECISIONS = 500
T = TypeVar("T", str, int, float, bool)


class Choose(Protocol):
    """What a network function calls to draw a choice."""

    def __call__(self, name: str, options: Sequence[T]) -> T:
        """Return one of the options; the same one whenever this name is drawn in one network."""
        ...


class DrawingError(InvalidInputError):
    """A choice was drawn in a way that makes no search space."""


def make_decision(name: object, options: object) -> Decision:
    """Return the decision of a name and options that a user wrote.

    Raises:
        DrawingError: the name is no text, or the options are no list of text, numbers or booleans.
    """
    if not isinstance(name, str):
        raise DrawingError(f"a decision's name is text, got {name!r}: write it in quotes.")
    # a set's order differs from process to process, and a text is a sequence of letters that nobody means
    if isinstance(options, str) or not isinstance(options, Sequence):
        raise DrawingError(f"options of decision {name!r} are a list, got {options!r}: write [...].")
    for option in options:
        if type(option) not in (str, int, float, bool) or (isinstance(option, float) and not math.isfinite(option)):
            raise DrawingError(
                f"options of decision {name!r} are text, finite numbers or True and False, got {option!r} "
                f"({type(option).__name__}): name the option and look up the rest."
            )
    try:
        return Decision(name, tuple(options))
    except InvalidInputError as error:
        raise DrawingError(str(error)) from None


@final
class Chooser:
    """Answers the draws of one run, and remembers them in `drawn`."""

    def __init__(
        self, chosen: Mapping[str, Option], known: Mapping[str, Decision], *, accepts_new: bool = False
    ) -> None:
        """Fix the answers.

        Args:
            chosen: the option to return, by decision name; the first option where a name is missing.
            known: the decisions drawn in other runs: the same names must come with the same options.
            accepts_new: whether a name that is not known is fine.
        """
        self._chosen = chosen
        self._known = known
        self._accepts_new = accepts_new
        self.drawn: dict[str, Decision] = {}

    def __call__(self, name: str, options: Sequence[T]) -> T:
        """Return the chosen option; see `Choose`.

        Raises:
            DrawingError: options that make no decision, or others than this name came with before; a new name
                where the decisions are settled.
        """
        decision = make_decision(name, options)
        before = self.drawn.get(name) or self._known.get(name)
        if before is None and not self._accepts_new:
            raise DrawingError(
                f"decision {name!r} turned up late: it depends on many others at once, or on the image size. "
                f"Draw it before the condition, so that every network draws it."
            )
        # told apart by their text: 1 equals True, and 1.0 both
        if before is not None and repr(before.options) != repr(decision.options):
            raise DrawingError(
                f"decision {name!r} is drawn with the options {list(before.options)} and with "
                f"{list(decision.options)}: give the two different names."
            )
        self.drawn[name] = decision
        _expect_end(len(self.drawn), MAX_DECISIONS, name)
        choice: T = self._chosen.get(name, decision.options[0])  # type: ignore[assignment]
        return choice


def discover(run: Callable[[Chooser], None]) -> tuple[Decision, ...]:
    """Return every decision that a function draws, in the order in which they turn up.

    Each option of a new decision is tried in the setting where the decision turned up, so conditions within
    conditions are found, however deep. What hangs on several decisions at once is looked for over all combinations
    of options, or over `PROBES` drawn at random where there are more.

    Args:
        run: calls the function with a chooser. It must always draw the same for the same answers, and raises
            nothing but `DrawingError`.

    Raises:
        DrawingError: a draw makes no decision, or there are more than `MAX_DECISIONS` or more than `MAX_RUNS` runs
            would not find them all.
    """
    known: dict[str, Decision] = {}
    num_runs = 0

    def follow(setting: dict[str, Option]) -> None:
        nonlocal num_runs
        pending = deque([setting])
        while pending:
            setting = pending.popleft()
            num_runs += 1
            chooser = Chooser(setting, known, accepts_new=True)
            run(chooser)
            for decision in chooser.drawn.values():
                if decision.name not in known:
                    known[decision.name] = decision
                    _expect_end(len(known), MAX_DECISIONS, decision.name)
                    pending.extend({**setting, decision.name: option} for option in decision.options[1:])
                    _expect_end(num_runs + len(pending), MAX_RUNS, decision.name)

    follow({})
    while True:
        num_known = len(known)
        for setting in _probes(tuple(known.values())):
            follow(setting)
        if len(known) == num_known:
            return tuple(known.values())


def _probes(decisions: tuple[Decision, ...]) -> Iterator[dict[str, Option]]:
    names = [decision.name for decision in decisions]
    if math.prod(len(decision) for decision in decisions) <= PROBES:
        for options in itertools.product(*[decision.options for decision in decisions]):
            yield dict(zip(names, options, strict=True))
        return
    rng = derive_generator(0, len(decisions), "discovery")
    for _ in range(PROBES):
        yield {decision.name: decision.options[int(rng.integers(len(decision)))] for decision in decisions}


def _expect_end(count: int, limit: int, name: str) -> None:
    if count > limit:
        raise DrawingError(
            f"decisions do not come to an end, the last is {name!r}: at most {MAX_DECISIONS} are possible, found in "
            f"{MAX_RUNS} runs. Draw from a limited number of names, with fewer options."
        )
