"""Networks that were not proposed yet."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from controllers.unseen import MAX_DRAWS, UnseenNetworks


def test_every_network_is_drawn_once_then_none(tables: ModuleType) -> None:
    space = tables.TableSpace(3, 4, num_equal=2)
    unseen, rng = UnseenNetworks(space), np.random.default_rng(0)
    drawn = [unseen.draw(rng) for _ in range(29)]
    assert len({space.key(architecture) for architecture in drawn[:27]}) == 27
    assert drawn[27:] == [None, None]


def test_no_key_is_computed_twice(tables: ModuleType) -> None:
    space = tables.TableSpace(3, 4, num_equal=2)
    unseen, rng = UnseenNetworks(space), np.random.default_rng(0)
    while (architecture := unseen.draw(rng)) is not None:
        unseen.take(architecture)
        unseen.draw_near(architecture, space.mutate, rng)
    assert space.num_keys <= space.size


def test_one_draw_costs_one_key(tables: ModuleType) -> None:
    space = tables.TableSpace()
    unseen, rng = UnseenNetworks(space), np.random.default_rng(0)
    for _ in range(100):
        unseen.draw(rng)
    assert space.num_keys == 100


def test_draws_are_uniform_over_architectures(tables: ModuleType) -> None:
    """The third of three draws, 2,700 times over 27 networks: chi-square of 26 degrees exceeds 60 once in 6,000."""
    space = tables.TableSpace(3, 3)
    counts: dict[tuple[int, ...], int] = {}
    for seed in range(2_700):
        unseen, rng = UnseenNetworks(space), np.random.default_rng(seed)
        *_, third = (unseen.draw(rng) for _ in range(3))
        counts[third.choices] = counts.get(third.choices, 0) + 1
    assert sum((count - 100) ** 2 / 100 for count in counts.values()) + 100 * (27 - len(counts)) < 60


def test_a_space_too_large_to_enumerate_gives_up_after_many_draws(tables: ModuleType) -> None:
    """With all options equal there is one network, found first and then never again."""
    space = tables.TableSpace(20, 4, num_equal=4)
    unseen, rng = UnseenNetworks(space), np.random.default_rng(0)
    assert unseen.draw(rng) is not None
    assert (unseen.draw(rng), unseen.draw(rng)) == (None, None)
    assert space.num_keys <= 2 * MAX_DRAWS + 1


def test_a_space_larger_than_any_integer_type_is_drawn_from(tables: ModuleType) -> None:
    space = tables.TableSpace(100, 5)
    unseen, rng = UnseenNetworks(space), np.random.default_rng(0)
    assert len({unseen.draw(rng) for _ in range(50)}) == 50


def test_near_draws_are_one_mutation_away_while_there_are_any(tables: ModuleType) -> None:
    space = tables.TableSpace()
    unseen, rng = UnseenNetworks(space), np.random.default_rng(0)
    origin = space.architecture([0] * 6)
    for _ in range(5):
        near = unseen.draw_near(origin, space.mutate, rng)
        assert sum(choice != 0 for choice in near.choices) == 1


def test_near_draws_go_further_when_all_neighbours_are_seen(tables: ModuleType) -> None:
    space = tables.TableSpace()
    unseen, rng = UnseenNetworks(space), np.random.default_rng(0)
    origin = space.architecture([0] * 6)
    for architecture in [origin, *space.neighbours(origin)]:
        assert unseen.take(architecture)
    near = unseen.draw_near(origin, space.mutate, rng)
    assert sum(choice != 0 for choice in near.choices) == 2


def test_near_draws_end_when_a_mutation_leads_nowhere(tables: ModuleType) -> None:
    space = tables.TableSpace()
    unseen, rng = UnseenNetworks(space), np.random.default_rng(0)
    origin = space.architecture([0] * 6)
    assert unseen.draw_near(origin, lambda architecture, rng: architecture, rng) == origin
    assert unseen.draw_near(origin, lambda architecture, rng: architecture, rng) is None
