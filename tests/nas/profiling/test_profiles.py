"""Profiles: what every layer costs, that the costs add up, and what is measured."""

from __future__ import annotations

import json
import time

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import nas
from nas.errors import InvalidInputError, UnknownNameError
from nas.profiling import Profile, measure_latency, measure_memory, profile
from nas.profiling.layers import Cost
from nas.profiling.measures import LiveTensors
from nas.profiling.trace import UNUSED
from search_spaces.counting import Sizes, count_network

IMAGE = (3, 8, 8)


class Block(nn.Module):
    """A residual block; what it adds up is no layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolve = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.normalise = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.normalise(self.convolve(x)))


def small() -> nn.Sequential:
    """Two blocks that are one module, between a stem and a classifier."""
    block = Block(4)
    return nn.Sequential(nn.Conv2d(3, 4, 1), block, nn.MaxPool2d(2), block, nn.Flatten(), nn.Linear(64, 5))


def by_name(found: Profile) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {}
    for layer in found.layers:
        costs.setdefault(layer.name, []).append(layer.cost)
    return costs


def summed(costs: list[Cost]) -> Cost:
    return sum(costs, Cost())


def test_layers_by_hand() -> None:
    """A reused block has its parameters once and its multiply-accumulates every time; weights take four bytes."""
    costs = by_name(profile(small(), IMAGE))
    assert costs["input"] == [Cost(activations=192, activation_bytes=768)]
    assert costs["0"] == [Cost(params=16, macs=64 * 12, activations=256, activation_bytes=1024)]
    assert costs["1.convolve"] == [
        Cost(params=144, macs=64 * 144, activations=256, activation_bytes=1024),
        Cost(params=0, macs=16 * 144, activations=64, activation_bytes=256),
    ]
    assert costs["1.normalise"] == [Cost(params=8), Cost()]
    assert costs["2"] == [Cost(activations=64, activation_bytes=256)]
    assert costs["4"] == [Cost()]
    assert costs["5"] == [Cost(params=325, macs=320, activations=5, activation_bytes=20)]


def test_rows_are_in_the_order_of_execution_and_add_up_at_every_depth() -> None:
    found = profile(small(), IMAGE)
    assert [row.name for row in found.rows()] == ["input", "0", "1", "2", "1", "5"]
    assert [row.output_shape for row in found.rows(1)][1:] == [(4, 8, 8), (4, 8, 8), (4, 4, 4), (4, 4, 4), (64,), (5,)]
    for depth in (None, 1, 2, 9):
        assert summed([row.cost for row in found.rows(depth)]) == found.network.cost


def test_totals_are_the_counter_s() -> None:
    found, counted = profile(small(), IMAGE), count_network(small, Sizes(3, 8, 5))
    assert (found.params, found.macs) == (counted.params, counted.macs) == (493, 64 * 156 + 16 * 144 + 320)


class Functional(nn.Module):
    """Layers that are written as functions, one weight in two places, and one that is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, 3, 1, 1))
        self.frozen = nn.Parameter(torch.zeros(3), requires_grad=False)
        self.spare = nn.Linear(2, 2)

    def forward(self, images: Tensor) -> Tensor:
        once = functional.conv2d(images, self.weight, self.frozen)
        twice = functional.max_pool2d(functional.conv2d(once, self.weight), 2)
        return twice.mean(dim=(2, 3))


def test_functions_are_charged_to_the_module_they_stand_in() -> None:
    found = profile(nn.Sequential(Functional()), IMAGE)
    written = 2 * 192 + 48 + 3
    costs = by_name(found)
    assert costs["0"] == [Cost(params=9, macs=2 * 64 * 9, activations=written, activation_bytes=4 * written)]
    assert found.params == 9 + 6


def test_weights_that_evaluation_does_not_use_are_one_row_at_the_end() -> None:
    found = profile(nn.Sequential(Functional()), IMAGE)
    assert (found.rows()[-1].name, found.rows()[-1].cost) == (UNUSED, Cost(params=6))
    assert [layer.name for layer in found.layers][-2:] == ["0.spare.weight", "0.spare.bias"]


class Transformer(nn.Module):
    """Attention whose projections torch computes without calling a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.classify = nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        pixels = functional.pad(images, (0, 0, 0, 0, 0, 5)).flatten(2).transpose(1, 2)
        logits: Tensor = self.classify(self.attention(pixels, pixels, pixels)[0].mean(1))
        return logits


def test_attention_s_projections_are_its_own_and_its_products_apart() -> None:
    found = profile(Transformer(), IMAGE)
    (attention,) = by_name(found)["attention"]
    assert (attention.params, attention.macs) == (8 * 24 + 24 + 8 * 8 + 8, 64 * (8 * 24 + 8 * 8))
    assert attention.attention_macs == found.attention_macs == 2 * 64 * 64 * 8
    assert found.macs == count_network(Transformer, Sizes(3, 8, 5)).macs


def test_global_pooling_is_the_same_as_a_mean_and_pooling_to_the_same_size_is_nothing() -> None:
    pooled = profile(nn.Sequential(nn.AdaptiveAvgPool2d(8), nn.AdaptiveAvgPool2d(1)), IMAGE)
    assert [layer.cost.activations for layer in pooled.layers] == [192, 0, 3]


def test_parametrised_weights_count_where_they_lie() -> None:
    linear = nn.Sequential(nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(192, 5)))
    found = profile(linear, IMAGE)
    assert (found.params, found.macs) == (5 + 5 * 192 + 5, 5 * 192)


class ReadsContents(nn.Module):
    """Cannot be run without weights."""

    def __init__(self) -> None:
        super().__init__()
        self.convolve = nn.Conv2d(3, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        x: Tensor = self.convolve(images)
        return x if x.sum() < 0 else x.flatten(1)


def test_what_reads_contents_is_run_as_it_is() -> None:
    assert profile(ReadsContents(), IMAGE).macs == 64 * 6
    assert measure_memory(ReadsContents(), IMAGE).forward > 0


def test_a_network_is_left_as_it_was() -> None:
    network = small().train()
    network[2].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    generator = torch.get_rng_state()
    profile(network, IMAGE, measure=True)
    assert [module.training for module in network] == [True, True, False, True, True, True]
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert all(p.grad is None and p.device.type == "cpu" for p in network.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    assert torch.equal(generator, torch.get_rng_state())


def test_a_failing_network_s_error_comes_through_and_its_hooks_go() -> None:
    network = small()
    with pytest.raises(RuntimeError, match="channels"):
        profile(network, (4, 8, 8))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_lazy_layers_and_impossible_images_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="run it once on images"):
        profile(nn.Sequential(nn.LazyConv2d(3, 1)), IMAGE)
    for shape in ((3, 8), (3, 0, 8)):
        with pytest.raises(InvalidInputError, match=r"\(channels, height, width\)"):
            profile(small(), shape)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="Did you mean 'nasnet-a-mobile'"):
        profile("nasnet-a-mobil", (3, 224, 224))
    with pytest.raises(InvalidInputError, match="can be profiled, got 5"):
        profile(5, IMAGE)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["nasnet-a-mobile", "pnasnet-5-mobile", "amoebanet-d", "darts-v2", "snas-mild"])
def test_published_networks_cost_what_their_space_says(name: str) -> None:
    blueprint = nas.get_blueprint(name, input_shape=(3, 64, 64), depth=1, width=8)
    found, counted = profile(blueprint, (3, 64, 64)), nas.complexity(blueprint)
    assert (found.params, found.macs) == (counted.params, counted.macs)


def test_cells_are_rows_and_their_operations_are_not() -> None:
    found = profile("nasnet-a-mobile", (3, 224, 224))
    assert [row.type for row in found.rows()].count("CellModule") == 16
    assert len(found.rows()) < 25 < len(found.layers)


def test_a_wrapped_network_is_opened() -> None:
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = small()

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.inner(images)
            return logits

    assert len(profile(Wrapper(), IMAGE).rows()) == len(profile(small(), IMAGE).rows())


def test_json_holds_every_layer_and_null_for_what_was_not_measured() -> None:
    data = json.loads(json.dumps(profile(small(), IMAGE).to_json()))
    assert data["params"] == sum(layer["params"] for layer in data["layers"])
    assert data["activations"] == sum(layer["activations"] for layer in data["layers"])
    assert data["layers"][1]["output_shape"] == [4, 8, 8]
    assert data["latency_ms"] is data["peak_memory_bytes"] is None


def test_latency_says_what_it_holds_for() -> None:
    threads = torch.get_num_threads()
    latency = measure_latency(small(), IMAGE, batch=2, repeats=5, warmup=1, threads=2)
    assert (latency.batch, latency.repeats, latency.warmup, latency.threads, latency.device) == (2, 5, 1, 2, "cpu")
    times = (latency.min_ms, latency.lower_quartile_ms, latency.median_ms, latency.upper_quartile_ms)
    assert times[0] > 0
    assert list(times) == sorted(times)
    assert torch.get_num_threads() == threads


def test_latency_is_that_of_evaluation() -> None:
    """A network that sleeps takes as long as it sleeps, and sleeps only in evaluation."""

    class Sleeper(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            if not self.training:
                time.sleep(0.02)
            return images

    assert measure_latency(Sleeper().train(), IMAGE, repeats=3, warmup=0).min_ms >= 20


def test_memory_by_hand() -> None:
    """Image and two maps of 192 values, two weights of 9; in training the momentum and a gradient as well."""
    network = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.Conv2d(3, 3, 1, bias=False))
    memory = measure_memory(network, IMAGE, batch=4)
    assert memory.forward == 4 * (3 * 4 * 192 + 2 * 9)
    held = 3 * 4 * 192 + 4 * 9  # image, two maps, weights and momentum
    assert memory.training_step > 4 * held
    assert measure_memory(network, IMAGE, batch=8).training_step > 1.9 * 4 * (held - 36)


def test_live_tensors_are_followed_to_their_death() -> None:
    with LiveTensors([]) as live:
        x = torch.zeros(100)
        y = x.view(10, 10)
        for _ in range(5):
            z = y + 1
        assert live.live_bytes == 800
        del x, y, z
    assert (live.live_bytes, live.peak_bytes) == (0, 1200)


@pytest.mark.parametrize(("given", "message"), [({"batch": 0}, "batch"), ({"device": "mets"}, "device 'mets'")])
def test_impossible_measurements_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        measure_latency(small(), IMAGE, **given)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=message):
        measure_memory(small(), IMAGE, **given)  # type: ignore[arg-type]


def test_recurrent_layers_get_their_weights_back() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read = nn.LSTM(3, 8, batch_first=True)
            self.classify = nn.Linear(8, 5)

        def forward(self, images: Tensor) -> Tensor:
            states, _ = self.read(images.flatten(2).transpose(1, 2))
            logits: Tensor = self.classify(states[:, -1])
            return logits

    network = Recurrent()
    assert profile(network, IMAGE).macs == 64 * 3 * 32 + 63 * 8 * 32 + 40  # the first state is zero for every image
    assert network(torch.zeros(2, *IMAGE)).device.type == "cpu"


@pytest.mark.parametrize(("name", "values"), [("resnet-18", 1_756_288), ("vgg-16", 6_573_056)])
def test_memory_of_a_forward_pass_is_weights_and_the_most_values_that_are_alive_at_once(name: str, values: int) -> None:
    """Counted independently in an eager run of torchvision's networks, whose ReLU works in place."""
    network = nas.build(name, classes=1000, input_shape=(3, 224, 224))
    weights = sum(t.numel() * t.element_size() for t in (*network.parameters(), *network.buffers()))
    assert measure_memory(network, (3, 224, 224)).forward == weights + 4 * values
