"""`nas export`: a finished run's network, used by a process that has nothing of this package."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import nas
import nas.commands.export  # registers the command
from nas.exporting import export, export_beside
from nas.run import Run

ELSEWHERE = """
import sys

class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("nas", "search_spaces", "controllers"):
            raise ImportError(f"{name} is not to be imported")

sys.meta_path.insert(0, Forbidden())
sys.path.insert(0, sys.argv[1])
import numpy, torch
torch.set_num_threads(1)
from network import CLASSES, load, preprocess

images, labels = (torch.from_numpy(numpy.load(f"{sys.argv[2]}/{name}.npy")) for name in ("images", "labels"))
network = load(f"{sys.argv[1]}/weights.safetensors")
with torch.no_grad():
    print(int((network(preprocess(images)).argmax(dim=1) == labels).sum()), len(labels), len(CLASSES))
try:
    import nas
except ImportError:
    print("alone")
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run") / "r"
    changes = {"epochs": 2}
    return nas.search(
        space="nasnet",
        data="digits",
        trials=1,
        train_limit=300,
        recipe_changes=changes,
        final_recipe="proxy",
        out=folder,
    )


def test_the_reported_accuracy_is_that_of_the_files_alone(run: Run, tmp_path: Path) -> None:
    """Torch, numpy and safetensors are all it needs; equal to the last image."""
    done = export(run.folder)
    assert [path.name for path in done.files] == ["network.py", "weights.safetensors"]
    test = nas.load_data("digits").test
    np.save(tmp_path / "images.npy", test.images.numpy())
    np.save(tmp_path / "labels.npy", test.labels.numpy())
    command = [sys.executable, "-I", "-c", ELSEWHERE, str(run.folder / "best"), str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    correct, images = int(run.final["test_correct"]), int(run.final["test_images"])
    assert answer.stdout.split() == [str(correct), str(images), "10", "alone"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_reported_accuracy_is_had_where_only_torch_numpy_and_safetensors_are(run: Run, tmp_path: Path) -> None:
    """A fresh environment, from the package index; equal to the last image."""
    test = nas.load_data("digits").test
    np.save(tmp_path / "images.npy", test.images.numpy())
    np.save(tmp_path / "labels.npy", test.labels.numpy())
    venv.create(tmp_path / "fresh", with_pip=True)
    python = str(tmp_path / "fresh" / "bin" / "python")
    packages = [f"torch=={torch.__version__.partition('+')[0]}", "numpy", "safetensors"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True, cwd=tmp_path)
    command = [python, "-I", "-c", ELSEWHERE, str(run.folder / "best"), str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    correct, images = int(run.final["test_correct"]), int(run.final["test_images"])
    assert answer.stdout.split() == [str(correct), str(images), "10", "alone"]


def test_a_run_is_exported_elsewhere_with_its_weights(run: Run, cli: Callable[..., object], tmp_path: Path) -> None:
    answer = cli("export", run.folder, "--out", tmp_path / "mine" / "net.py", "--json")
    data = json.loads(answer.out)
    assert [Path(file).name for file in data["files"]] == ["net.py", "net.safetensors"]
    assert data["difference"] <= 1e-5
    assert data["trained"]
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["net.py", "net.safetensors"]
    assert 'load("net.safetensors")' in (tmp_path / "mine" / "net.py").read_text()


def test_a_name_is_exported_without_weights(cli: Callable[..., object], tmp_path: Path) -> None:
    answer = cli("export", "darts-v2", "--input", "1,8,8", "--classes", "3", "--out", tmp_path)
    assert answer.code == 0, answer.err
    assert (tmp_path / "darts_v2.py").exists()
    assert "not trained" in answer.out


def test_a_format_of_whole_searches_gets_the_folder(
    run: Run, cli: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a format is added by one line, and needs a folder."""
    from nas.exporting.running import RUN_FORMATS

    monkeypatch.setitem(RUN_FORMATS, "table", lambda folder, out: (folder / "table.csv",))
    answer = cli("export", run.folder, "--format", "table")
    assert answer.out.split() == ["wrote", str(run.folder / "table.csv")]
    assert "give the folder of a run" in cli("export", "lenet-5", "--format", "table").err


def test_failures_of_files_beside_the_weights_are_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is lost, and no half of a file is left."""
    from nas.exporting import formats

    def fail(*_: object, **__: object) -> str:
        raise RuntimeError("no\nluck")

    (run.folder / "best" / "network.py").unlink(missing_ok=True)
    with monkeypatch.context() as patch:
        patch.setattr(formats, "network_text", fail)
        assert export_beside(run.best, formats=("python",)) == {"python": "no luck"}
    assert not (run.folder / "best" / "network.py").exists()
    assert not list((run.folder / "best").glob(".*"))
    assert export_beside(run.best, formats=("python",)) == {}
    assert (run.folder / "best" / "network.py").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet-5",), "Did you mean"),
        (("nasnet-a",), "give --input"),
        (("nasnet-a", "--format", "onix"), "unknown format 'onix'"),
        (("none.json",), "no such file or folder"),
        ((Path(__file__).parent,), "holds no trained network"),
        ((__file__,), "holds no blueprint"),
        (("lenet-5", "--out", "net.onnx"), "--format python writes a file *.py"),
        (("lenet-5", "--out", __file__), "exists already"),
    ],
)
def test_wrong_usage_is_one_line(cli: Callable[..., object], arguments: tuple[object, ...], message: str) -> None:
    answer = cli("export", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert len(answer.err.splitlines()) == 1


def test_a_trained_network_has_its_sizes(run: Run, cli: Callable[..., object]) -> None:
    answer = cli("export", run.folder, "--classes", "3")
    assert answer.code == 2
    assert "leave out the classes" in answer.err
