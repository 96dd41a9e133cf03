"""The rate on a plateau: torch's schedule without its state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nas.errors import InvalidInputError
from nas.parts.plateau import Plateau

SETTINGS: list[dict[str, Any]] = [
    {},
    {"patience": 0},
    {"patience": 2, "factor": 0.5, "cooldown": 3},
    {"patience": 1, "factor": 0.3, "threshold": 0.05, "smallest": 0.01},
    {"patience": 0, "cooldown": 1, "smallest": 1e-9},
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("seed", range(5))
def test_rates_are_torch_s(settings: dict[str, Any], seed: int) -> None:
    """Losses that fall, rest and jump, one of them not a number; compared after every epoch."""
    rng = np.random.default_rng(seed)
    losses = (2 * np.exp(-np.arange(150) / 15) + rng.normal(0, 0.02, 150) + 0.3).tolist()
    losses[7] = float("nan")
    plateau = Plateau(0.1, **settings)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    names = {"smallest": "min_lr"}
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, **{"factor": 0.1, "patience": 10, **{names.get(k, k): v for k, v in settings.items()}}
    )
    for i, loss in enumerate(losses):
        reference.step(loss)
        assert plateau.rate_after(losses[: i + 1]) == optimizer.param_groups[0]["lr"]
    assert optimizer.param_groups[0]["lr"] < 0.1


def test_without_losses_the_rate_is_the_first() -> None:
    assert Plateau(0.2).rate_after([]) == 0.2


@pytest.mark.parametrize(
    "settings",
    [{"learning_rate": 0.0}, {"factor": 1.0}, {"patience": -1}, {"threshold": -0.1}, {"smallest": float("nan")}],
)
def test_values_outside_their_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(settings))):
        Plateau(**{"learning_rate": 0.1, **settings})  # type: ignore[arg-type]
