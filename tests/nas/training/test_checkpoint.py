"""Checkpoints: what is written is read, and anything else is as if nothing were there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from nas.errors import InvalidInputError
from nas.training.checkpoint import Checkpoints, TrainingState


def state(epochs: int = 3) -> TrainingState:
    network = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return TrainingState(epochs, 0.5, network.state_dict(), optimizer.state_dict())


def same(a: TrainingState, b: TrainingState) -> bool:
    buffers = [[part["momentum_buffer"] for part in s.optimizer["state"].values()] for s in (a, b)]
    tensors = zip([*a.weights.values(), *buffers[0]], [*b.weights.values(), *buffers[1]], strict=True)
    return all(torch.equal(x, y) for x, y in tensors) and (a.epochs, a.train_loss) == (b.epochs, b.train_loss)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    stored, written = Checkpoints(tmp_path / "new", 4, "id"), state()
    assert stored.write(written) == tmp_path / "new" / "4-3.pt"
    read = stored.latest(below=9)
    assert read is not None
    assert same(read, written)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["4-3.pt"]


def test_the_latest_below_the_budget_is_chosen(tmp_path: Path) -> None:
    stored = Checkpoints(tmp_path, 4, "id")
    for epochs in (1, 9, 3):
        stored.write(state(epochs))
    found = [stored.latest(below=below) for below in (1, 3, 4, 10)]
    assert [s and s.epochs for s in found] == [None, 1, 3, 9]


def test_another_networks_files_are_neither_read_nor_removed(tmp_path: Path) -> None:
    own, other = Checkpoints(tmp_path, 4, "id"), Checkpoints(tmp_path, 14, "id")
    other.write(state())
    assert own.latest(below=9) is None
    own.write(state())
    own.remove()
    assert own.latest(below=9) is None
    assert other.latest(below=9) is not None


def test_a_checkpoint_of_another_training_is_none(tmp_path: Path) -> None:
    stored = Checkpoints(tmp_path, 4, "id")
    stored.write(state())
    assert replace(stored, identity="other").latest(below=9) is None


@pytest.mark.parametrize("size", [0, 1, 40, 0.5, -1])
def test_a_damaged_file_is_passed_over_for_an_older_one(tmp_path: Path, size: float) -> None:
    stored = Checkpoints(tmp_path, 4, "id")
    stored.write(state(1))
    path = stored.write(state(3))
    assert path is not None
    whole = path.read_bytes()
    path.write_bytes(whole[: int(size * len(whole)) if isinstance(size, float) else size])
    found = stored.latest(below=9)
    assert found is not None
    assert found.epochs == 1


def test_a_file_that_holds_code_is_not_run(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"identity": "id", "epochs": 3, "weights": Harmful()}, tmp_path / "4-3.pt")
    assert Checkpoints(tmp_path, 4, "id").latest(below=9) is None
    assert not (tmp_path / "ran").exists()


def test_a_folder_that_cannot_be_written_costs_only_the_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    stored = Checkpoints(tmp_path / "file", 4, "id")
    assert stored.write(state()) is None
    assert stored.latest(below=9) is None


def test_a_training_that_has_not_begun_is_no_state() -> None:
    with pytest.raises(InvalidInputError, match="at least 1 epoch"):
        state(0)
