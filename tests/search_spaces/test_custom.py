"""A user's class or function as a search space."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from search_spaces.architecture import Blueprint, Complexity, Decision
from search_spaces.custom import ClassDefinition, CustomSpace, FunctionDefinition
from search_spaces.errors import InvalidInputError


class Net:
    decisions: Any = {"kernel": [3, 5], "width": [4, 8]}  # noqa: RUF012 - as users write it

    def build(self, kernel: int, width: int, channels: int, classes: int) -> nn.Module:
        return network(channels, width, kernel, classes)


def network(channels: int, width: int, kernel: int, classes: int) -> nn.Module:
    convolution = nn.Conv2d(channels, width, kernel, padding=kernel // 2)
    return nn.Sequential(convolution, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


def conditional(choose: Any, channels: int, classes: int) -> nn.Module:
    kernel = choose("kernel", [3, 5])
    width = choose("width", [4, 8]) if choose("wide", [False, True]) else 2
    return network(channels, width, kernel, classes)


def class_space(definition: Any) -> CustomSpace:
    return CustomSpace("own.py:Net#00000000", ClassDefinition("own.py:Net", definition))


def function_space(function: Any) -> CustomSpace:
    return CustomSpace("own.py:net#00000000", FunctionDefinition("own.py:net", function))


def blueprint(space: CustomSpace, **options: Any) -> Blueprint:
    return Blueprint(space.from_options(options), 8, channels=1, classes=3)


def test_a_class_lists_its_decisions_as_dict_or_values() -> None:
    space = class_space(Net())
    assert space.decisions == (Decision("kernel", (3, 5)), Decision("width", (4, 8)))

    class Listed(Net):
        decisions = (Decision("kernel", (3, 5)), Decision("width", (4, 8)))

    assert class_space(Listed()).decisions == space.decisions


def test_a_class_builds_what_was_chosen() -> None:
    space = class_space(Net())
    built = space.build(blueprint(space, kernel=5, width=8))
    assert isinstance(built, nn.Sequential)
    assert isinstance(built[0], nn.Conv2d)
    assert built[0].weight.shape == (8, 1, 5, 5)
    assert built[3].out_features == 3


def test_build_may_take_all_options_in_one_or_as_keywords() -> None:
    class Together(Net):
        def build(self, options: dict[str, Any], channels: int, classes: int) -> nn.Module:  # type: ignore[override]
            return network(channels, options["width"], options["kernel"], classes)

    class Keywords(Net):
        def build(self, channels: int, classes: int, bias: bool = True, **rest: Any) -> nn.Module:  # type: ignore[override]
            return network(channels, rest["width"], rest["kernel"], classes)

    expected = class_space(Net()).complexity(blueprint(class_space(Net()), kernel=5, width=8))
    for definition in (Together(), Keywords()):
        space = class_space(definition)
        assert space.complexity(blueprint(space, kernel=5, width=8)) == expected


def test_a_class_may_say_which_networks_are_the_same() -> None:
    class Keyed(Net):
        def key(self, options: dict[str, Any]) -> str:
            return f"width {options['width']}"

    keyed, plain = class_space(Keyed()), class_space(Net())
    a, b = {"kernel": 3, "width": 4}, {"kernel": 5, "width": 4}
    assert keyed.key(keyed.from_options(a)) == keyed.key(keyed.from_options(b)) == "width 4"
    assert plain.key(plain.from_options(a)) != plain.key(plain.from_options(b))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"decisions": {}}, "has no decisions"),
        ({"decisions": [("kernel", [3])]}, "decisions are a dict"),
        ({"decisions": {"kernel": [3], "width": []}}, "'width' needs at least one option"),
        ({"decisions": {"kernel": [3], "width": [None]}}, "'width' are text, finite numbers"),
        ({"decisions": {"kernel": [3], "width": [4], "classes": [2]}}, "'classes' has a name that"),
        ({"decisions": {"kernel": [3], "width": [4], "depth": [2]}}, "does not take decision 'depth'"),
        ({"decisions": {"kernel": [3]}}, r"build\(\) asks for 'width'"),
        ({"build": lambda self, kernel, width, /: None}, r"build\(\) asks for 'kernel'"),
    ],
)
def test_what_is_no_class_of_networks_is_refused_by_name(change: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"^own\.py:Net.*{says}"):
        class_space(type("Net", (Net,), change)())


def test_a_function_has_the_decisions_that_it_draws() -> None:
    space = function_space(conditional)
    assert [decision.name for decision in space.decisions] == ["kernel", "wide", "width"]
    assert space.size == 8


def test_keys_tell_networks_apart_by_what_they_draw() -> None:
    """Two kernels, and width 2, 4 or 8: six networks among the eight architectures, equal in key if equal in cost."""
    space = function_space(conditional)
    first = space.sample(np.random.default_rng(0))
    everything = {first, *space.neighbours(first)}
    while len(everything) < space.size:
        everything |= {n for a in everything for n in space.neighbours(a)}
    costs = {(space.key(a), space.complexity(Blueprint(a, 8))) for a in everything}
    assert len(costs) == len({key for key, _ in costs}) == 6


def test_equal_keys_build_equal_networks() -> None:
    space = function_space(conditional)
    states = []
    for width in (4, 8):
        torch.manual_seed(0)
        states.append(space.build(blueprint(space, kernel=3, wide=False, width=width)).state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_complexity_is_counted_once_a_network() -> None:
    calls = []

    def counting(choose: Any, channels: int, classes: int) -> nn.Module:
        calls.append(1)
        return conditional(choose, channels, classes)

    space = function_space(counting)
    space.complexity(blueprint(space, kernel=3, wide=False, width=4))
    space.key(space.from_options({"kernel": 3, "wide": False, "width": 8}))
    calls.clear()
    cost = space.complexity(blueprint(space, kernel=3, wide=False, width=8))
    assert cost == Complexity(9 * 2 + 2 + 2 * 3 + 3, 64 * 9 * 2 + 2 * 3)
    assert calls == []


def test_sizes_reach_the_function_and_cell_settings_do_not_matter() -> None:
    def net(choose: Any, channels: int, resolution: int, classes: int) -> nn.Module:
        return nn.Sequential(
            nn.Flatten(), nn.Linear(channels * resolution**2, classes, bias=choose("bias", [True, False]))
        )

    space = function_space(net)
    architecture = space.from_options({"bias": False})
    cost = space.complexity(Blueprint(architecture, 9, channels=2, classes=4))
    assert cost == Complexity(2 * 81 * 4, 2 * 81 * 4)
    assert space.complexity(Blueprint(architecture, 9, channels=2, classes=4, stem="tiny", depth=3, width=7)) == cost


def test_random_states_are_left_alone_by_all_but_build() -> None:
    def net(choose: Any, channels: int, classes: int) -> nn.Module:
        return network(channels, int(torch.rand(1).item() * 0) + choose("width", [4, 8]), 3, classes)

    before = torch.get_rng_state()
    space = function_space(net)
    space.key(space.from_options({"width": 4}))
    space.complexity(blueprint(space, width=4))
    assert torch.equal(before, torch.get_rng_state())


def test_same_seed_same_weights_whether_counted_before_or_not() -> None:
    states = []
    for _ in range(2):
        space = function_space(conditional)
        for _ in range(2):
            torch.manual_seed(3)
            states.append(space.build(blueprint(space, kernel=3, wide=True, width=4)).state_dict()["0.weight"])
    assert all(torch.equal(state, states[0]) for state in states)


def test_options_that_make_no_network_are_said_when_it_is_built() -> None:
    """Discovery and keys go on: a search may hold networks that cannot be, and learns from their failure."""

    def picky(choose: Any, channels: int, classes: int) -> nn.Module:
        width = choose("width", [4, 6])
        heads = choose("heads", [1, 4])
        if width % heads:
            raise ValueError("heads must divide width")
        return network(channels, width, choose("kernel", [3, 5]), classes)

    space = function_space(picky)
    assert [decision.name for decision in space.decisions] == ["width", "heads", "kernel"]
    wrong = blueprint(space, width=6, heads=4, kernel=5)
    assert space.key(space.from_options({"width": 6, "heads": 4, "kernel": 3})) == space.key(
        space.from_options({"width": 6, "heads": 4, "kernel": 5})
    )
    for refused in (space.complexity, space.build):
        with pytest.raises(
            InvalidInputError, match=r"^own\.py:net raised ValueError: heads must .*\(line \d+\) as \{"
        ) as e:
            refused(wrong)
        assert "\n" not in str(e.value)


def test_an_argument_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        InvalidInputError, match=r"own\.py:net\(\) asks for 'inputs'; it can ask, by name, for choose, ch"
    ):
        function_space(lambda choose, inputs: None)


def test_a_function_that_never_chooses_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"own\.py:net never chooses: draw with"):
        function_space(lambda choose, classes: nn.Linear(1, classes))


def test_a_function_that_fails_at_once_is_refused_with_its_error() -> None:
    def broken(choose: Any) -> nn.Module:
        choose("a", [1, 2])
        raise KeyError("missing")

    with pytest.raises(
        InvalidInputError, match=r"own\.py:net raised KeyError: 'missing' \(line \d+\) when it was called"
    ):
        function_space(broken)


@pytest.mark.parametrize("says", ["must return a torch module, got int", "must give logits"])
def test_what_is_no_classifier_is_refused(says: str) -> None:
    result = 3 if "int" in says else nn.Identity()

    def net(choose: Any) -> object:
        choose("a", [1, 2])
        return result

    space = function_space(net)
    with pytest.raises(InvalidInputError, match=rf"^own\.py:net: {says}"):
        space.build(blueprint(space, a=1))


def test_a_decision_that_depends_on_the_image_size_is_named() -> None:
    def net(choose: Any, channels: int, resolution: int, classes: int) -> nn.Module:
        width = choose("width", [4, 8])
        return network(channels, width, choose("small_kernel", [1, 3]) if resolution < 16 else 5, classes)

    space = function_space(net)
    with pytest.raises(InvalidInputError, match=r"own\.py:net: decision 'small_kernel' turned up late"):
        space.build(blueprint(space, width=4))


def test_memory_that_is_not_enough_stays_that() -> None:
    def net(choose: Any, channels: int, classes: int) -> nn.Module:
        if choose("huge", [False, True]):
            raise MemoryError
        return network(channels, 4, 3, classes)

    space = function_space(net)
    with pytest.raises(MemoryError):
        space.build(blueprint(space, huge=True))
