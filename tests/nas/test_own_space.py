"""A search of a user's own space: started with a file, and good for use when that file is gone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import nas
from nas.errors import InvalidInputError
from nas.run import Run
from search_spaces import local_file
from search_spaces.local_file import SOURCE_FOLDER

NET = """
from torch import nn

def net(choose, channels, classes):
    width = choose("width", [4, 8])
    layers = [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
    if choose("second", [False, True]):
        layers += [nn.Conv2d(width, width, choose("kernel", [1, 3]), padding="same"), nn.ReLU()]
    classifier = nn.Linear(width, classes)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), classifier)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own")


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    """A small finished search, whose file was removed afterwards."""
    path = folder / "my_net.py"
    path.write_text(NET)
    settings: dict[str, Any] = {"trials": 3, "train_limit": 100, "recipe_changes": {"epochs": 1}}
    found = nas.search(space=f"{path}:net", **settings, out=folder / "run")
    path.unlink()
    return found


def copy_of(run: Run, folder: Path) -> Path:
    import shutil

    return Path(shutil.copytree(run.folder / "best", folder / "best"))


def test_search_finds_different_networks_of_the_file(run: Run) -> None:
    assert len({json.dumps(record.trial.architecture.to_json()) for record in run.records}) >= 3
    assert all(record.trial.architecture.space.startswith("my_net.py:net#") for record in run.records)
    assert all(record.measurement.status == "ok" for record in run.records)


def test_new_process_rebuilds_the_best_network_without_the_file(run: Run) -> None:
    code = f"""
import nas, torch
torch.set_num_threads(1)
best = nas.load({str(run.folder)!r}).best
test = nas.load_data("digits").test
with torch.inference_mode():
    right = (best.network()(best.preprocess(test.images)).argmax(1) == test.labels).sum().item()
print(right, sum(p.numel() for p in best.network().parameters()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    metrics = run.best.metrics
    assert done.stdout.split() == [str(metrics["test_correct"]), str(metrics["params"])], done.stderr


def test_best_folder_tells_the_options_and_what_is_run(run: Run) -> None:
    best = run.folder / "best"
    assert (best / SOURCE_FOLDER / "my_net.py").read_text() == NET
    assert set(json.loads((best / "architecture.json").read_text())["options"]) == {"width", "second", "kernel"}
    assert f"`{SOURCE_FOLDER}/`: the file that builds it" in (best / "README.md").read_text()


def test_changed_copy_is_refused_before_it_is_run(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    best = copy_of(run, tmp_path)
    (best / SOURCE_FOLDER / "my_net.py").write_text("raise SystemExit('was run')")
    monkeypatch.setattr(local_file, "_LOADED", {})
    from nas.finalizing import load_stored

    with pytest.raises(InvalidInputError, match="its contents have changed"):
        load_stored(best).network()


def test_a_network_with_one_tensor_in_two_places_is_stored(folder: Path) -> None:
    text = """
from torch import nn

class Twice(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        self.first = nn.LazyLinear(width)
        self.middle, self.again = nn.Linear(width, width), nn.Linear(width, width)
        self.again.weight = self.middle.weight
        self.last = nn.Linear(width, classes)

    def forward(self, images):
        return self.last(self.again(self.middle(self.first(images.flatten(1)).relu()).relu()).relu())

class Net:
    decisions = {"width": [8, 16]}

    def build(self, width, classes):
        return Twice(width, classes)
"""
    path = folder / "twice.py"
    path.write_text(text)
    settings: dict[str, Any] = {"trials": 1, "train_limit": 100, "recipe_changes": {"epochs": 1}}
    best = nas.search(space=str(path), **settings, out=folder / "twice").best
    network = best.network()
    assert torch.equal(network.get_parameter("again.weight"), network.get_parameter("middle.weight"))
    assert sum(p.numel() for p in network.parameters()) == best.metrics["params"]


def test_mistakes_in_the_file_end_the_command_with_one_line(tmp_path: Path, cli: Callable[..., Any]) -> None:
    path = tmp_path / "my_net.py"
    path.write_text(NET.replace("Linear(width", "Linear(widht"))
    answer = cli("search", "--space", path, "--trials", "1", "--out", tmp_path / "run")
    assert answer.code == 2
    assert "my_net.py:net raised NameError: name 'widht' is not defined (line 9)" in " ".join(answer.err.split())
    assert not (tmp_path / "run").exists()
