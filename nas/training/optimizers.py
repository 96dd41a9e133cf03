"""Optimizers of a recipe: parameters in groups by weight decay and by their share of the learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from nas.training.recipe import Recipe

Group = dict[str, Any]
SCALE = "scale"  # a group's share of the learning rate; 1 where it is left out


class Optimizers:
    """One optimizer, or several that step together; Muon needs two."""

    def __init__(
        self, parts: list[torch.optim.Optimizer], matrices: Sequence[tuple[nn.Parameter, nn.Parameter]] = ()
    ) -> None:
        """Step these together.

        Args:
            parts: the optimizers.
            matrices: pairs of a weight and of the matrix that shares its storage, which an optimizer has in its place.
        """
        self._parts = parts
        self._matrices = matrices

    @property
    def can_hold_rates(self) -> bool:
        """Whether all of them compute with a learning rate in a tensor without reading it; Muon reads it."""
        return not any(isinstance(part, torch.optim.Muon) for part in self._parts)

    def hold_rates(self, device: torch.device) -> None:
        """Keep learning rates in float32 tensors on a device from now on, and all else that steps change too."""
        for group in self._groups:
            group["lr"] = torch.tensor(group["lr"], dtype=torch.float32, device=device)
            if "capturable" in group:  # AdamW and RMSProp count their steps; SGD does not
                group["capturable"] = device.type == "cuda"

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of every group, by its share; nothing waits for a device."""
        for group in self._groups:
            own = rate * group.get(SCALE, 1.0)
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(own)
            else:
                group["lr"] = own

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weight, _ in self._matrices:
            weight.grad = None
        for part in self._parts:
            part.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Change the weights."""
        for weight, matrix in self._matrices:
            matrix.grad = None if weight.grad is None else _as_matrix(weight.grad, like=weight)
        for part in self._parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the state: that of the optimizer, or of several by their place; learning rates are numbers."""
        if len(self._parts) == 1:
            return _with_numbers(self._parts[0].state_dict())
        return {str(i): _with_numbers(part.state_dict()) for i, part in enumerate(self._parts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state.

        Raises:
            ValueError: it is that of another training.
        """
        states = [state] if len(self._parts) == 1 else [state.get(str(i), {}) for i in range(len(self._parts))]
        for part, one in zip(self._parts, states, strict=True):
            if one.keys() < {"state", "param_groups"}:
                raise ValueError("the optimizer's state is that of another training")
            _load(part, one)

    @property
    def _groups(self) -> list[Group]:
        return [group for part in self._parts for group in part.param_groups]


def _with_numbers(state: dict[str, Any]) -> dict[str, Any]:
    groups = [{**g, "lr": float(g["lr"])} if isinstance(g["lr"], torch.Tensor) else g for g in state["param_groups"]]
    return {**state, "param_groups": groups}


def _load(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Have an optimizer take over a state, but not where its rates and its count of steps are."""
    own = [{key: group[key] for key in ("lr", "capturable") if key in group} for group in optimizer.param_groups]
    groups = state["param_groups"]
    if len(groups) == len(own):  # else torch says so
        kept = [{"capturable": keys["capturable"]} if "capturable" in keys else {} for keys in own]
        state = {**state, "param_groups": [{**group, **keys} for group, keys in zip(groups, kept, strict=True)]}
    optimizer.load_state_dict(state)
    for group, keys in zip(optimizer.param_groups, own, strict=True):
        if isinstance(keys["lr"], torch.Tensor):
            group["lr"] = keys["lr"].fill_(group["lr"])


def make_optimizer(network: nn.Module, recipe: Recipe, *, rates: Mapping[str, float], fused: bool) -> Optimizers:
    """Return what trains a network's parameters by a recipe.

    Args:
        network: those of its parameters that require a gradient are trained.
        recipe: how.
        rates: share of the learning rate by parameter name; 1 where it is not named.
        fused: whether all parameters are where torch has fused kernels.
    """
    named = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    if recipe.optimizer == "muon":
        return _muon(named, recipe, rates, fused=fused)
    groups = _groups(named, recipe, rates)
    if recipe.optimizer == "adamw":
        return Optimizers([_adamw(groups, recipe, fused=fused)])
    if recipe.optimizer == "rmsprop":
        rate, alpha = recipe.learning_rate, recipe.squared_momentum
        return Optimizers(
            [torch.optim.RMSprop(groups, lr=rate, alpha=alpha, eps=recipe.epsilon, momentum=recipe.momentum)]
        )
    nesterov = recipe.nesterov and recipe.momentum > 0
    rate = recipe.learning_rate
    return Optimizers([torch.optim.SGD(groups, lr=rate, momentum=recipe.momentum, nesterov=nesterov, fused=fused)])


def _groups(named: list[tuple[str, nn.Parameter]], recipe: Recipe, rates: Mapping[str, float]) -> list[Group]:
    """Return the groups: matrices and then the rest, by falling share of the rate."""
    groups: list[Group] = []
    for share in sorted({rates.get(name, 1.0) for name, _ in named}, reverse=True):
        extra = {} if share == 1 else {SCALE: share}
        here = [parameter for name, parameter in named if rates.get(name, 1.0) == share]
        others_decay = recipe.weight_decay if recipe.decayed == "all" else 0.0
        for parameters, decay in (
            ([p for p in here if p.ndim > 1], recipe.weight_decay),
            ([p for p in here if p.ndim <= 1], others_decay),
        ):
            if parameters:
                groups.append({"params": parameters, "weight_decay": decay, **extra})
    return groups


def _adamw(groups: list[Group], recipe: Recipe, *, fused: bool) -> torch.optim.AdamW:
    betas = (recipe.momentum, recipe.squared_momentum)
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=betas, eps=recipe.epsilon, fused=fused)


def _muon(
    named: list[tuple[str, nn.Parameter]], recipe: Recipe, rates: Mapping[str, float], *, fused: bool
) -> Optimizers:
    """Return Muon on inner matrices, a convolution's weight as (filters, the rest), and AdamW (Jordan 2024, "Muon").

    The classifier, the last matrix, and whatever is no matrix is AdamW's. Muon's steps are scaled to the size of
    AdamW's (Liu 2025, "Muon is Scalable for LLM Training", section 2.2), so that one learning rate serves both.
    """
    last = max((i for i, (_, weight) in enumerate(named) if weight.ndim > 1), default=-1)
    inner = {n: w for i, (n, w) in enumerate(named) if w.ndim > 1 and len(w) > 1 and i != last}
    rest = [(name, weight) for name, weight in named if name not in inner]
    adamw = [_adamw(_groups(rest, recipe, rates), recipe, fused=fused)] if rest else []
    if not inner:
        return Optimizers([*adamw])
    matrices = {name: nn.Parameter(_as_matrix(weight.detach(), like=weight)) for name, weight in inner.items()}
    muon = torch.optim.Muon(
        _groups(list(matrices.items()), recipe, rates),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        adjust_lr_fn="match_rms_adamw",
    )
    return Optimizers([muon, *adamw], [(inner[name], matrix) for name, matrix in matrices.items()])


def _as_matrix(values: torch.Tensor, *, like: torch.Tensor) -> torch.Tensor:
    """Return values of a weight as (filters, the rest), in the order of the weight's storage; the weight's as a view.

    To Muon the order of a filter's entries makes no difference.
    """
    if like.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last):
        values = values.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
    return values.flatten(1)
