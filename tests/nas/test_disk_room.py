"""A full disk makes a search pause, not fail: it says so, and ends as if there had been room all along."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from controllers.evolution import EvolutionOptions, RegularizedEvolution
from controllers.trial import Measurement, Trial
from nas import disk_room
from nas.errors import DiskFullError, StorageError
from nas.executors.serial_executor import SerialExecutor
from nas.journal import Journal, read_journal
from nas.screening import Constraints, Screen
from nas.search_loop import Limits, SearchLoop
from search_spaces.nasnet import cell_space

SPACE = cell_space("nasnet:blocks=2")
TRIALS = 12


class Disk:
    """A file on a disk that fills up at some of its writes, each time in the middle of a line."""

    def __init__(self, file: Any, full: set[int], reason: int = errno.ENOSPC) -> None:
        self.file, self.full, self.reason = file, full, reason
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, line: bytes) -> int:
        self.writes += 1
        if self.writes in self.full:
            self.file.write(line[: len(line) // 2])
            raise OSError(self.reason, "as told")
        return int(self.file.write(line))


class Sums:
    def evaluate(self, trial: Trial) -> Measurement:
        return Measurement("ok", {"val_accuracy": sum(trial.architecture.choices) % 97 / 97})


def search(folder: Path, full: set[int] = frozenset(), reason: int = errno.ENOSPC) -> list[str]:  # type: ignore[assignment]
    """Search on such a disk; return what was said."""
    said: list[str] = []
    journal = Journal.create(folder, {"config": {}})
    journal._file = Disk(journal._file, full, reason)  # type: ignore[assignment]
    controller = RegularizedEvolution(SPACE, options=EvolutionOptions(population=4, tournament=2))
    screen = Screen(SPACE, Constraints(), lambda architecture: None)  # type: ignore[arg-type,return-value]
    try:
        SearchLoop(controller, journal, screen, said=said.append).run(SerialExecutor(Sums()), Limits(TRIALS))
    finally:
        journal.close()
    return said


def story(folder: Path) -> list[Any]:
    content = read_journal(folder)
    assert content.repair == ""
    return [(event.kind, {**event.data, "time": 0}) for event in content.events]


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_room, "TRY_S", 0.0)


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EDQUOT])
def test_a_search_pauses_and_ends_as_the_undisturbed_one(tmp_path: Path, reason: int) -> None:
    """Asks and tells meet the full disk, once for several attempts."""
    assert search(tmp_path / "whole") == []
    said = search(tmp_path / "run", {1, 4, 5, 6, 12}, reason)
    assert story(tmp_path / "run") == story(tmp_path / "whole")
    assert len(said) == 6
    assert all(f"no room for {tmp_path / 'run'}" in line for line in said[::2])
    assert all(line.endswith("the search goes on") for line in said[1::2])


@pytest.mark.usefixtures("_impatient")
def test_where_nobody_makes_room_the_search_ends_and_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_room, "PATIENCE_S", 0.05)
    with pytest.raises(DiskFullError, match="make room, then `nas resume"):
        search(tmp_path / "run", set(range(8, 10**7)))
    search(tmp_path / "whole")
    assert story(tmp_path / "run") == story(tmp_path / "whole")[:8]


def test_another_fault_of_the_disk_ends_the_search_at_once(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as raised:
        search(tmp_path / "run", {3}, errno.EIO)
    assert not isinstance(raised.value, DiskFullError)
