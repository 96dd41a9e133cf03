"""Counting a network that somebody else wrote: built without weights, run once, read off what was computed.

Multiply-accumulates are those of convolutions and of linear layers. A linear layer is a matrix product of something
that depends on the images with something that does not, wherever it is written: attention's projections are linear
layers, its products of queries with keys and of scores with values are not. What does not depend on the images at
all, such as a weight that is itself a product, is the same for every image and not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from search_spaces.architecture import Blueprint, Complexity
from search_spaces.errors import InvalidInputError, NASError

BATCH = 2
T = TypeVar("T")
aten = torch.ops.aten
CONVOLUTIONS = frozenset(
    {
        aten.convolution,
        aten._convolution,
        aten.cudnn_convolution,
        aten.convolution_overrideable,
        aten._slow_conv2d_forward,
    }
)
# matrix product -> which of its arguments are multiplied
PRODUCTS = {
    aten.mm: (0, 1),
    aten.bmm: (0, 1),
    aten.addmm: (1, 2),
    aten.baddbmm: (1, 2),
    aten.mv: (0, 1),
    aten.addmv: (1, 2),
}
# They give the tensor that they fill; half of what building a network without weights takes is spent in them.
FILLS = frozenset(
    {Tensor.fill_, Tensor.zero_, Tensor.normal_, Tensor.uniform_, nn.init.kaiming_uniform_, nn.init.kaiming_normal_}
)
ProductKind = Literal["layer", "attention"]
OnProduct = Callable[[ProductKind, int], None]


@dataclass(frozen=True, slots=True)
class Sizes:
    """What goes in and comes out: images (batch, channels, resolution, resolution), logits (batch, classes)."""

    channels: int
    resolution: int
    classes: int

    @classmethod
    def of(cls, blueprint: Blueprint) -> Sizes:
        """Return a blueprint's."""
        return cls(blueprint.channels, blueprint.resolution, blueprint.classes)


class _LeaveUnfilled(TorchFunctionMode):
    """While it is entered, tensors without contents are not filled: there is nothing to fill."""

    def __torch_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), named: dict[str, Any] | None = None
    ) -> Any:
        if function in FILLS and arguments and arguments[0].is_meta:
            return arguments[0]
        return function(*arguments, **(named or {}))


def without_weights(work: Callable[[str], T]) -> T:
    """Return what `work` gives on the meta device, where tensors have shapes and no contents.

    What reads the contents of a tensor cannot run there; it is run on the CPU instead. Torch's global generator is
    left as it was.

    Args:
        work: takes the name of the device, which is torch's default while it runs.

    Raises:
        Exception: whatever it raises on the CPU; a `NASError` from the meta device at once.
    """
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"), _LeaveUnfilled():
                return work("meta")
        except NASError:
            raise
        except Exception:  # anything may go wrong in code that others wrote; the CPU shows whether it is an error
            with torch.device("cpu"):
                return work("cpu")


class MacCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types for it
    """While it is entered, tells of the multiply-accumulates of every product in which the images take part."""

    def __init__(self, images: Tensor, on_product: OnProduct) -> None:
        """Watch what is computed from the images.

        Args:
            images: what the network is given.
            on_product: called with the kind and the MACs of all images together: ``layer`` for a convolution or
                linear layer, ``attention`` for a product of two things that both depend on the images.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._on_product = on_product
        self._dependent = {_storage(images)}

    def __torch_dispatch__(
        self, operator: Any, types: Any, arguments: tuple[Any, ...] = (), named: dict[str, Any] | None = None
    ) -> Any:
        """Run an operator and note its product, and whether its result depends on the images."""
        named = named or {}
        result = operator(*arguments, **named)
        depends = any(_storage(t) in self._dependent for t in tensors_in((*arguments, *named.values())))
        if depends:
            self._count(operator.overloadpacket, arguments, named, result)
            self._dependent.update(map(_storage, tensors_in((result,))))
        return result

    def _count(self, packet: Any, arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        from torch.utils.flop_counter import flop_registry

        if packet in PRODUCTS:
            factors = [arguments[i] for i in PRODUCTS[packet]]
            dependent = sum(_storage(factor) in self._dependent for factor in factors)
            if dependent:
                columns = factors[1].shape[-1] if factors[1].dim() > 1 else 1
                self._on_product("layer" if dependent == 1 else "attention", factors[0].numel() * columns)
        elif packet in flop_registry:  # convolutions, and attention in one piece; torch counts two a MAC
            macs = flop_registry[packet](*arguments, **named, out_val=result) // 2
            self._on_product("layer" if packet in CONVOLUTIONS else "attention", macs)


def tensors_in(values: Iterable[Any]) -> Iterator[Tensor]:
    """Return the tensors among values, lists, tuples and dicts."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors_in(value)
        elif isinstance(value, dict):
            yield from tensors_in(value.values())


def _storage(tensor: Tensor) -> StorageWeakRef:
    """Return what a tensor and its views have in common; it is not held alive, and its address not used again."""
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


@contextmanager
def plain_operators() -> Iterator[None]:
    """Let torch compute in the operators that `MacCounter` knows, whatever mode the caller is in."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one opaque operator for a whole transformer layer
    try:
        # attention as its products: which operators compute it in one piece differs between versions of torch
        with torch.inference_mode(False), torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def count_network(build: Callable[[], nn.Module], sizes: Sizes) -> Complexity:
    """Return trainable parameters and MACs of a network, from one run of two images in evaluation mode.

    MACs are those of convolutions and linear layers for one image, padding taps counted.

    Raises:
        InvalidInputError: the network does not give (2, classes) logits.
        Exception: whatever it raises.
    """

    def count(device: str) -> Complexity:
        network = build().eval()
        images = torch.zeros(BATCH, sizes.channels, sizes.resolution, sizes.resolution, device=device)
        macs: dict[ProductKind, int] = {"layer": 0, "attention": 0}

        def add(kind: ProductKind, count: int) -> None:
            macs[kind] += count

        with MacCounter(images, add):
            _check_logits(network(images), sizes)
        return Complexity(count_parameters(network), macs["layer"] // BATCH)

    with plain_operators():
        return without_weights(count)


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters; one that is used in several places counts once."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def fill_lazy(network: nn.Module, sizes: Sizes) -> None:
    """Give torch's lazy layers their weights by one run in evaluation mode; a network without any is left alone."""
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in network.parameters()):
        training = network.training
        with torch.no_grad():
            network.eval()(torch.zeros(BATCH, sizes.channels, sizes.resolution, sizes.resolution))
        network.train(training)


def _check_logits(output: object, sizes: Sizes) -> None:
    expected = (BATCH, sizes.classes)
    if isinstance(output, Tensor) and output.shape == expected:
        return
    found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    images = (BATCH, sizes.channels, sizes.resolution, sizes.resolution)
    raise InvalidInputError(f"must give logits {expected} for images {images}, got {found}")
