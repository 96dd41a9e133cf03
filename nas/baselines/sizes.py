"""What a baseline is built for, and the one rule by which all of them adapt to other images and sizes.

The rule is that of `search_spaces.scaling_rules`: on small images the first strides are given up. In a baseline, a
pooling that gave up its stride is left out, and where strides were given up, convolutions without padding get it.
On its own image size, and on larger ones, every network is what its authors published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas.errors import InvalidInputError
from search_spaces.scaling_rules import plan_strides, scale_filters, scale_repeats


@dataclass(frozen=True, slots=True)
class Sizes:
    """Images, classes, and how much wider and deeper than published.

    Attributes:
        resolution: height and width in pixels.
        channels: of the images.
        classes: length of the logits.
        depth: multiplies the repeats of blocks.
        width: multiplies filters.
        auxiliary: whether to build the auxiliary classifiers that the network's authors trained with.
    """

    resolution: int
    channels: int = 3
    classes: int = 1000
    depth: float = 1.0
    width: float = 1.0
    auxiliary: bool = False

    def strides(self, strides: Sequence[int], *, canonical: int) -> tuple[int, ...]:
        """Return the network's strides, from input to output, on these images.

        Args:
            strides: those published; each 1, 2 or 4.
            canonical: the image size that they were published for.
        """
        return plan_strides(strides, resolution=self.resolution, canonical=canonical)

    def repeats(self, count: int) -> int:
        """Return how often a block is repeated."""
        return scale_repeats(count, self.depth)

    def filters(self, count: int, divisor: int = 8) -> int:
        """Return the number of filters for a published number; that number itself at width 1."""
        return scale_filters(count, self.width, divisor)

    def require(self, name: str, *, at_least: int) -> None:
        """Refuse images that a network cannot take.

        Raises:
            InvalidInputError: the images are smaller.
        """
        if self.resolution < at_least:
            raise InvalidInputError(
                f"{name} takes images of at least {at_least} x {at_least} pixels, got {self.resolution}: "
                "use larger images, or --resolution to enlarge them."
            )
