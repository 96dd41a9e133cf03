"""The torch modules that a cell network's layout becomes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from search_spaces.cell_layout import CellLayout, NetworkLayout
from search_spaces.graph import ZERO, Block, Edge
from search_spaces.layers import Conv, Layer, Norm, Normalization, Relu, layers_module
from search_spaces.operations import IDENTITY, PlannedLayers
from search_spaces.shared_layers import Plan, SharedLayers
from search_spaces.skeleton import NORMALIZATIONS, Shape


class CellNetwork(nn.Module):
    """Images (batch, channels, height, width) -> logits (batch, classes).

    Weights are drawn from torch's global generator when it is made; whoever needs them repeatable seeds that.
    """

    def __init__(self, layout: NetworkLayout) -> None:
        """Make every module of the layout and draw its weights."""
        super().__init__()
        blueprint, skeleton = layout.blueprint, layout.skeleton
        normalization = NORMALIZATIONS[blueprint.stem]
        self.stem = nn.ModuleList(layers_module(part.layers, normalization, draw=False) for part in layout.stem)
        self.cells = nn.ModuleList(CellModule(cell, normalization) for cell in layout.cells)
        self._inputs = [(cell.placement.previous, cell.placement.current) for cell in layout.cells]
        self._last_use = _last_uses(self._inputs, len(layout.stem))
        self._plan = Plan()
        auxiliary = [i for i, cell in enumerate(layout.cells) if cell.placement.auxiliary]
        self._auxiliary_index = auxiliary[-1] if auxiliary and blueprint.auxiliary else None
        self.auxiliary: nn.Module | None = None
        if self._auxiliary_index is not None:
            source = layout.cells[self._auxiliary_index].output
            self.auxiliary = AuxiliaryHead(source, layout, normalization)
        self.head_activation = nn.ReLU() if skeleton.family == "nasnet" else nn.Identity()
        self.dropout = nn.Dropout(skeleton.dropout if blueprint.stem == "imagenet" else 0.0)
        self.classifier = nn.Linear(layout.features, blueprint.classes, bias=skeleton.classifier_bias)
        _initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        return self.forward_with_auxiliary(images)[0]

    def forward_with_auxiliary(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the logits, and those of the auxiliary head while training; None where it has none."""
        outputs: list[Tensor | None] = []
        x = images
        if self.training and x.device.type == "cpu":  # there separable layers take half the time in this layout
            x = x.contiguous(memory_format=torch.channels_last)
        for stem in self.stem:
            x = stem(x)
            outputs.append(x)
        auxiliary = None
        shared = SharedLayers() if self.training else None
        planned = [] if shared is None else self._plan.of(self._adjustments)
        for i, (cell, (previous, current)) in enumerate(zip(self.cells, self._inputs, strict=True)):
            if planned and shared is not None:
                planned = shared.run_ahead(planned, outputs)
            x = cell(None if previous is None else outputs[previous], outputs[current], shared, (previous, current))
            outputs.append(x)
            if i == self._auxiliary_index and self.training and self.auxiliary is not None:
                auxiliary = self.auxiliary(x)
            for done in self._last_use[i]:
                outputs[done] = None
                if shared is not None:
                    shared.forget(done)
        features = self.head_activation(x).mean(dim=(2, 3))
        return self.classifier(self.dropout(features)), auxiliary

    @property
    def _adjustments(self) -> list[tuple[nn.Module | None, int]]:
        """What brings outputs to the cells' channels, with the number of the output that each reads."""
        found: list[tuple[nn.Module | None, int]] = []
        for cell, (previous, current) in zip(self.cells, self._inputs, strict=True):
            assert isinstance(cell, CellModule)
            found += [(cell.adjust_previous, current if previous is None else previous), (cell.adjust_current, current)]
        return found

    def set_drop_path(self, rate: float) -> None:
        """Drop each operation's result for a whole image with a probability that grows with depth up to `rate`.

        Zoph 2018, A.7 and TF-Slim: cell i of n drops with rate x (i + 1) / n. ScheduledDropPath is calling this
        with a rate that grows linearly through training.
        """
        for i, cell in enumerate(self.cells):
            assert isinstance(cell, CellModule)
            cell.drop_path = rate * (i + 1) / len(self.cells)


class CellModule(nn.Module):
    """One cell: (previous, current) outputs -> concatenation (batch, F x states, h / stride, w / stride)."""

    def __init__(self, layout: CellLayout, normalization: Normalization) -> None:
        """Make the modules of one cell."""
        super().__init__()
        self.adjust_previous = _optional(layout.adjust[0], normalization)
        self.adjust_current = _optional(layout.adjust[1], normalization)
        self.blocks = nn.ModuleList(
            BlockModule(block, edges, normalization)
            for block, edges in zip(layout.cell.blocks, layout.edges, strict=True)
        )
        self.concat = layout.cell.concat
        self.fixups = nn.ModuleList(_optional(fix, normalization) or nn.Identity() for fix in layout.fixups)
        self.drop_path = 0.0
        self._plan = Plan()

    @property
    def _operations(self) -> list[tuple[nn.Module | None, int]]:
        found: list[tuple[nn.Module | None, int]] = []
        for block in self.blocks:
            assert isinstance(block, BlockModule)
            found += block.operations
        return found

    def forward(
        self,
        previous: Tensor | None,
        current: Tensor,
        shared: SharedLayers | None = None,
        places: tuple[int | None, int] = (None, 1),
    ) -> Tensor:
        """Run the blocks in order and concatenate the output states.

        Args:
            previous: output read as state 0; None where that is the raw current one.
            current: output read as state 1.
            shared: what was computed of the network's outputs already; None outside training.
            places: numbers of the two outputs there.
        """
        before, place = (current, places[1]) if previous is None else (previous, places[0])
        states = [
            before if self.adjust_previous is None else _run(self.adjust_previous, before, shared, place),
            current if self.adjust_current is None else _run(self.adjust_current, current, shared, places[1]),
        ]
        drop = self.drop_path if self.training else 0.0
        inside = None if shared is None else SharedLayers()
        planned = [] if inside is None else self._plan.of(self._operations)
        for block in self.blocks:
            if planned and inside is not None:
                planned = inside.run_ahead(planned, states)
            states.append(block(states, current, drop, inside))
        outputs = [fix(states[state]) for fix, state in zip(self.fixups, self.concat, strict=True)]
        return torch.cat(outputs, dim=1) if len(outputs) > 1 else outputs[0]


class BlockModule(nn.Module):
    """Two operations on two states, added or concatenated."""

    def __init__(self, block: Block, edges: tuple[PlannedLayers, PlannedLayers], normalization: Normalization) -> None:
        """Make the two operations."""
        super().__init__()
        self.left = layers_module(edges[0].layers, normalization, draw=False)
        self.right = layers_module(edges[1].layers, normalization, draw=False)
        self._edges: tuple[Edge, Edge] = block.edges
        self._adds = block.combination == "add"

    @property
    def operations(self) -> list[tuple[nn.Module | None, int]]:
        """Both operations, each with the number of the state that it reads."""
        return [(self.left, self._edges[0].state), (self.right, self._edges[1].state)]

    def forward(self, states: list[Tensor], current: Tensor, drop: float, shared: SharedLayers | None = None) -> Tensor:
        """Apply both operations to the states they read; `current` gives zeros their shape."""
        results = []
        for edge, operation in zip(self._edges, (self.left, self.right), strict=True):
            source = current if edge.operation == ZERO else states[edge.state]
            result = _run(operation, source, shared, edge.state)
            results.append(drop_path(result, drop) if drop and edge.operation != IDENTITY else result)
        return results[0] + results[1] if self._adds else torch.cat(results, dim=1)


class AuxiliaryHead(nn.Module):
    """A second classifier on an inner cell, trained along to help gradients (Zoph 2018, A.7; TF-Slim; ENAS; DARTS)."""

    def __init__(self, source: Shape, layout: NetworkLayout, normalization: Normalization) -> None:
        """Make the head for a state of this shape.

        Pooling is 5x5 (less where the state is smaller), stride 3, or 2 in DARTS' ImageNet networks, whose head
        also lacks the second normalisation, as released. Here the second convolution covers the pooled map once;
        ENAS' slides it over the padded map and averages, with the same weights.
        """
        super().__init__()
        darts_imagenet = layout.skeleton.family == "darts" and layout.blueprint.stem == "imagenet"
        kernel, stride = min(5, source.size), 2 if darts_imagenet else 3
        size = (source.size - kernel) // stride + 1
        layers: tuple[Layer, ...] = (
            Conv(source.channels, 128),
            Norm(128),
            Relu(),
            Conv(128, 768, (size, size), padded=False),
            *(() if darts_imagenet else (Norm(768),)),
            Relu(),
        )
        drawn = layers_module(layers, normalization, draw=False)
        self.features = nn.Sequential(nn.ReLU(), nn.AvgPool2d(kernel, stride), drawn)
        self.classifier = nn.Linear(768, layout.blueprint.classes, bias=layout.skeleton.classifier_bias)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, h, w) -> logits (batch, classes)."""
        logits: Tensor = self.classifier(self.features(x).flatten(1))
        return logits


def drop_path(x: Tensor, rate: float) -> Tensor:
    """Zero whole images of a batch with probability `rate` and scale the others up to keep the mean."""
    keep = 1.0 - rate
    mask = torch.empty(x.shape[0], 1, 1, 1, dtype=x.dtype, device=x.device).bernoulli_(keep)
    return x * mask.div_(keep)


def _run(operation: nn.Module, x: Tensor, shared: SharedLayers | None, place: int | None) -> Tensor:
    if shared is None or place is None:
        result: Tensor = operation(x)
        return result
    return shared.run(operation, x, place=place)


def _optional(planned: PlannedLayers | None, normalization: Normalization) -> nn.Module | None:
    return layers_module(planned.layers, normalization, draw=False) if planned and planned.layers else None


def _last_uses(inputs: list[tuple[int | None, int]], num_stems: int) -> list[list[int]]:
    """For each cell, the outputs that no later cell reads, so that memory can be given back."""
    last: dict[int, int] = {}
    for i, pair in enumerate(inputs):
        last.update({output: i for output in pair if output is not None})
    done: list[list[int]] = [[] for _ in inputs]
    for output in range(num_stems):
        last.setdefault(output, 0)
    for output, i in last.items():
        done[i].append(output)
    return done


@torch.no_grad()
def _initialize(network: nn.Module) -> None:
    """Draw weights as TF-Slim's NASNet: normal with variance 2 / fan-out; biases zero, normalisation the identity."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
            module.weight.normal_(0, math.sqrt(2 / fan_out))
        elif isinstance(module, nn.Linear):
            module.weight.normal_(0, module.in_features**-0.5)
            if module.bias is not None:
                module.bias.zero_()
