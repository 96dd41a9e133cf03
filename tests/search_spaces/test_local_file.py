"""Spaces from a user's file: found by path, known by contents, and able to travel without the file."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from search_spaces import local_file
from search_spaces.architecture import Architecture, Blueprint
from search_spaces.errors import InvalidInputError, UnknownNameError
from search_spaces.local_file import FileSpace, kept_decisions, kept_specification, save_source
from search_spaces.nasnet import CellSpace, CellSpaceOptions, cell_space
from search_spaces.registry import as_space, get_space
from search_spaces.table import TableSpace

ROOT = Path(__file__).parents[2]
CLASS = """
from torch import nn

class Net:
    decisions = {"width": [4, 8, 16], "bias": [True, False]}

    def build(self, width, bias, channels, resolution, classes):
        size = channels * resolution ** 2
        return nn.Sequential(nn.Flatten(), nn.Linear(size, width, bias=bias), nn.ReLU(), nn.Linear(width, classes))
"""
FUNCTION = """
from torch import nn

def net(choose, channels, resolution, classes):
    width = choose("width", [4, 8])
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * resolution ** 2, width), nn.Linear(width, classes))
"""
OWN_SPACE = """
from search_spaces import SearchSpace, Complexity, Decision
from torch import nn

class Flat(SearchSpace):
    def __init__(self, depth=1):
        super().__init__("flat", [Decision("bias", (True, False))])

    def key(self, architecture):
        self.validate(architecture)
        return str(architecture.choices[0])

    def build(self, blueprint):
        bias = self.options(blueprint.network)["bias"]
        return nn.Sequential(nn.Flatten(), nn.Linear(blueprint.resolution ** 2, blueprint.classes, bias=bias))

    def complexity(self, blueprint):
        return Complexity(1, 1)
"""


class Here:
    """A space defined in this very file."""

    decisions: Any = {"width": [4, 8]}  # noqa: RUF012 - as users write it

    def build(self, width: int, channels: int, resolution: int, classes: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(channels * resolution**2, classes))


def written(folder: Path, text: str, name: str = "my_net.py") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process knows no space from a file, as a new one."""
    monkeypatch.setattr(local_file, "_LOADED", {})


@pytest.mark.parametrize(("text", "name"), [(CLASS, "Net"), (FUNCTION, "net"), (OWN_SPACE, "Flat")])
def test_class_function_and_space_are_found_by_name_or_alone(tmp_path: Path, text: str, name: str) -> None:
    path = written(tmp_path, text)
    space = get_space(f"{path}:{name}")
    assert space is get_space(str(path)) is get_space(space.name)
    assert space.name.startswith(f"my_net.py:{name}#")
    network = space.build(Blueprint(space.sample(np.random.default_rng(0)), 8, channels=1, classes=3))
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 3)


def test_the_name_follows_from_the_contents_alone(tmp_path: Path) -> None:
    """Another folder, or lines that end as on Windows: the same. One more letter: another space."""
    names = [get_space(str(written(tmp_path / folder, CLASS))).name for folder in ("a", "b")]
    path = tmp_path / "my_net.py"
    path.write_bytes(CLASS.replace("\n", "\r\n").encode())
    assert {*names, get_space(str(path)).name} == {names[0]}
    changed = get_space(str(written(tmp_path, CLASS + "#")))
    assert changed.name != names[0]
    with pytest.raises(InvalidInputError, match="takes its own architectures"):
        changed.key(Architecture(names[0], (0, 0)))


def test_an_instance_and_an_inherited_space_are_used_as_they_are(tmp_path: Path) -> None:
    text = CLASS + "\nsmall = Net()\nsmall.decisions = {'width': [2], 'bias': [True]}\n"
    assert get_space(f"{written(tmp_path, text)}:small").size == 1
    text = (
        "from search_spaces import get_space, CellSpace, CellSpaceOptions\nmine = CellSpace('x', CellSpaceOptions(1))"
    )
    space = get_space(str(written(tmp_path, text)))
    assert space.decisions == cell_space("nasnet:blocks=1").decisions
    assert space.name.startswith("my_net.py:mine#")


def test_pickled_space_works_in_a_new_process_in_another_folder(tmp_path: Path) -> None:
    """The file is gone by then; names, keys, counts and weights are the same."""
    path = written(tmp_path / "here", (ROOT / "tests/search_spaces/own_net.py").read_text())
    space = get_space(str(path))
    architecture = space.sample(np.random.default_rng(1))
    (tmp_path / "space.pickle").write_bytes(pickle.dumps((space, architecture)))
    path.unlink()
    code = f"""
import pickle, sys
sys.path.insert(0, {str(ROOT)!r})
import torch
from search_spaces import Blueprint, get_space
space, architecture = pickle.load(open("space.pickle", "rb"))
torch.manual_seed(0)
network = space.build(Blueprint(architecture, 8, channels=1))
print(space.name, space.key(architecture), space.complexity(Blueprint(architecture, 8, channels=1)).macs)
print(sum(p.double().sum().item() for p in network.parameters()), get_space(space.name) is space)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    blueprint = Blueprint(architecture, 8, channels=1)
    torch.manual_seed(0)
    total = sum(p.double().sum().item() for p in space.build(blueprint).parameters())
    expected = f"{space.name} {space.key(architecture)} {space.complexity(blueprint).macs}\n{total} True\n"
    assert (done.stdout, done.stderr) == (expected, "")


@pytest.mark.usefixtures("forgotten")
def test_unpickling_does_not_look_for_decisions_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pickled = pickle.dumps(get_space(str(written(tmp_path, FUNCTION))))
    local_file._LOADED.clear()
    monkeypatch.setattr("search_spaces.custom.discover", lambda run: pytest.fail("looked again"))
    assert [d.name for d in pickle.loads(pickled).decisions] == ["width"]


@pytest.mark.usefixtures("forgotten")
def test_kept_copy_is_found_when_the_file_has_changed_or_gone(tmp_path: Path) -> None:
    path = written(tmp_path, CLASS)
    space, run = get_space(f"{path}:Net"), tmp_path / "run"
    copy = save_source(space, run)
    assert copy == f"{run / 'space' / 'my_net.py'}:Net"
    path.unlink()
    local_file._LOADED.clear()
    assert get_space(copy).name == space.name
    local_file._LOADED.clear()
    for specification in (f"{path}:Net", "my_net.py:Net", str(path), space.name):
        assert get_space(kept_specification(specification, run)).name == space.name


@pytest.mark.usefixtures("forgotten")
def test_changed_copy_is_refused(tmp_path: Path) -> None:
    name = get_space(str(written(tmp_path, CLASS))).name
    written(tmp_path / "space", CLASS + "# changed")
    local_file._LOADED.clear()
    with pytest.raises(InvalidInputError, match="its contents have changed and are #"):
        get_space(kept_specification(name, tmp_path))


def test_kept_decisions_are_read_without_running_the_file(tmp_path: Path) -> None:
    space = get_space(str(written(tmp_path, CLASS)))
    save_source(space, tmp_path)
    written(tmp_path / "space", "raise SystemExit('was run')")
    assert kept_decisions(tmp_path) == space.decisions
    assert kept_decisions(tmp_path / "elsewhere") is None
    (tmp_path / "space" / "decisions.json").write_text('[{"name": "width"}]')
    with pytest.raises(InvalidInputError, match="cannot be read: KeyError"):
        kept_decisions(tmp_path)


def test_other_spaces_have_no_file_to_keep(tmp_path: Path) -> None:
    assert save_source(cell_space("nasnet"), tmp_path) is None
    assert kept_specification("nasnet:blocks=2", tmp_path) == "nasnet:blocks=2"
    assert kept_specification("elsewhere/my_net.py:Net", tmp_path) == "elsewhere/my_net.py:Net"
    assert list(tmp_path.iterdir()) == []


def test_a_class_given_from_python_is_read_from_its_file() -> None:
    space = as_space(Here)
    assert isinstance(space, FileSpace)
    assert space.name.startswith("test_local_file.py:Here#")
    assert as_space(space) is space
    assert as_space("nasnet") is cell_space("nasnet")


def test_a_space_given_from_python_must_be_found_again_from_its_name() -> None:
    table = TableSpace(np.zeros((1, 1), dtype=int))
    assert as_space(table) is table
    assert as_space(cell_space("darts")) is cell_space("darts")
    with pytest.raises(InvalidInputError, match="names another space than the one given"):
        as_space(CellSpace("nasnet", CellSpaceOptions(blocks=2)))
    with pytest.raises(UnknownNameError):
        as_space(CellSpace("mine", CellSpaceOptions(blocks=2)))


def test_code_without_a_place_in_a_file_is_refused() -> None:
    class Inside(Here):
        pass

    namespace: dict[str, Any] = {}
    exec(compile("def net(choose): ...", "<typed in>", "exec"), namespace)
    for code, says in (
        (Inside, "at the top level"),
        (lambda choose: None, "at the top level"),
        (3, "at the top level"),
    ):
        with pytest.raises(InvalidInputError, match=says):
            as_space(code)
    with pytest.raises(InvalidInputError, match=r"not defined in a file.*give 'FILE\.py:net'"):
        as_space(namespace["net"])


def test_a_script_that_searches_its_own_class_says_what_to_guard(tmp_path: Path) -> None:
    path = written(tmp_path, CLASS + "from search_spaces import as_space\nas_space(Net)\n")
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, cwd=ROOT, check=False)
    assert "if __name__ ==" in done.stderr.splitlines()[-1], done.stderr


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        (CLASS, ":Nett", "unknown name in my_net.py 'Nett'. Did you mean 'Net'\\? Known: Net."),
        (CLASS + FUNCTION, "", "my_net.py should define one space, .*it has Net, net: name one, like my_net.py:Net"),
        ("x = 1", "", "should define one space, .*it has none: write a class"),
        ("x = 1", ":x", "my_net.py:x is no space, which is .*, got int"),
        ("def f(a): ...", ":f", "the function has no argument `choose`"),
        ("class Net:\n    decisions = {}", ":Net", "the class lacks `build`"),
        ("class Net:\n    decisions = {}\n    def build(self): ...", "", "my_net.py:Net has no decisions"),
        ("def f(choose): ...", "", "my_net.py:f never chooses"),
        ("def f(choose): choose('a', [])", "", "my_net.py:f: decision 'a' needs at least one option"),
        ("\n\nraise ValueError('no\\nluck')", "", r"my_net.py raised ValueError: no luck \(line 3\)\.$"),
        ("import sys\nsys.exit(3)", "", r"my_net.py raised SystemExit: 3 \(line 2\)"),
        ("def f(:\n", "", r"my_net.py raised SyntaxError: invalid syntax \(line 1\)"),
        ("import blocks_of_mine", "", "ModuleNotFoundError: .* it can import installed packages only"),
        (
            CLASS + "    def __init__(self, depth): ...",
            "",
            "my_net.py:Net raised TypeError: .*'depth'.* without arguments",
        ),
        (OWN_SPACE.replace("def complexity", "def cost"), ":Flat", "the class lacks `complexity`"),
    ],
)
def test_mistakes_are_said_in_one_line(tmp_path: Path, text: str, name: str, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says) as caught:
        get_space(f"{written(tmp_path, text)}{name}")
    assert "\n" not in str(caught.value)


def test_missing_files_are_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"there is no file .*my_net\.py"):
        get_space(f"{tmp_path}/my_net.py:Net")
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(InvalidInputError, match=r"cannot read .*folder\.py: Is a directory"):
        get_space(f"{tmp_path}/folder.py")


def test_a_file_that_failed_is_read_again(tmp_path: Path) -> None:
    """Nothing half-loaded stays behind: the second time gives the same message."""
    path = written(tmp_path, "class Half:\n    decisions = {}\nraise ValueError('no')")
    for _ in range(2):
        with pytest.raises(InvalidInputError, match="ValueError: no"):
            get_space(str(path))


def test_dataclasses_and_encodings_work_as_on_import(tmp_path: Path) -> None:
    header = "# -*- coding: latin-1 -*-\nfrom __future__ import annotations\nfrom dataclasses import dataclass\n"
    text = header + "@dataclass\nclass Size:\n    width: int = 4\n    sign: str = 'ä'\n" + CLASS
    path = tmp_path / "my_net.py"
    path.write_bytes(text.encode("latin-1"))
    space = get_space(f"{path}:Net")
    assert isinstance(space, FileSpace)
    module = sys.modules[f"my_net#{space.source.digest}"]
    assert module.Size().sign == "ä"
    assert "ä" in inspect.getsource(module.Size)
