"""Nothing in a file is run, nothing leaves its folder, and nothing listens to other machines unless asked to."""

from __future__ import annotations

import ast
import inspect
import io
import os
import pickle
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import nas
from controllers.trial import Trial
from nas.baselines.weights import fetch_torchvision_weights
from nas.commands.dashboard import dashboard
from nas.comparison.nulls import RandomSearch
from nas.config import SearchConfig
from nas.data.downloading import extract_files
from nas.errors import InvalidInputError, NASError
from nas.optuna_study import serve_study
from nas.searching import RESULTS, _new_folder
from nas.training.runs import running
from nas.training.runs.config import TrainingConfig
from nas.training.runs.session import CHECKPOINT

ROOT = Path(__file__).parents[1]
PACKAGES = ("search_spaces", "controllers", "nas")
HOSTILE = "<img src=x onerror=alert(1)>'\"&`$(touch pwned);\x1b[31m\n.."
# Calls that run what they are given, or write where it says; by what may be before the last point of the name.
FORBIDDEN = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads", "pickle.Unpickler",
    "cPickle.load", "dill.load", "dill.loads", "cloudpickle.load", "cloudpickle.loads", "joblib.load", "marshal.load",
    "marshal.loads", "shelve.open", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "pandas.read_pickle",
    "shutil.unpack_archive", "runpy.run_path", "runpy.run_module", "tempfile.mktemp",
}  # fmt: skip
UNPACKING = ("extractall", "extract")  # methods of archives
# Where one of them is right, and why.
ALLOWED = {
    ("nas/cli.py", "exec"): "of an empty text, against a fault of CPython's",
    ("nas/exporting/formats.py", "exec"): "of the file that was just generated, to check it",
    ("nas/exporting/formats.py", "compile"): "the same",
    ("nas/benchmarking/engine/plain_loop.py", "exec"): "of the same text, which never was in a file",
    ("nas/benchmarking/engine/plain_loop.py", "compile"): "the same",
    ("search_spaces/source_file.py", "exec"): "of the user's own space, which is what a space in a file means",
    ("search_spaces/source_file.py", "compile"): "the same",
    (
        "nas/benchmarking/processes.py",
        "pickle.loads",
    ): "of what the parent wrote, in a folder that only its user reads",
}


def trees() -> Iterator[tuple[str, ast.AST]]:
    """Every module of ours, by its path."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Every call: the module, the name as it would be without renaming imports, and the call."""
    for path, tree in trees():
        renamed: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                renamed |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
            elif isinstance(node, ast.Import):
                renamed |= {name.asname: name.name for name in node.names if name.asname}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                first, point, rest = ast.unparse(node.func).partition(".")
                yield path, f"{renamed.get(first, first)}{point}{rest}", node


def keyword(call: ast.Call, name: str) -> str | None:
    """How a keyword argument is written; None where it is not given."""
    return next((ast.unparse(given.value) for given in call.keywords if given.arg == name), None)


def test_nothing_is_run_that_comes_from_a_file() -> None:
    found = {(path, name) for path, name, _ in calls() if name in FORBIDDEN}
    assert found == set(ALLOWED)


def test_arrays_weights_and_archives_are_read_as_data() -> None:
    for path, name, call in calls():
        if name == "torch.load":
            assert keyword(call, "weights_only") == "True", path
        if name.endswith((".get_state_dict", "load_state_dict_from_url")):
            assert keyword(call, "weights_only") == "True", path
        if name in ("np.load", "numpy.load"):
            assert keyword(call, "allow_pickle") == "False", path
        assert name.rpartition(".")[2] not in UNPACKING, path


def test_no_shell_is_ever_asked() -> None:
    for path, name, call in calls():
        assert keyword(call, "shell") in (None, "False"), path
        assert not name.startswith(("subprocess.getoutput", "subprocess.getstatusoutput", "os.exec", "os.spawn")), path


def test_the_walk_finds_what_it_looks_for() -> None:
    names = {name for _, name, _ in calls()}
    assert {"torch.load", "numpy.load", "exec", "pickle.loads"} & names >= {"torch.load", "exec", "pickle.loads"}
    assert {"np.load", "numpy.load"} & names


# ------------------------------------------------------------------------------------------------- weights


class Trap:
    """Unpickling this creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """Return a path that exists once something was unpickled."""
    return tmp_path / "sprung"


def test_the_trap_works(trap: Path) -> None:
    pickle.loads(pickle.dumps(Trap(trap)))
    assert trap.is_dir()


@pytest.mark.parametrize("write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_weights_that_would_run_code_are_refused_in_one_line(
    write: Callable[..., Any], trap: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    write({"weight": Trap(trap)}, tmp_path / "evil.pt")
    answer = cli("train", "lenet-5", "--weights", tmp_path / "evil.pt", "--out", tmp_path / "run")
    assert (answer.code, len(answer.err.splitlines())) == (2, 1)
    assert f"cannot read weights from {tmp_path / 'evil.pt'}" in answer.err
    assert not trap.exists()
    assert not (tmp_path / "run").exists()


def test_weights_cut_short_are_refused_in_one_line(tmp_path: Path, cli: Callable[..., Any]) -> None:
    from safetensors.torch import save

    whole = save({"weight": torch.zeros(100)})
    for size in (0, 4, 20, len(whole) - 1):
        (tmp_path / "cut.safetensors").write_bytes(whole[:size])
        answer = cli("train", "lenet-5", "--weights", tmp_path / "cut.safetensors", "--out", tmp_path / "run")
        assert (answer.code, len(answer.err.splitlines())) == (2, 1)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Path]:
    """Return the folder in which torch keeps what it fetched, empty."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path / "hub"))
    yield tmp_path / "hub" / "checkpoints"
    torch.hub.set_dir(before)


def test_fetched_weights_that_would_run_code_are_refused(trap: Path, hub: Path) -> None:
    """The file lies where torch keeps what it fetched, where its checksum is not looked at again."""
    from torchvision.models import get_model_weights

    hub.mkdir(parents=True)
    name = get_model_weights("resnet18").DEFAULT.url.rpartition("/")[2]
    torch.save({"conv1.weight": Trap(trap)}, hub / name)
    with pytest.raises(NASError, match="cannot fetch torchvision's weights of resnet18") as error:
        fetch_torchvision_weights("resnet18")
    assert "\n" not in str(error.value)
    assert not trap.exists()


def test_a_checkpoint_that_would_run_code_is_none(trap: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"train_limit": 20, "recipe_changes": {"epochs": 1}, "threads": 1}
    run = nas.train("lenet-5", data="digits", **settings, out=tmp_path / "run")
    shutil.rmtree(run.folder / "best")
    log = run.folder / "training.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:2]))
    torch.save({"identity": Trap(trap)}, run.folder / CHECKPOINT)
    again = running.resume_training(run.folder)
    assert again.metrics == run.metrics
    assert not trap.exists()


# ------------------------------------------------------------------------------------------------ archives


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, 4 if kind == tarfile.REGTYPE else 0
    return info


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE]
)
def test_only_files_come_out_of_archives(kind: bytes, tmp_path: Path) -> None:
    """A link to a file outside, in each way, and then a file of the same name: the file outside stays as it is."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(_member("one.bin", kind, str(outside)))
        tar.addfile(_member("one.bin"), io.BytesIO(b"1234"))
        tar.addfile(_member(f"../../{outside.name}"), io.BytesIO(b"evil"))
        tar.addfile(_member(str(outside)), io.BytesIO(b"evil"))
    extract_files(tmp_path / "a.tar", tmp_path / "deep" / "out", names=("one.bin", "two.bin"))
    assert outside.read_bytes() == b"mine"
    assert [path.name for path in (tmp_path / "deep" / "out").iterdir()] == ["one.bin"]
    written = tmp_path / "deep" / "out" / "one.bin"
    assert stat.S_ISREG(written.lstat().st_mode)
    assert written.read_bytes() == b"1234"


# --------------------------------------------------------------------------------------------------- paths


@pytest.mark.parametrize("name", [HOSTILE, "../../etc", "/etc/passwd", "..", "a/b", "\0", ""])
def test_default_folders_lie_in_results(name: str) -> None:
    search = SearchConfig(space=name, controller=name, data=name)
    training = TrainingConfig(name, data=name)
    for folder in (_new_folder(search), running._new_folder(training)):
        assert folder.parent == RESULTS
        assert folder.name not in ("", ".", "..")
        assert folder.name.replace(".", "").replace("-", "").isalnum()


@pytest.mark.parametrize("name", ["../elsewhere", "/tmp", "..", "", "a/b"])
def test_a_comparison_from_elsewhere_cannot_point_outside_its_folder(name: str) -> None:
    with pytest.raises(InvalidInputError, match="plain name"):
        RandomSearch("label", SearchConfig(), name, "like")


@pytest.mark.parametrize("number", ["../../1", "1", 1.0, None, True])
def test_a_trial_s_number_is_no_path(number: Any) -> None:
    """Files of a trial are named by its number, which may come from somebody else's journal."""
    trial = {"number": number, "architecture": {"format": 1, "space": "s", "choices": []}, "budget": None}
    with pytest.raises(InvalidInputError, match="number must be a whole number >= 0"):
        Trial.from_json({**trial, "parents": []})


# ----------------------------------------------------------------------------------------------- listening


def test_the_dashboard_listens_to_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts: list[str] = []

    def make_server(host: str, *_: Any, **__: Any) -> None:
        hosts.append(host)
        raise OSError("that is all")

    monkeypatch.setattr("wsgiref.simple_server.make_server", make_server)
    monkeypatch.setattr("nas.optuna_study.import_dashboard", lambda: lambda storage: None)
    monkeypatch.setattr("nas.optuna_study.storage_of", lambda path: None)
    with pytest.raises(InvalidInputError, match="cannot listen"):
        serve_study(Path("study.log"), ready=print)
    assert hosts == ["localhost"]
    assert "host" not in inspect.signature(dashboard).parameters


# ------------------------------------------------------------------------------------------------ terminals


@pytest.mark.parametrize("name", [HOSTILE.replace("\n", ""), "two\nlines", "\x1b]0;title\x07", "\x9b31m"])
def test_errors_are_one_line_without_control_characters(name: str, cli: Callable[..., Any]) -> None:
    for arguments in (("report", name), ("resume", name), ("show", name), ("train", name, "--data", name)):
        answer = cli(*arguments)
        assert answer.code == 2
        assert len(answer.err.splitlines()) == 1
        assert answer.err.strip("\n").isprintable()
