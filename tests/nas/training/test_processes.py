"""Two processes that share every batch train as one does on whole batches."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from nas.training.processes import ALONE, join_processes
from nas.training.runs.run import TrainedRun, load_trained
from nas.training.runs.running import train

FLAGS = ["--data", "digits", "--train-limit", "100", "--epochs", "3", "--recipe-set", "batch_size=32"]
FLAGS += ["--recipe-set", "learning_rate=0.02", "--recipe-set", "average=0.5", "--recipe-set", "cutout=2"]
CHANGES: dict[str, Any] = {"epochs": 3, "batch_size": 32, "learning_rate": 0.02, "average": 0.5, "cutout": 2}


def together(folder: Path, *flags: str, count: int = 2) -> list[subprocess.CompletedProcess[str]]:
    """Run `nas train` in several processes, started as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "nas", "train", "lenet-5", *FLAGS, *flags, "--out", str(folder)]
    started = [
        subprocess.Popen(
            command,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    done = []
    for process in started:
        out, err = process.communicate(timeout=240)
        done.append(subprocess.CompletedProcess(command, process.returncode, out, err))
    return done


def weights(run: TrainedRun) -> dict[str, torch.Tensor]:
    return load_file(run.folder / "best" / "weights.safetensors")


@pytest.mark.parametrize("parts", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_two_processes_are_one_with_the_same_batch(tmp_path: Path, parts: int) -> None:
    alone = train("lenet-5", train_limit=100, recipe_changes=CHANGES, out=tmp_path / "alone")
    done = together(tmp_path / "two", "--recipe-set", f"accumulation={parts}")
    assert [process.returncode for process in done] == [0, 0], [process.stderr for process in done]
    two = load_trained(tmp_path / "two")
    expected = weights(alone)
    assert all(torch.allclose(tensor, expected[name], atol=1e-5) for name, tensor in weights(two).items())
    for a, b in zip(alone.epochs, two.epochs, strict=True):
        assert b["train_loss"] == pytest.approx(a["train_loss"], rel=1e-4)
    assert done[0].stdout.startswith("test accuracy")
    assert "2 processes share every batch of 32 images" in done[0].stderr
    assert (done[1].stdout, done[1].stderr) == ("", "")


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join_processes("cpu") == (ALONE, "cpu")
