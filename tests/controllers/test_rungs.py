"""Promotion rules: the published examples by hand, and what holds whatever order results come in."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from controllers.rungs import (
    AsynchronousRungs,
    Brackets,
    HalvingOptions,
    Promotion,
    Schedule,
    halving_plans,
    hyperband_plans,
)
from search_spaces.errors import InvalidInputError

NINE = HalvingOptions((1, 3, 9), reduction=3)
PUBLISHED = HalvingOptions((1, 3, 9, 27, 81), reduction=3)


def halving(options: HalvingOptions = NINE) -> Brackets:
    return Brackets(options, halving_plans(options))


def drain(schedule: Schedule, *, last: bool = False) -> list[Promotion]:
    """Return all promotions that are due now."""
    return list(iter(lambda: schedule.promote(last=last), None))


def climb(schedule: Schedule, *, first: int, size: int) -> Counter[int]:
    """Run networks one at a time, their numbers as scores; return how many evaluations each rung had."""
    counts: Counter[int] = Counter()
    for root in range(first, first + size):
        counts[schedule.enter(root)] += 1
        schedule.report(root, root)
        for promotion in iter(schedule.promote, None):
            counts[promotion.rung] += 1
            schedule.report(promotion.root, promotion.root)
    return counts


def test_at_the_end_asha_catches_up_on_those_who_overtook_the_early_ones() -> None:
    """Ever better networks: of four, two early ones went on, and the best two of them only at the end."""
    schedule = AsynchronousRungs(HalvingOptions((1, 2)))
    early = []
    for root in range(4):
        schedule.enter(root)
        schedule.report(root, root)
        early += drain(schedule)
    assert early == [Promotion(1, 1), Promotion(3, 1)]
    assert schedule.promote() is None
    assert drain(schedule, last=True) == [Promotion(2, 1)]
    schedule.enter(4)
    schedule.report(4, 4)
    assert schedule.promote() is None  # three of five have gone on: more than a half, so newcomers wait


@pytest.mark.parametrize("seed", range(10))
def test_at_the_end_asha_has_trained_the_top_of_every_rung(seed: int) -> None:
    rng = np.random.default_rng(seed)
    options, schedule = HalvingOptions((2, 4, 8)), AsynchronousRungs(HalvingOptions((2, 4, 8)))
    scores: list[dict[int, float]] = [{}, {}, {}]

    def report(root: int, rung: int) -> None:
        scores[rung][root] = float(rng.random())
        schedule.report(root, scores[rung][root])

    for root in range(24):
        report(root, schedule.enter(root))
        for promotion in iter(schedule.promote, None):
            report(promotion.root, promotion.rung)
    while (promotion := schedule.promote() or schedule.promote(last=True)) is not None:
        report(promotion.root, promotion.rung)
    for rung, share in enumerate(options.shares):
        ranked = sorted(scores[rung], key=scores[rung].__getitem__, reverse=True)
        assert set(ranked[: int(len(ranked) * share)]) <= set(scores[rung + 1])
    assert 12 <= len(scores[1]) < 18


def test_a_bracket_by_hand() -> None:
    """Nine networks, numbers as scores: three go on, best first, then the one that is now best."""
    schedule = halving()
    assert [schedule.enter(root) for root in range(9)] == [0] * 9
    for root in (4, 0, 8, 1, 5, 2, 7, 3):
        schedule.report(root, root)
        assert schedule.promote() is None
    schedule.report(6, 6)
    assert drain(schedule) == [Promotion(8, 1), Promotion(7, 1), Promotion(6, 1)]
    for root, score in ((6, 2.0), (8, 0.0), (7, 1.0)):
        schedule.report(root, score)
    assert drain(schedule) == [Promotion(6, 2)]
    schedule.report(6, 5.0)
    assert drain(schedule) == []


def test_a_rung_that_waits_lets_the_next_bracket_begin() -> None:
    schedule = halving()
    for root in range(12):
        assert schedule.enter(root) == 0
    for root in (9, 10, 11, *range(8)):
        schedule.report(root, root)
    assert schedule.promote() is None
    schedule.report(8, 8)
    assert [promotion.root for promotion in drain(schedule)] == [8, 7, 6]


def test_a_failed_newcomer_is_replaced_in_its_bracket() -> None:
    schedule = halving(HalvingOptions((1, 3), first=2, reduction=2))
    schedule.enter(0), schedule.enter(1), schedule.enter(2)
    schedule.report(0, None)
    schedule.report(2, 2.0)
    schedule.enter(3)  # takes the place of 0 beside 1
    schedule.report(1, 1.0)
    assert schedule.promote() is None
    schedule.report(3, 3.0)
    assert schedule.promote() == Promotion(3, 1)


def test_a_failure_higher_up_leaves_the_others() -> None:
    schedule = halving()
    for root in range(9):
        schedule.enter(root)
    for root in range(9):
        schedule.report(root, root)
    drain(schedule)
    schedule.report(8, None)
    schedule.report(7, 7)
    schedule.report(6, 6)
    assert drain(schedule) == [Promotion(7, 2)]


def test_without_new_networks_a_bracket_goes_on_with_those_it_has() -> None:
    """Seven of nine: a third is two; while one is out, nobody is promoted."""
    schedule = halving()
    for root in range(7):
        schedule.enter(root)
    for root in range(6):
        schedule.report(root, root)
    assert schedule.promote(last=True) is None
    schedule.report(6, 6)
    assert schedule.promote() is None
    assert drain(schedule, last=True) == [Promotion(6, 1), Promotion(5, 1)]


@pytest.mark.parametrize("num_rungs", [1, 2, 3, 4])
@pytest.mark.parametrize("eta", [2, 3, 4])
def test_a_bracket_spends_the_same_epochs_on_every_rung(num_rungs: int, eta: int) -> None:
    """With budgets eta^k, eta^(K-k) networks each: (K + 1) eta^K epochs in all (Jamieson 2016, Alg. 1)."""
    options = HalvingOptions(tuple(eta**k for k in range(num_rungs)))
    size = eta ** (num_rungs - 1)
    counts = climb(halving(options), first=0, size=size)
    assert [counts[rung] for rung in range(num_rungs)] == [size // eta**rung for rung in range(num_rungs)]
    assert sum(options.budgets[rung] * n for rung, n in counts.items()) == num_rungs * size


def test_hyperbands_brackets_are_the_published_ones() -> None:
    """Li 2018, Table 1 (R = 81, eta = 3): how many networks each bracket trains for how long."""
    schedule = Brackets(PUBLISHED, hyperband_plans(PUBLISHED))
    counts: list[dict[int, int]] = []
    first = 0
    for size in (81, 27, 9, 6, 5):
        found = climb(schedule, first=first, size=size)
        counts.append({PUBLISHED.budgets[rung]: n for rung, n in found.items()})
        first += size
    assert counts == [
        {1: 81, 3: 27, 9: 9, 27: 3, 81: 1},
        {3: 27, 9: 9, 27: 3, 81: 1},
        {9: 9, 27: 3, 81: 1},
        {27: 6, 81: 2},
        {81: 5},
    ]
    assert schedule.enter(first) == 0


def test_asha_by_hand() -> None:
    """Promotions come before new networks, from the highest rung that has one due (Li 2020, Alg. 2)."""
    schedule = AsynchronousRungs(NINE)
    for root, score in enumerate((0.1, 0.9, 0.5)):
        assert schedule.promote() is None
        schedule.enter(root)
        schedule.report(root, score)
    assert schedule.promote() == Promotion(1, 1)
    assert schedule.promote() is None
    schedule.report(1, 0.9)
    for root, score in enumerate((0.95, 0.6, 0.2, 0.3, 0.4, 0.1), start=3):
        schedule.enter(root)
        schedule.report(root, score)
    assert schedule.promote() == Promotion(3, 1)
    schedule.report(3, 0.8)
    assert schedule.promote() == Promotion(4, 1)
    schedule.report(4, 0.7)
    assert schedule.promote() == Promotion(1, 2)


@pytest.mark.parametrize("seed", range(5))
def test_asha_promotes_floor_n_by_eta_at_most_and_only_from_the_top(seed: int) -> None:
    """At every rung and step, with n results so far: late, in random order, and a fifth of the trials failed."""
    rng = np.random.default_rng(seed)
    schedule = AsynchronousRungs(NINE)
    at: dict[int, int] = {}
    out: list[int] = []
    results: list[dict[int, float]] = [{}, {}, {}]
    promoted: set[Promotion] = set()
    for root in range(300):
        promotion = schedule.promote()
        if promotion is None:
            at[root] = schedule.enter(root)
            out.append(root)
        else:
            below = results[promotion.rung - 1]
            assert promotion.root in sorted(below, key=lambda r, b=below: -b[r])[: len(below) // 3]
            assert promotion not in promoted
            promoted.add(promotion)
            assert sum(other.rung == promotion.rung for other in promoted) <= len(below) // 3
            at[promotion.root] = promotion.rung
            out.append(promotion.root)
        if len(out) > 6:
            done = out.pop(int(rng.integers(len(out))))
            score = float(rng.normal()) if rng.random() > 0.2 else None
            schedule.report(done, score)
            if score is not None:
                results[at[done]][done] = score
    assert {promotion.rung for promotion in promoted} == {1, 2}


@pytest.mark.parametrize("sign", [1, -1])
def test_asha_promotes_its_whole_share(sign: int) -> None:
    """Whether results get better or worse with time, floor(n / eta) are promoted at every step."""
    schedule = AsynchronousRungs(HalvingOptions((1, 3)))
    num_promoted = 0
    for root in range(50):
        schedule.enter(root)
        schedule.report(root, sign * root)
        num_promoted += len(drain(schedule))
        assert num_promoted == (root + 1) // 3


def test_what_is_in_the_top_share_only_later_is_promoted_then() -> None:
    """Asynchronous: the second of three waits until there are six."""
    schedule = AsynchronousRungs(HalvingOptions((1, 3)))
    for root, score in enumerate((0.9, 0.8, 0.1, 0.2, 0.3)):
        schedule.enter(root)
        schedule.report(root, score)
    assert [promotion.root for promotion in drain(schedule)] == [0]
    schedule.enter(5)
    schedule.report(5, 0.0)
    assert [promotion.root for promotion in drain(schedule)] == [1]


def test_without_a_reduction_every_rung_gets_the_same_epochs() -> None:
    options = HalvingOptions((12, 200))
    assert options.entrants(0) == 17
    assert [float(share) for share in options.shares] == [0.06]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budgets": ()}, "budgets are whole epochs"),
        ({"budgets": (3, 3)}, "each above the one before"),
        ({"budgets": (0, 3)}, "budgets are whole epochs >= 1"),
        ({"budgets": (1, 2.5)}, "budgets are whole epochs"),
        ({"budgets": "1,3"}, "budgets are a list of epochs"),
        ({"reduction": 1}, "reduction must be a whole number >= 2, got 1"),
        ({"first": 0}, "first must be a whole number >= 1, got 0"),
    ],
)
def test_ladders_that_cannot_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        HalvingOptions(**{"budgets": (1, 3), **changes})  # type: ignore[arg-type]
