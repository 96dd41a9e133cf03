"""What is known of a hand-designed network: where it comes from, what it was made for, and how it is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from nas.baselines.sizes import Sizes


@dataclass(frozen=True, slots=True)
class Baseline:
    """A hand-designed network.

    Attributes:
        name: what it is found by.
        title: what people call it, and which variant of it this is.
        paper: title of the paper.
        year: of the paper.
        make: builds it; weights are drawn from torch's global generator.
        resolution, channels, classes: what it was made for.
        aliases: other names of it.
        top1_error, top5_error: published errors in percent on the data it was made for; None where unknown.
        torchvision: the function of `torchvision.models` that gives the same network; empty when there is none.
            Its weights fit ours tensor by tensor, in the order of the definition.
        note: in a line, why parameters or MACs differ from what the paper prints; empty when they do not.
        scales: which of ``depth`` and ``width`` can be changed.
    """

    name: str
    title: str
    paper: str
    year: int
    make: Callable[[Sizes], nn.Module]
    resolution: int = 224
    channels: int = 3
    classes: int = 1000
    aliases: tuple[str, ...] = ()
    top1_error: float | None = None
    top5_error: float | None = None
    torchvision: str = ""
    note: str = ""
    scales: tuple[str, ...] = ("depth", "width")

    @property
    def sizes(self) -> Sizes:
        """What it was published for."""
        return Sizes(self.resolution, self.channels, self.classes)
