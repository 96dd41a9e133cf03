"""Forward and backward of baselines against the same network of torchvision or timm: the ratio of their times.

    python tests/benchmarks/bench_baselines.py [NAME ...]

One network a family unless names are given. Both nets do a step in turn, so a busy machine slows both; the ratio
is the median over the rounds of library time / our time, above 1 where ours is faster. One thread, float32, plain
memory layout, training mode, at the image size that the network was made for. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings

import torch
import torchvision
from torch import nn

from nas.baselines import Baseline, find_baseline

ROUNDS, WARMUP = 9, 2
BATCHES = {"large": 2, "small": 32}  # images of 200 pixels and more, and below

# One a family, with timm's name where torchvision has none.
TIMM = {
    "mobilenet-v1": "mobilenetv1_100",
    "mnasnet-a1": "semnasnet_100",
    "resnet-200": "resnet200",
    "se-resnet-50": "legacy_seresnet50",
    "se-resnext-50": "legacy_seresnext50_32x4d",
    "senet-154": "legacy_senet154",
    "inception-v4": "inception_v4",
    "inception-resnet-v2": "inception_resnet_v2",
    "xception": "legacy_xception",
    "dpn-92": "dpn92",
    "regnety-4gf": "regnety_040",
}
TORCHVISION = [
    "alexnet-torchvision",
    "vgg-a",
    "vgg-d-bn",
    "googlenet-torchvision",
    "inception-v3",
    "resnet-18",
    "resnet-50",
    "resnext-50-32x4d",
    "wide-resnet-50-2",
    "densenet-121",
    "squeezenet-1.0",
    "shufflenet-v2",
    "mobilenet-v2",
    "mobilenet-v3-large",
    "mnasnet-b1",
    "efficientnet-b0",
    "efficientnetv2-s",
    "convnext-t",
    "vit-b-16",
]


def library_network(baseline: Baseline) -> tuple[str, nn.Module]:
    """Return where the other network comes from, and the network, without auxiliary heads."""
    if baseline.torchvision:
        heads = {"aux_logits": False} if baseline.torchvision in ("googlenet", "inception_v3") else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            make = torchvision.models.get_model_builder(baseline.torchvision)
            return f"torchvision {baseline.torchvision}", make(weights=None, num_classes=baseline.classes, **heads)
    import timm

    return f"timm {TIMM[baseline.name]}", timm.create_model(TIMM[baseline.name], num_classes=baseline.classes)


def step_seconds(network: nn.Module, images: torch.Tensor) -> float:
    """Return the wall time of one forward and backward pass."""
    network.zero_grad(set_to_none=True)
    start = time.perf_counter()
    network(images).sum().backward()
    return time.perf_counter() - start


def compare(baseline: Baseline) -> str:
    """Return the row of a baseline."""
    other, theirs = library_network(baseline)
    ours = baseline.make(baseline.sizes)
    batch = BATCHES["large" if baseline.resolution >= 200 else "small"]
    images = torch.randn(batch, baseline.channels, baseline.resolution, baseline.resolution)
    ours.train(), theirs.train()
    rounds = [(step_seconds(theirs, images), step_seconds(ours, images)) for _ in range(ROUNDS + WARMUP)][WARMUP:]
    ratios = sorted(library / mine for library, mine in rounds)
    ms = 1000 * statistics.median(mine for _, mine in rounds)
    middle = statistics.median(ratios)
    spread = f"{ratios[1]:.2f} to {ratios[-2]:.2f}"
    return f"| {baseline.name} | {other} | {batch} x {baseline.resolution} | {ms:,.0f} | {middle:.2f} | {spread} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="baselines that torchvision or timm has too")
    torch.set_num_threads(1)
    print(f"| ours | against | images | ours, ms | ratio | without the extremes of {ROUNDS} |\n" + "|---" * 6 + "|")
    for name in parser.parse_args().names or [*TORCHVISION, *TIMM]:
        print(compare(find_baseline(name)), flush=True)


if __name__ == "__main__":
    main()
