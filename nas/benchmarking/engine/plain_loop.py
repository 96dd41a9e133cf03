"""The loop that this project's training is measured against: plain PyTorch, as most users write it.

A ``Dataset`` with torchvision's transforms, a ``DataLoader``, torch's optimizer and scheduler, everything else as torch
comes: its own number of threads, its own memory layout, its own initialisation. The network is the plain PyTorch file
that `nas export` writes, with the same first weights, so both sides train the same function.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from nas.data.image_data import ImageData, Split
from nas.errors import InvalidInputError
from nas.exporting.network_file import Images, network_text
from nas.training.clock import Clock
from nas.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class PlainResult:
    """What a plain training came to: share of validation images that are right, and seconds from building on."""

    val_accuracy: float
    seconds: float


class _ImageSet(Dataset[tuple[Tensor, int]]):
    """Images one by one, each through torchvision's transforms."""

    def __init__(self, split: Split, transform: Any) -> None:
        self._images, self._labels, self._transform = split.images, split.labels.tolist(), transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(self._images[index]), self._labels[index]


def plain_source(network: nn.Module, data: ImageData) -> str:
    """Return a network as a file of plain PyTorch."""
    return network_text(network.eval(), Images(data.input_shape), title="A network of the stream")


def train_plainly(
    source: str,
    weights: dict[str, Tensor],
    data: ImageData,
    *,
    recipe: Recipe,
    seed: int,
    clock: Clock,
    device: torch.device | str = "cpu",
    loader_workers: int = 0,
) -> PlainResult:
    """Train a network by a recipe of plain SGD, and measure it.

    Args:
        source: its file.
        weights: to begin with.
        data: training and validation images.
        recipe: how.
        seed: of torch's global generator, from which order and transforms are drawn.
        clock: told the phases.
        device: where to train.
        loader_workers: processes of each ``DataLoader``.

    Raises:
        InvalidInputError: the recipe has more in it than this loop.
    """
    _check(recipe)
    namespace: dict[str, Any] = {"__name__": "network"}
    exec(compile(source, "network.py", "exec"), namespace)  # written by this process a moment ago
    torch.manual_seed(seed)
    begun = time.perf_counter()
    with clock.phase("building"):
        network: nn.Module = namespace["build"]()
        network.load_state_dict(weights)
        network.to(device).train()
        optimizer = torch.optim.SGD(
            network.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            weight_decay=recipe.weight_decay,
        )
    train_set = _ImageSet(data.train, _transform(data, augment=recipe.augment))
    loader = DataLoader(train_set, recipe.batch_size, shuffle=True, drop_last=True, num_workers=loader_workers)
    steps = recipe.epochs * len(loader)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: recipe.rate_at(min(1.0, step / steps)) / recipe.learning_rate
    )
    for _ in range(recipe.epochs):
        _run_epoch(network, loader, optimizer, scheduler, recipe, clock, device)
    with clock.phase("evaluation"):
        validation = DataLoader(_ImageSet(data.validation, _transform(data, augment=False)), recipe.batch_size)
        share = _accuracy(network, validation, device)
    return PlainResult(share, time.perf_counter() - begun)


def _check(recipe: Recipe) -> None:
    """Refuse what this loop would silently leave out."""
    simple = Recipe(recipe.name, recipe.epochs)
    for name in ("label_smoothing", "drop_path", "auxiliary_weight", "cutout", "optimizer", "average", "policy"):
        if getattr(recipe, name) != getattr(simple, name):
            raise InvalidInputError(f"the plain loop trains without {name}, got {getattr(recipe, name)!r}.")


def _run_epoch(
    network: nn.Module, loader: Any, optimizer: Any, scheduler: Any, recipe: Recipe, clock: Clock, device: Any
) -> None:
    batches = iter(loader)
    for _ in range(len(loader)):
        with clock.phase("data"):
            images, labels = (tensor.to(device) for tensor in next(batches))
        with clock.phase("forward"):
            loss = functional.cross_entropy(network(images), labels)
        with clock.phase("backward"):
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
        with clock.phase("optimiser"):
            if recipe.gradient_clip:
                nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_clip)
            optimizer.step()
            scheduler.step()
            loss.item()  # for the progress line that every such loop prints


@torch.no_grad()
def _accuracy(network: nn.Module, loader: Any, device: Any) -> float:
    network.eval()
    correct = total = 0
    for images, labels in loader:
        correct += int((network(images.to(device)).argmax(1).cpu() == labels).sum())
        total += len(labels)
    return correct / total


def _transform(data: ImageData, *, augment: bool) -> Any:
    from torchvision.transforms import v2

    changes: list[Any] = []
    if augment and data.augmentation.crop_padding:
        changes.append(v2.RandomCrop(data.input_shape[1:], padding=data.augmentation.crop_padding))
    if augment and data.augmentation.flip:
        changes.append(v2.RandomHorizontalFlip())
    return v2.Compose([*changes, v2.ToDtype(torch.float32, scale=True), v2.Normalize(data.mean, data.std)])
