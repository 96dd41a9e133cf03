"""Operations computed together give what they give one by one: outputs, gradients and running statistics."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from search_spaces import joined_pointwise
from search_spaces.fast_convolutions import use_fast_convolutions
from search_spaces.joined_pointwise import PREFIX, pointwise_of, run_joined
from search_spaces.layers import Normalization, layers_module
from search_spaces.operations import OPERATIONS
from search_spaces.separable_chains import chain_of, is_worthwhile, run_side_by_side
from search_spaces.shared_layers import Plan, SharedLayers

TINY = 1e-10
SPEED = Normalization(eps=1e-3, momentum=0.2)


def operations(name: str, count: int, *, c_in: int = 6, c_out: int = 6, stride: int = 1) -> list[nn.Sequential]:
    """So many operations of different weights, in double precision, training."""
    torch.manual_seed(0)
    made = [layers_module(OPERATIONS[name](c_in, c_out, stride), SPEED) for _ in range(count)]
    for operation in made:
        assert isinstance(operation, nn.Sequential)
        for norm in (module for module in operation.modules() if isinstance(module, nn.BatchNorm2d)):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
        operation.double().train()
    return made  # type: ignore[return-value]


def images(count: int, *, channels: int = 6, size: int = 9) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    drawn = [torch.randn(5, channels, size, size, generator=generator, dtype=torch.float64) for _ in range(count)]
    return [x.contiguous(memory_format=torch.channels_last).requires_grad_() for x in drawn]


def outcome(results: Sequence[Tensor], inputs: Sequence[Tensor], modules: Sequence[nn.Module]) -> list[Tensor]:
    """Results, gradients of inputs and weights, and buffers."""
    total = sum((x * torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view(x.shape)).sum() for x in results)
    wanted = [*inputs, *(weight for module in modules for weight in module.parameters())]
    gradients = torch.autograd.grad(total, wanted)  # type: ignore[arg-type]
    return [*results, *gradients, *(buffer for module in modules for buffer in module.buffers())]


def check(together: Callable[[list[nn.Sequential]], list[Tensor]], made: list[nn.Sequential], x: list[Tensor]) -> None:
    """Compare with copies that run one by one."""
    alone = copy.deepcopy(made)
    expected = outcome([op(each) for op, each in zip(alone, x, strict=True)], distinct(x), alone)
    found = outcome(together(made), distinct(x), made)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=TINY, atol=TINY)


def distinct(tensors: list[Tensor]) -> list[Tensor]:
    return list({id(x): x for x in tensors}.values())


def side_by_side(x: list[Tensor]) -> Callable[[list[nn.Sequential]], list[Tensor]]:
    def run(made: list[nn.Sequential]) -> list[Tensor]:
        chains = [chain_of(list(operation)) for operation in made]
        rectified = {id(each): each.relu() for each in x}
        return list(run_side_by_side([c for c in chains if c], [rectified[id(each)] for each in x]))

    return run


@pytest.mark.parametrize("name", ["sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7", "dil_conv_3x3", "dil_conv_5x5"])
@pytest.mark.parametrize(("c_out", "stride"), [(6, 1), (8, 2)])
def test_separable_convolutions_side_by_side(name: str, c_out: int, stride: int) -> None:
    a, b = images(2)
    x = [a, b, a]
    check(side_by_side(x), operations(name, 3, c_out=c_out, stride=stride), x)


def test_one_alone_and_many() -> None:
    a, b = images(2)
    check(side_by_side([a]), operations("sep_conv_5x5", 1), [a])
    x = [a, b, b, a, b]
    check(side_by_side(x), operations("sep_conv_3x3", 5), x)


def test_a_result_that_nobody_uses_has_no_gradient() -> None:
    (a,) = images(1)
    made = operations("sep_conv_3x3", 2)
    used, _ = side_by_side([a, a])(made)
    used.sum().backward()
    assert all(float(weight.grad.abs().sum()) == 0 for weight in made[1].parameters() if weight.grad is not None)
    assert any(float(weight.grad.abs().sum()) > 0 for weight in made[0].parameters() if weight.grad is not None)


@pytest.mark.parametrize("filters", [(4, 4), (4, 7, 2)])
def test_pointwise_convolutions_of_one_tensor_as_one(filters: tuple[int, ...]) -> None:
    (a,) = images(1)
    made = [operations("conv_1x1", 1, c_out=c_out)[0] for c_out in filters]

    def together(made: list[nn.Sequential]) -> list[Tensor]:
        parts = [pointwise_of(list(operation)) for operation in made]
        return list(run_joined([part for part in parts if part], a.relu()))

    check(together, made, [a] * len(made))


def test_company_is_sought_where_it_pays() -> None:
    chain = chain_of(list(operations("sep_conv_3x3", 1)[0]))
    assert chain is not None
    assert is_worthwhile([chain] * 2, torch.empty(4, 44, 28, 28))
    assert is_worthwhile([chain] * 2, torch.empty(64, 8, 8, 8))
    assert not is_worthwhile([chain], torch.empty(4, 44, 28, 28))
    assert not is_worthwhile([chain] * 2, torch.empty(64, 8, 4, 4))  # as matrix products
    assert not is_worthwhile([chain] * 2, torch.empty(128, 32, 16, 16))  # larger than a cache


def test_what_is_neither_is_left_alone() -> None:
    layers = list(operations("sep_conv_3x3", 1)[0])
    assert chain_of(layers) is not None
    assert pointwise_of(layers) is None
    assert chain_of(layers[:-1]) is None
    assert chain_of([layers[0], *layers]) is None
    biased = use_fast_convolutions(nn.Conv2d(6, 6, 3, padding=1, groups=6))
    assert chain_of([layers[0], biased, *layers[2:]]) is None
    assert chain_of([*layers[:-1], nn.BatchNorm2d(6, track_running_stats=False)]) is None
    assert chain_of([*layers[:-1], nn.GroupNorm(1, 6)]) is None
    bottleneck = list(operations("conv_3x3", 1, c_in=8, c_out=8)[0])
    assert chain_of(bottleneck) is None
    assert pointwise_of(bottleneck) is not None
    assert pointwise_of(bottleneck[:2]) is None
    assert len(bottleneck) > PREFIX


def test_a_cells_operations_are_run_ahead_when_their_states_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joined_pointwise, "WORTH_BYTES", 0)
    first, second = operations("sep_conv_3x3", 2)
    third, fourth = operations("conv_3x3", 2)
    shared, states = SharedLayers(), [x.detach().float() for x in images(3)]
    made = [operation.float() for operation in (first, second, third, fourth)]
    late = operations("sep_conv_3x3", 1)[0]
    planned = Plan().of([*zip(made, (0, 1, 1, 1), strict=True), (late, 2), (None, 0)])
    assert [each.place for each in planned] == [0, 1, 1, 1, 2]
    rest = shared.run_ahead(planned, states[:2])
    assert [each.place for each in rest] == [2]
    alone = copy.deepcopy(made)  # statistics were followed already
    for operation, other, place in zip(made, alone, (0, 1, 1, 1), strict=True):
        expected = other(states[place])
        torch.testing.assert_close(shared.run(operation, states[place], place=place), expected, rtol=1e-4, atol=1e-4)
    seen = [norm.num_batches_tracked for op in made for norm in op.modules() if isinstance(norm, nn.BatchNorm2d)]
    assert {int(count) for count in seen} == {1}


@pytest.mark.parametrize("watch", ["nobody", "layer", "operation", "all", "no gradient"])
def test_a_watched_operation_is_not_run_ahead(watch: str) -> None:
    made = [operation.float() for operation in operations("sep_conv_3x3", 3)]
    handle, shared, states = None, SharedLayers(), [images(1)[0].detach().float()]
    if watch == "layer":
        made[0][3].register_forward_hook(lambda *_: None)
    elif watch == "operation":
        made[0].register_forward_hook(lambda *_: None)
    elif watch == "all":
        handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    with torch.set_grad_enabled(watch != "no gradient"):
        shared.run_ahead(Plan().of([(operation, 0) for operation in made]), states)
    if handle is not None:
        handle.remove()
    tracked = [int(operation[3].num_batches_tracked) for operation in made]
    assert tracked == {"nobody": [1, 1, 1], "all": [0, 0, 0], "no gradient": [0, 0, 0]}.get(watch, [0, 1, 1])


def test_a_plan_follows_what_becomes_of_the_layers() -> None:
    made, plan = operations("sep_conv_3x3", 2), Plan()
    pairs = [(operation, 0) for operation in made]
    assert len(plan.of(pairs)) == 2
    assert plan.of([*pairs, (operations("sep_conv_5x5", 1)[0], 0)]) == plan.of(pairs)
    made[1][3].eval()
    assert plan.of(pairs) == []
    made[1][3].train()
    assert len(plan.of(pairs)) == 2
    made[0][1].__class__ = nn.Conv2d
    assert plan.of(pairs) == []
    use_fast_convolutions(made[0])
    made[0][3] = nn.BatchNorm2d(6, eps=0.5)
    assert plan.of(pairs) == []


def test_reads_of_one_tensor_add_their_gradients_in_any_order() -> None:
    """The same operations on the same tensors, listed otherwise: the sum of gradients is the same."""
    a, b = images(2)
    made = operations("sep_conv_3x3", 4)
    orders = [[0, 1, 2, 3], [3, 1, 0, 2]]
    reads = [a, b, b, a]
    sums = []
    for order in orders:
        x = [reads[i] for i in order]
        results = side_by_side(x)([copy.deepcopy(made[i]) for i in order])
        sums.append(torch.autograd.grad(sum(result.square().sum() for result in results), [a, b]))  # type: ignore[arg-type]
    for first, second in pairwise(sums):
        torch.testing.assert_close(first, second, rtol=TINY, atol=TINY)
