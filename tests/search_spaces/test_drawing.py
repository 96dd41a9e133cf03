"""Choices drawn by a function: answered one by one, and found completely however they depend on each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from search_spaces.architecture import Decision
from search_spaces.drawing import MAX_DECISIONS, MAX_RUNS, Chooser, DrawingError, discover, make_decision


def names(run: Callable[[Chooser], None]) -> list[str]:
    return [decision.name for decision in discover(run)]


def test_a_choice_is_the_chosen_option_or_else_the_first() -> None:
    chooser = Chooser({"width": 32}, {}, accepts_new=True)
    assert chooser("width", [16, 32]) == 32
    assert chooser("kernel", (3, 5)) == 3
    assert list(chooser.drawn) == ["width", "kernel"]


def test_a_name_drawn_again_gives_the_same_choice() -> None:
    chooser = Chooser({"width": 32}, {}, accepts_new=True)
    assert chooser("width", [16, 32]) == chooser("width", [16, 32]) == 32
    assert len(chooser.drawn) == 1


def test_a_name_with_other_options_is_refused_in_one_run_and_across_branches() -> None:
    chooser = Chooser({}, {}, accepts_new=True)
    chooser("flag", [False, True])
    with pytest.raises(DrawingError, match=r"'flag' is drawn with the options \[False, True\] and with \[0, 1\]"):
        chooser("flag", [0, 1])

    def run(choose: Chooser) -> None:
        choose("size", [1, 2] if choose("big", [False, True]) else [3, 4])

    with pytest.raises(DrawingError, match="give the two different names"):
        discover(run)


def test_conditions_within_conditions_are_found() -> None:
    """Each decision hangs on the last option of the one before: no single change from the first options shows it."""

    def run(choose: Chooser) -> None:
        i = 0
        while i < 12 and choose(f"more{i}", [False, False + 2, True]) is True:
            i += 1

    assert names(run) == [f"more{i}" for i in range(12)]


def test_what_hangs_on_two_decisions_at_once_is_found() -> None:
    """Few enough combinations to run them all: nothing can be missed."""

    def run(choose: Chooser) -> None:
        a, b, c = (choose(name, [0, 1, 2, 3]) for name in "abc")
        if (a, b, c) == (3, 2, 3):
            choose("corner", [1, 2])

    assert names(run) == ["a", "b", "c", "corner"]


def test_a_pair_among_many_decisions_is_found_by_probes() -> None:
    """4^10 combinations, of which one in 16 draws the last decision: 256 probes miss it once in 15 million."""

    def run(choose: Chooser) -> None:
        chosen = [choose(f"d{i}", [0, 1, 2, 3]) for i in range(10)]
        if chosen[2] == chosen[7] == 3 or (chosen[2], chosen[7]) == (1, 2):
            choose("both", [1, 2])

    assert names(run)[-1] == "both"
    assert discover(run) == discover(run)


@pytest.mark.parametrize("options", [[False, True], [True, False]])
def test_names_without_end_are_refused(options: list[bool]) -> None:
    """Whether one more name turns up with each run, or a single run never ends."""

    def run(choose: Chooser) -> None:
        i = 0
        while choose(f"more{i}", options):
            i += 1

    with pytest.raises(DrawingError, match=f"the last is 'more{MAX_DECISIONS}'"):
        discover(run)


def test_options_without_end_are_refused() -> None:
    with pytest.raises(DrawingError, match="fewer options"):
        discover(lambda choose: choose("seed", range(MAX_RUNS + 2)) and None)


def test_a_late_decision_is_named() -> None:
    chooser = Chooser({}, {"width": Decision("width", (1, 2))})
    chooser("width", [1, 2])
    with pytest.raises(DrawingError, match="'heads' turned up late"):
        chooser("heads", [1, 2])


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("a", [], "at least one option"),
        ("a", [1, 1], "must differ"),
        ("a", "abc", r"write \[...\]"),
        ("a", {1, 2}, r"write \[...\]"),
        ("a", [None], "NoneType"),
        ("a", [(3, 3)], "tuple"),
        ("a", [float("nan")], "finite"),
        (3, [1], "write it in quotes"),
        ("", [1], "needs a name"),
    ],
)
def test_what_is_no_decision_is_refused(name: Any, options: Any, says: str) -> None:
    with pytest.raises(DrawingError, match=says):
        make_decision(name, options)


def test_ranges_are_options() -> None:
    assert make_decision("width", range(8, 25, 8)) == Decision("width", (8, 16, 24))
