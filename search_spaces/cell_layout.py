"""A cell network with every shape worked out: what is built is read off this, and so is what it costs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from search_spaces.architecture import Blueprint, Complexity
from search_spaces.errors import InvalidInputError
from search_spaces.graph import NUM_INPUTS, ZERO, Cell
from search_spaces.layers import Conv, Norm, Relu
from search_spaces.operations import PlannedLayers, plan_factorized_reduction, plan_layers, plan_operation
from search_spaces.skeleton import Placement, Shape, Skeleton, place_cells, plan_stem


@dataclass(frozen=True, slots=True)
class CellPair:
    """The two cells of an architecture, in canonical form."""

    normal: Cell
    reduction: Cell


@dataclass(frozen=True, slots=True)
class CellLayout:
    """One cell at known shapes.

    Attributes:
        placement: where it stands.
        cell: its graph.
        adjust: layers that bring the two inputs to F channels and one size; None where an input is not read.
        edges: per block, the layers of its two sides.
        fixups: per concatenated state, the layers that bring it to F channels and the output's size, if needed.
        output: shape of the concatenation.
        params, macs: cost of all of it (see `Complexity`).
    """

    placement: Placement
    cell: Cell
    adjust: tuple[PlannedLayers | None, PlannedLayers | None]
    edges: tuple[tuple[PlannedLayers, PlannedLayers], ...]
    fixups: tuple[PlannedLayers | None, ...]
    output: Shape
    params: int
    macs: int


@dataclass(frozen=True, slots=True)
class NetworkLayout:
    """A cell network at known shapes: stem outputs, cells, and the classifier's input."""

    skeleton: Skeleton
    blueprint: Blueprint
    stem: tuple[PlannedLayers, ...]
    cells: tuple[CellLayout, ...]

    @property
    def features(self) -> int:
        """Channels that the classifier reads."""
        return self.cells[-1].output.channels

    @property
    def complexity(self) -> Complexity:
        """Cost of stem, cells and classifier; the auxiliary head is not counted."""
        classes = self.blueprint.classes
        bias = classes if self.skeleton.classifier_bias else 0
        params = sum([part.params for part in self.stem]) + sum([cell.params for cell in self.cells])
        macs = sum([part.macs for part in self.stem]) + sum([cell.macs for cell in self.cells])
        return Complexity(params + self.features * classes + bias, macs + self.features * classes)


def layout_network(cells: CellPair, skeleton: Skeleton, blueprint: Blueprint) -> NetworkLayout:
    """Work out every shape of a cell network.

    Raises:
        InvalidInputError: depth or width are missing or not whole numbers, or the images are too small.
    """
    depth, width = _whole("depth", blueprint.depth), _whole("width", blueprint.width)
    if blueprint.stem == "imagenet" and width < 8:
        raise InvalidInputError(f"the imagenet stem has cells of width / 4 >= 2 filters, so width >= 8; got {width}.")
    stem = plan_stem(
        skeleton, blueprint.stem, width=width, channels=blueprint.channels, resolution=blueprint.resolution
    )
    shapes = [Shape(part.channels, part.size) for part in stem]
    layouts = []
    same: dict[object, CellLayout] = {}  # most cells of a stage differ in their place only
    for placement in place_cells(skeleton, blueprint.stem, depth=depth, width=width):
        previous = None if placement.previous is None else shapes[placement.previous]
        current = shapes[placement.current]
        situation = (placement.kind, placement.filters, placement.stride, previous, current)
        if situation in same:
            layout = replace(same[situation], placement=placement)
        else:
            cell = cells.normal if placement.kind == "normal" else cells.reduction
            layout = same[situation] = layout_cell(cell, skeleton, placement, previous=previous, current=current)
        shapes.append(layout.output)
        layouts.append(layout)
    return NetworkLayout(skeleton, blueprint, tuple(stem), tuple(layouts))


def _whole(name: str, value: float | None) -> int:
    if value is None or int(value) != value:
        raise InvalidInputError(f"a cell network takes a whole {name} >= 1, got {value}: give {name}.")
    return int(value)


def layout_cell(
    cell: Cell, skeleton: Skeleton, placement: Placement, *, previous: Shape | None, current: Shape
) -> CellLayout:
    """Work out every shape of one cell.

    Args:
        cell: its graph.
        skeleton: how inputs are adjusted.
        placement: filters and stride.
        previous: shape of the output read as state 0; None where state 0 is the raw current output.
        current: shape of the output read as state 1.
    """
    filters = placement.filters
    read = {edge.state for block in cell.blocks for edge in block.edges if edge.operation != ZERO} | set(cell.concat)
    adjust0 = _adjust_previous(skeleton, filters, previous, current) if 0 in read else None
    adjust1 = _adjust_current(skeleton, filters, current) if 1 in read else None
    states = [
        Shape(adjust0.channels, adjust0.size) if adjust0 else current,
        Shape(filters, current.size),
    ]
    size = -(-current.size // placement.stride)
    edges = []
    for block in cell.blocks:
        pair = []
        for edge in block.edges:
            # Zeros take their shape from the current input, the one that is always there.
            is_input = edge.operation == ZERO or edge.state < NUM_INPUTS
            source = current if edge.operation == ZERO else states[edge.state]
            stride = placement.stride if is_input else 1
            pair.append(
                plan_operation(
                    edge.operation,
                    source.channels,
                    filters,
                    stride=stride,
                    size=source.size,
                    strided_identity=skeleton.strided_identity,
                )
            )
        edges.append((pair[0], pair[1]))
        states.append(Shape(filters * (1 if block.combination == "add" else 2), size))
    fixups = tuple(_fix(states[state], filters, size) for state in cell.concat)
    output_channels = sum(
        fix.channels if fix else states[state].channels for fix, state in zip(fixups, cell.concat, strict=True)
    )
    parts = [p for p in (adjust0, adjust1, *fixups) if p] + [p for pair in edges for p in pair]
    return CellLayout(
        placement,
        cell,
        (adjust0, adjust1),
        tuple(edges),
        fixups,
        Shape(output_channels, size),
        sum([part.params for part in parts]),
        sum([part.macs for part in parts]),
    )


def _adjust_previous(skeleton: Skeleton, filters: int, previous: Shape | None, current: Shape) -> PlannedLayers:
    if previous is None:
        return plan_layers((), current.channels, size=current.size)
    if previous.size != current.size:
        return plan_factorized_reduction(previous.channels, filters, size=previous.size, relu=True)
    if previous.channels == filters and skeleton.family == "nasnet":
        return plan_layers((), filters, size=previous.size)
    return _relu_conv_norm(previous, filters)


def _adjust_current(skeleton: Skeleton, filters: int, current: Shape) -> PlannedLayers:
    adjusted = _relu_conv_norm(current, filters)
    if not skeleton.calibrates_current or current.channels == filters:
        return adjusted
    again = _relu_conv_norm(Shape(filters, current.size), filters)
    return plan_layers((*adjusted.layers, *again.layers), filters, size=current.size)


def _relu_conv_norm(shape: Shape, filters: int) -> PlannedLayers:
    return plan_layers((Relu(), Conv(shape.channels, filters), Norm(filters)), filters, size=shape.size)


def _fix(shape: Shape, filters: int, size: int) -> PlannedLayers | None:
    """Bring a state to the output's shape, without ReLU, as TF-Slim does before concatenating."""
    if shape.size != size:
        return plan_factorized_reduction(shape.channels, filters, size=shape.size, relu=False)
    if shape.channels != filters:
        return plan_layers((Conv(shape.channels, filters), Norm(filters)), filters, size=size)
    return None
