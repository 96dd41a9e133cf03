"""The rules by which networks made for large images adapt to other images and sizes: strides, filters, repeats.

**Strides.** A network made for large images would shrink small ones to nothing. So its first strides are given up,
from the input on and by halves, until the last feature map has `SMALLEST_MAP` positions a side, or as many as the
network has on the images it was made for, if those are fewer. A stem convolution that gave up stride is at most
3 x 3.

**Width and depth.** Filters are multiplied and rounded to a multiple of a divisor, never below 90 % (Tan 2019);
repeats are multiplied and rounded up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

SMALLEST_MAP = 4
LARGEST_STEM_KERNEL = 3


def plan_strides(strides: Sequence[int], *, resolution: int, canonical: int) -> tuple[int, ...]:
    """Return a network's strides, from input to output, on images of some size.

    Args:
        strides: those published; each a power of two.
        resolution: height and width of the images in pixels.
        canonical: the image size that the strides were published for.
    """
    kept = list(strides)
    target = min(SMALLEST_MAP, -(-canonical // math.prod(strides)))
    for i in range(len(kept)):
        while kept[i] > 1 and -(-resolution // math.prod(kept)) < target:
            kept[i] //= 2
    return tuple(kept)


def scale_repeats(count: int, depth: float) -> int:
    """Return how often a block is repeated when depth is multiplied: rounded up."""
    return math.ceil(depth * count - 1e-9)


def scale_filters(count: int, width: float, divisor: int = 8) -> int:
    """Return a number of filters when width is multiplied; that number itself at width 1."""
    return count if width == 1 else round_filters(width * count, divisor)


def round_filters(wanted: float, divisor: int = 8) -> int:
    """Return the nearest multiple of a divisor, or the next one where that is below 90 % of what is wanted."""
    rounded = max(divisor, int(wanted + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * wanted else rounded


def stem_kernel(kernel: int, stride: int, published_stride: int) -> int:
    """Return a stem convolution's kernel size: at most 3 where its stride was given up."""
    return kernel if stride == published_stride else min(kernel, LARGEST_STEM_KERNEL)
