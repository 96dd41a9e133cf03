"""NASWOT: how differently a network's rectified units respond to the images of a minibatch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from nas.evaluators.training_free.minibatch import Minibatch
from nas.evaluators.training_free.score import UnscorableError, use_batch_statistics

_RECTIFIERS: frozenset[Callable[..., Any]] = frozenset(
    (functional.relu, functional.relu6, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)
)
FAILURE = "two images have the same code in every unit, there are fewer units than images, or they are not finite"


class _AgreementKernel(TorchFunctionMode):
    """Watches every rectifier that runs, as a module, a function or in place, once for each time it runs.

    Attributes:
        kernel: float64 (batch, batch): in how many units two images have the same code.
    """

    def __init__(self, batch_size: int) -> None:
        """Start with no units."""
        super().__init__()
        self.kernel = torch.zeros(batch_size, batch_size, dtype=torch.float64)
        self.num_units = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run a torch function, and add the codes of a rectifier's result at once, before anything overwrites it."""
        settings = kwargs or {}
        result = func(*args, **settings)
        if func in _RECTIFIERS or (func is functional.hardtanh and settings["min_val"] == 0):  # what nn.ReLU6 calls
            self._add(result)
        return result

    def _add(self, result: Tensor) -> None:
        """Count agreements: of n units with codes s in {-1, 1}, two images agree in (n + s_i . s_j) / 2.

        Every partial sum is a whole number of at most n, so that float32 is exact up to 2^24 units a rectifier.
        """
        signs = (result.detach() > 0).flatten(1).float().mul_(2).sub_(1)
        self.kernel += ((signs @ signs.T).double().cpu() + signs.shape[1]) / 2
        self.num_units += signs.shape[1]


def compute_naswot(network: nn.Module, batch: Minibatch, *, generator: torch.Generator) -> float:
    """Return the logarithm of the determinant of the kernel of binary codes (Mellor 2021, section 3).

    The code of an image has a bit for each rectified unit, set where it is active; the kernel's entry for two
    images is N - d: the number of units less the Hamming distance of their codes (K_H in the paper; its
    https://arxiv.org/abs/2006.04647 has the score log |K_H|). All rectifiers count, also those that reach no output
    and each run of one that is used several times.

    Args:
        network: changed: batch normalisation uses the minibatch.
        batch: images; the score does not depend on their order or labels.
        generator: not used.

    Returns:
        The logarithm; minus infinity where the kernel is singular, as it is when two images have the same code.

    Raises:
        UnscorableError: the network has no rectified linear units.
    """
    use_batch_statistics(network)
    with torch.no_grad(), _AgreementKernel(len(batch)) as codes:
        network(batch.images)
    if codes.num_units == 0:
        raise UnscorableError("naswot reads the codes of rectified linear units, and none ran in this network")
    values = torch.linalg.eigvalsh(codes.kernel)  # ascending, none below zero but by rounding
    singular = values[0] <= values[-1] * len(values) * torch.finfo(torch.float64).eps
    return float("-inf") if singular else float(values.log().sum())
