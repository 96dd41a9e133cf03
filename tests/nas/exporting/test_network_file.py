"""The Python file of a network: the same weights and logits, no import but torch's, and good style."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import nas
from nas.errors import InvalidInputError
from nas.exporting.formats import write_python
from nas.exporting.formatting import format_line
from nas.exporting.network_file import network_text
from nas.exporting.subject import Subject
from nas.exporting.tracing import trace
from nas.parts import Parts

STYLE = ("--isolated", "--line-length", "120")
SMALL = ("cifar-resnet-20", "stochastic-depth-110", "densenet-bc-100-12", "sagan-cifar", "airbench96")
LARGE = ("dpn-92", "shufflenet-v2", "vit-b-16", "polynet")


def text_of(subject: Subject) -> str:
    return network_text(subject.network, subject.images, title=subject.title)


def loaded(text: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(compile(text, "network.py", "exec"), namespace)
    return namespace


def assert_same(subject: Subject, text: str) -> None:
    """The file's network takes the same weights, in the same order, and gives the same logits."""
    copy = loaded(text)["build"]()
    assert list(copy.state_dict()) == list(subject.network.state_dict())
    copy.load_state_dict(subject.network.state_dict())
    images = subject.sample()
    expected = subject.logits(images)
    with torch.no_grad():
        found = copy.eval()(images)
    assert float((found - expected).abs().max()) <= 1e-5 * float(expected.abs().max())


def assert_good_style(text: str) -> None:
    """Only torch is imported, and ruff finds nothing to say of rules or of format."""
    imported = {
        name.split(".")[0]
        for node in ast.parse(text).body
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported == {"torch"}
    for command in (("check", "--select", "E,F,W,I,UP,B"), ("format", "--check")):
        arguments = [sys.executable, "-m", "ruff", *command, *STYLE, "-"]
        answer = subprocess.run(arguments, input=text, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stdout + answer.stderr


def test_every_cell_network_gives_the_same_logits(case: str, nets: ModuleType) -> None:
    subject = nets.subject_of(case)
    text = text_of(subject)
    assert_same(subject, text)
    assert_good_style(text)


@pytest.mark.parametrize("name", [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)])
def test_baselines_give_the_same_logits(name: str, nets: ModuleType) -> None:
    subject = nets.subject_of(name)
    text = text_of(subject)
    assert_same(subject, text)
    assert_good_style(text)


class Affine(nn.Module):
    """A scale and a shift of its own, and a number that differs between instances."""

    def __init__(self, channels: int, power: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(channels, 1, 1))
        self.register_buffer("shift", torch.rand(channels, 1, 1))
        self.power = power

    def forward(self, x: Tensor) -> Tensor:
        x = x * self.scale
        x += self.shift
        return functional.relu(x) ** self.power


class Pair(nn.Module):
    """Hands two tensors on, of which the next one takes both."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, both: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        first, second = both
        return second, self.layer(first) - second[:, :3] / -(first.shape[1] + 1)


class Odd(nn.Module):
    """Everything that is easily written wrongly."""

    def __init__(self) -> None:
        super().__init__()
        self.affines = nn.ModuleList([Affine(3, 2), Affine(3, 3)])
        self.pairs = nn.Sequential(Pair(nn.Conv2d(3, 3, (1, 3), padding=(0, 1))), Pair(nn.Conv2d(3, 3, 1)))
        self.twins = nn.ModuleDict(
            {
                "a": nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(inplace=True)),
                "b": nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(inplace=True)),
            }
        )
        self.unused = nn.Linear(2, 2)
        self.norm = nn.BatchNorm2d(3, affine=False, eps=0.1)
        self.classifier = nn.Linear(3, 4)

    def forward(self, images: Tensor) -> Tensor:
        x = images
        for affine in self.affines:
            x = affine(x) + x
        first, second = self.pairs((x, self.norm(images)))
        x = self.twins["a"](first) * (self.twins["b"](second) - 1)
        x = functional.dropout(x, 0.5, training=self.training)
        return self.classifier(x.flatten(2).mean(dim=2))


def test_what_is_easily_written_wrongly(nets: ModuleType) -> None:
    subject = nets.subject(Odd(), (3, 6, 6))
    text = text_of(subject)
    assert_same(subject, text)
    assert_good_style(text)


class Largest(nn.Module):
    """Its result is a field of what torch returns."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x, x.flip(2)]).max(dim=0).values


def test_a_module_may_end_in_a_field_of_a_result(nets: ModuleType) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), Largest(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    subject = nets.subject(network, (3, 6, 6))
    text = text_of(subject)
    assert_same(subject, text)
    assert_good_style(text)


@pytest.mark.parametrize("part", [{"activation": "maxout"}, {"pooling": "stochastic"}, {"attention": "cbam"}])
def test_parts_of_papers_are_written_as_well(part: dict[str, Any], nets: ModuleType) -> None:
    shape = (1, 16, 16)
    torch.manual_seed(0)
    subject = nets.subject(nas.build("lenet-5-modern", classes=5, input_shape=shape, parts=Parts(**part)), shape)
    assert_same(subject, text_of(subject))


class Twice(nn.Module):
    """Two instances that differ in layers alike: each must get layers of its own."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.layers = nn.ModuleList([make(), make()])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers[0](x) - self.layers[1](x)


def test_equal_layers_are_not_one_layer(nets: ModuleType) -> None:
    network = nn.Sequential(
        Twice(lambda: nn.Conv2d(3, 3, 1)),
        Twice(lambda: nn.Conv2d(3, 3, 3, padding=1)),
        Twice(lambda: nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1))),
        nn.Flatten(),
    )
    subject = nets.subject(network, (3, 4, 4))
    assert_same(subject, text_of(subject))


def test_cells_are_classes_with_named_operations(nets: ModuleType) -> None:
    text = text_of(nets.subject_of("darts-v2-cifar"))
    names = {node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    assert {"NormalCell", "ReductionCell", "Network", "separable_conv", "build", "load", "preprocess"} <= names
    assert len(text.splitlines()) < 260


def test_the_same_network_gives_the_same_text(nets: ModuleType) -> None:
    assert text_of(nets.subject_of("nasnet 3")) == text_of(nets.subject_of("nasnet 3"))


def test_global_randomness_is_untouched(nets: ModuleType, tmp_path: Path) -> None:
    subject = nets.subject_of("nasbench201 1")
    before = torch.get_rng_state()
    assert write_python(subject, tmp_path / "network.py") == 0
    assert torch.equal(torch.get_rng_state(), before)


def test_preprocessing_is_the_package_s(nets: ModuleType) -> None:
    from nas.data.image_data import normalise_bytes

    subject = nets.subject_of("nasbench201 0")
    images = torch.randint(256, (2, 3, 8, 8), dtype=torch.uint8)
    module = loaded(text_of(subject))
    expected = normalise_bytes(images, mean=subject.images.mean, std=subject.images.std)
    assert torch.equal(module["preprocess"](images), expected)
    assert module["CLASSES"] == subject.images.class_names


def test_weights_of_another_network_are_named_in_a_line(nets: ModuleType, tmp_path: Path) -> None:
    weights = nets.subject_of("nasbench201 0").network.state_dict()
    module = loaded(text_of(nets.subject_of("nasbench201 0")))
    weights["classifier.bias"] = torch.zeros(7)
    weights["extra"] = weights.pop("stem.0.weight")
    torch.save(weights, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="another network") as raised:
        module["load"](str(tmp_path / "weights.pt"))
    assert "classifier.bias (7,) instead of (5,)" in str(raised.value)
    assert "stem.0.weight None instead of (8, 3, 3, 3)" in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


class Branching(nn.Module):
    """Does one thing or another, as its images' values say."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3)) if images.sum() > 0 else images.amax(dim=(2, 3))


def test_what_cannot_be_followed_is_refused_with_the_other_formats() -> None:
    with pytest.raises(InvalidInputError, match="--format torch-export or --format onnx") as raised:
        trace(Branching().eval())
    assert len(str(raised.value).splitlines()) == 1


def test_long_lines_break_at_brackets() -> None:
    inner = ", ".join(f"argument_{i}" for i in range(12))
    assert format_line(f"f({inner})", 4) == ["    f(", *[f"        argument_{i}," for i in range(12)], "    )"]
    assert format_line("x = f(1)", 4) == ["    x = f(1)"]
