"""What a baseline is built for, and the one rule by which all of them adapt to other images and sizes.

**Strides.** A network made for large images would shrink small ones to nothing. So its first strides are given up,
from the input on and by halves, until the last feature map has `SMALLEST_MAP` positions a side, or as many as the
network has on the images it was made for, if those are fewer. A stem convolution that gave up stride is at most
3 x 3, and a pooling that did is left out. Where strides were given up, convolutions without padding get it.
On its own image size, and on larger ones, every network is what its authors published.

**Width and depth.** `width` multiplies filters, rounded to a multiple of a divisor and never below 90 % (Tan 2019);
`depth` multiplies repeats, rounded up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nas.errors import InvalidInputError

SMALLEST_MAP = 4
LARGEST_STEM_KERNEL = 3


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
        kept = list(strides)
        target = min(SMALLEST_MAP, -(-canonical // math.prod(strides)))
        for i in range(len(kept)):
            while kept[i] > 1 and -(-self.resolution // math.prod(kept)) < target:
                kept[i] = kept[i] // 2
        return tuple(kept)

    def repeats(self, count: int) -> int:
        """Return how often a block is repeated."""
        return math.ceil(self.depth * count - 1e-9)

    def filters(self, count: int, divisor: int = 8) -> int:
        """Return the number of filters for a published number; that number itself at width 1."""
        if self.width == 1:
            return count
        wanted = self.width * count
        rounded = max(divisor, int(wanted + divisor / 2) // divisor * divisor)
        return rounded + divisor if rounded < 0.9 * wanted else rounded

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


def stem_kernel(kernel: int, stride: int, published_stride: int) -> int:
    """Return a stem convolution's kernel size: at most 3 where its stride was given up."""
    return kernel if stride == published_stride else min(kernel, LARGEST_STEM_KERNEL)
