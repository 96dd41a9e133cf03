"""Operations of a cell computed together against one by one: forward and backward of a few, on one thread.

    python tests/benchmarks/bench_together.py

CPU time of the thread, medians over rounds in which both ways take turns. Sizes are those of the search's networks on
digits (64 images), of NASNet-A (4 images) and of CIFAR (128 images).
"""

from __future__ import annotations

import statistics
import time

import torch
from torch import Tensor, nn

from search_spaces.joined_pointwise import pointwise_of, run_joined
from search_spaces.layers import Normalization, layers_module
from search_spaces.operations import OPERATIONS
from search_spaces.separable_chains import chain_of, run_side_by_side

ROUNDS, WARMUP = 15, 3
SEPARABLE = ((64, 8, 8), (64, 16, 4), (4, 44, 28), (4, 88, 14), (4, 176, 7), (128, 32, 16))
JOINED = ((64, 48, 8, 8), (64, 96, 4, 16), (4, 264, 28, 44), (4, 528, 14, 88), (4, 1056, 7, 176), (128, 192, 32, 32))


def compare(name: str, count: int, batch: int, channels: int, size: int, filters: int) -> str:
    """Return a row: milliseconds of both ways, and their ratio."""
    made = [layers_module(OPERATIONS[name](channels, filters, 1), Normalization()).train() for _ in range(count)]
    layers = [list(operation) for operation in made if isinstance(operation, nn.Sequential)]
    chains = [chain for chain in map(chain_of, layers) if chain is not None]
    parts = [part for part in map(pointwise_of, layers) if part is not None]
    x, gradient = (
        torch.randn(batch, c, size, size).contiguous(memory_format=torch.channels_last)
        for c in (channels, count * filters)
    )
    x.requires_grad_()

    def alone() -> list[Tensor]:
        results, rectified = [], x.relu()
        for row in layers:
            y = rectified
            for layer in row[1:]:
                y = torch.relu_(y) if type(layer) is nn.ReLU else layer(y)
            results.append(y)
        return results

    def together() -> list[Tensor]:
        rectified = x.relu()
        return list(run_side_by_side(chains, [rectified] * count) if chains else run_joined(parts, rectified))

    found: dict[str, list[float]] = {"alone": [], "together": []}
    for i in range(ROUNDS + WARMUP):
        for key, way in (("alone", alone), ("together", together)):
            begun = time.thread_time()
            torch.cat(way(), 1).backward(gradient)
            if i >= WARMUP:
                found[key].append(1000 * (time.thread_time() - begun))
    ratio = statistics.median(b / a for a, b in zip(found["alone"], found["together"], strict=True))
    one, other = (statistics.median(found[key]) for key in ("alone", "together"))
    return f"| {name} x {count} | {batch} x {channels} x {size} x {size} | {one:.2f} | {other:.2f} | {ratio:.2f} |"


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("| operations | they read | ms one by one | ms together | ratio |\n|---|---|---|---|---|")
    for name in ("sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7", "dil_conv_3x3"):
        for count in (2, 3):
            for batch, channels, size in SEPARABLE:
                print(compare(name, count, batch, channels, size, channels), flush=True)
    for batch, channels, size, filters in JOINED:
        print(compare("conv_1x1", 2, batch, channels, size, filters), flush=True)


if __name__ == "__main__":
    main()
