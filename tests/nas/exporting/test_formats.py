"""ONNX and torch.export: the same logits for any number of images."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from nas.errors import MissingDependencyError, NASError
from nas.exporting.formats import TOLERANCE, _difference, write_onnx, write_python, write_torch_export
from nas.exporting.network_file import Images
from nas.exporting.subject import Subject

FEW = ("nasbench201 0", "mbconv 1")


def check_onnx(case: str, nets: ModuleType, folder: Path) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    subject = nets.subject_of(case)
    found = write_onnx(subject, folder / "network.onnx")
    assert found is not None
    assert found <= TOLERANCE
    session = onnxruntime.InferenceSession(str(folder / "network.onnx"), providers=["CPUExecutionProvider"])
    for batch in (1, 5):  # written with two images
        images = subject.sample(batch)
        logits = torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])
        expected = subject.logits(images)
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


def check_torch_export(case: str, nets: ModuleType, folder: Path) -> None:
    subject = nets.subject_of(case)
    assert write_torch_export(subject, folder / "network.pt2") is not None
    module = torch.export.load(folder / "network.pt2").module()
    for batch in (1, 5):
        images = subject.sample(batch)
        torch.testing.assert_close(module(images).detach(), subject.logits(images), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", FEW[:1])
def test_onnx_gives_the_same_logits(name: str, nets: ModuleType, tmp_path: Path) -> None:
    check_onnx(name, nets, tmp_path)


@pytest.mark.parametrize("name", FEW)
def test_torch_export_gives_the_same_logits(name: str, nets: ModuleType, tmp_path: Path) -> None:
    check_torch_export(name, nets, tmp_path)


@pytest.mark.slow
def test_onnx_of_every_cell_network(case: str, nets: ModuleType, tmp_path: Path) -> None:
    check_onnx(case, nets, tmp_path)


@pytest.mark.slow
def test_torch_export_of_every_cell_network(case: str, nets: ModuleType, tmp_path: Path) -> None:
    check_torch_export(case, nets, tmp_path)


def test_missing_packages_are_named(nets: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'neural-architecture-search\[onnx\]'"):
        write_onnx(nets.subject_of(FEW[0]), tmp_path / "network.onnx")


class Shaky(nn.Module):
    """Divides a difference of nearly equal numbers by a tiny one; `extra` is a mistake."""

    def __init__(self, extra: float = 0.0) -> None:
        super().__init__()
        self.extra = extra

    def forward(self, images: Tensor) -> Tensor:
        x = images.flatten(1)[:, :5]
        return ((x + 1000) - 1000 - x.roll(1, 1)) + self.extra


def test_rounding_of_a_shaky_network_is_no_mistake_of_the_writer() -> None:
    images = Images((1, 3, 3), (0.5,), (0.2,), tuple("abcde"))
    subject = Subject(Shaky(), images, "shaky", "shaky")
    exact = lambda x: subject.exact_logits(x).float()  # noqa: E731
    assert TOLERANCE < _difference(subject, exact, "python") < 1e-3
    with pytest.raises(NASError, match="other logits"):
        _difference(subject, Shaky(1e-3), "python")


def test_a_file_with_other_logits_is_refused(nets: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in the writer is seen before anybody relies on the file."""
    from nas.exporting import formats

    text = formats.network_text
    monkeypatch.setattr(
        formats, "network_text", lambda *args, **settings: text(*args, **settings).replace("nn.ReLU()", "nn.Tanh()")
    )
    with pytest.raises(NASError, match="other logits"):
        write_python(nets.subject_of("nasbench201 0"), tmp_path / "network.py")
    assert not (tmp_path / "network.py").exists()
