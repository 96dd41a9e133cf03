"""A network's profile: its layers and their costs, and where somebody asks its latency and memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from nas.building import Network, build_blueprint, get_blueprint
from nas.errors import InvalidInputError
from nas.profiling.layers import Layer
from nas.profiling.measures import Latency, PeakMemory, measure_latency, measure_memory
from nas.profiling.trace import trace_network
from search_spaces.architecture import Architecture, Blueprint
from search_spaces.counting import without_weights

MOST_ROWS = 64  # of a table where nobody says how deep to go
DEEPEST = 8  # level at which the search for such a table begins


@dataclass(frozen=True, slots=True)
class Profile:
    """A network's costs for one image.

    Attributes:
        input_shape: (channels, height, width).
        network: the tree of its layers.
        latency: measured; None where nobody asked.
        memory: of a batch; None where nobody asked.
    """

    input_shape: tuple[int, int, int]
    network: Layer
    latency: Latency | None = None
    memory: PeakMemory | None = None

    @property
    def params(self) -> int:
        """Trainable parameters."""
        return self.network.cost.params

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions and linear layers."""
        return self.network.cost.macs

    @property
    def attention_macs(self) -> int:
        """Those of other matrix products, which `macs` leaves out: attention's scores and sums."""
        return self.network.cost.attention_macs

    @property
    def activations(self) -> int:
        """Values written for one image, the image itself among them."""
        return self.network.cost.activations

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The image, then every run of a layer in order; their costs add up to the network's."""
        return tuple(self.network.leaves())

    def rows(self, depth: int | None = None) -> tuple[Layer, ...]:
        """Return the rows of a table; their costs add up to the network's.

        Args:
            depth: levels of modules inside modules that are opened. By default blocks stay whole, and so do stages
                of more blocks than fit on a page; what costs nothing, as an activation function, is left out.
        """
        if depth is not None:
            return tuple(self.network.rows(depth, blocks=False))
        rows: tuple[Layer, ...] = ()
        for level in range(DEEPEST, 0, -1):
            found = self.network.rows(level, blocks=True)
            rows = tuple([row for row in found if not row.cost.is_nothing])
            if len(rows) <= MOST_ROWS:
                break
        return rows

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict; what was not measured is None."""
        return {
            "input_shape": list(self.input_shape),
            **self.network.cost.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
            "latency_ms": self.latency.to_json() if self.latency else None,
            "peak_memory_bytes": self.memory.to_json() if self.memory else None,
        }


def profile(
    network: nn.Module | Network,
    input_shape: tuple[int, int, int],
    *,
    classes: int | None = None,
    measure: bool = False,
    batch: int = 1,
    threads: int | None = None,
    device: str = "cpu",
) -> Profile:
    """Count a network's costs layer by layer, from one run that needs shapes only.

    Args:
        network: a module, left as it was, or what `nas.build` takes.
        input_shape: (channels, height, width).
        classes: of a network that is built here.
        measure: whether latency and peak memory are measured as well.
        batch: images that are measured at once.
        threads: torch's threads on the CPU; by default as many as torch has now.
        device: where it is measured.

    Raises:
        InvalidInputError: images or measurements of a size that cannot be.
        UnknownNameError: no network of that name.
    """
    _check_shape(input_shape)
    if not isinstance(network, nn.Module | str | Architecture | Blueprint):
        raise InvalidInputError(f"a torch module or what nas.build takes can be profiled, got {network!r}.")

    def make() -> nn.Module:
        if isinstance(network, nn.Module):
            return network
        return build_blueprint(get_blueprint(network, classes=classes, input_shape=input_shape))

    if not (measure or isinstance(network, nn.Module)):
        return profile_without_weights(make, input_shape)
    built = make()
    layers = trace_network(built, input_shape)
    if not measure:
        return Profile(input_shape, layers)
    latency = measure_latency(built, input_shape, batch=batch, threads=threads, device=device)
    return Profile(input_shape, layers, latency, measure_memory(built, input_shape, batch=batch, device=device))


def profile_without_weights(make: Callable[[], nn.Module], input_shape: tuple[int, int, int]) -> Profile:
    """Count the costs of a network that is made for this only; its weights are not drawn, which takes longest.

    Args:
        make: builds it.
        input_shape: (channels, height, width).
    """
    return without_weights(lambda device: Profile(input_shape, trace_network(make(), input_shape)))


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) != 3 or not all(isinstance(size, int) and size >= 1 for size in shape):
        raise InvalidInputError(f"images are (channels, height, width), whole numbers >= 1, got {shape}.")
