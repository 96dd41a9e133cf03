"""The README's Python examples run, and its commands exist."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import nas

README = (Path(__file__).parents[1] / "README.md").read_text()
SNIPPETS = re.findall(r"<!-- run by the tests -->\n```python\n(.*?)```", README, flags=re.DOTALL)
FILES = re.findall(r"<!-- (\w+\.py), run by the tests -->\n```python\n(.*?)```", README, flags=re.DOTALL)
ALONE = re.findall(r"<!-- run by the tests in best/ -->\n```python\n(.*?)```", README, flags=re.DOTALL)
SMALLER = re.findall(r"<!-- run by the tests, smaller -->\n```python\n(.*?)```", README, flags=re.DOTALL)
SIZES = {"num_samples=24": "num_samples=2", "max_t=9": "max_t=1", "epochs=9": "epochs=1", "n_trials=100": "n_trials=3"}
FAST: dict[str, Any] = {
    "trials": 2,
    "train_limit": 100,
    "width": 4,
    "recipe_changes": {"epochs": 1},
    "final_recipe": "proxy",
}


def test_every_python_block_is_run() -> None:
    run = len(SNIPPETS) + len(FILES) + len(ALONE) + len(SMALLER)
    assert (len(SNIPPETS), run) == (2, README.count("```python"))


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippet_runs(snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer, smaller trainings than written; everything else as it stands."""
    search = nas.search
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(nas, "search", lambda **settings: search(**{**settings, **FAST}), raising=False)
    exec(compile(snippet, "README.md", "exec"), {})


def test_the_network_is_read_without_this_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nas.search(**FAST, out=tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run" / "best")
    monkeypatch.syspath_prepend(str(tmp_path / "run" / "best"))
    (snippet,) = ALONE
    names: dict[str, Any] = {"images": torch.zeros(2, 1, 8, 8, dtype=torch.uint8)}
    exec(compile(snippet, "README.md", "exec"), names)
    assert names["logits"].shape == (2, 10)


def shrunk(snippet: str) -> str:
    for written, smaller in SIZES.items():
        snippet = snippet.replace(written, smaller)
    return snippet


@pytest.mark.ray
@pytest.mark.usefixtures("ray_here")
def test_the_example_of_ray_tune_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))  # where Tune keeps its results
    (snippet,) = [one for one in SMALLER if "import tune" in one]
    exec(compile(shrunk(snippet), "README.md", "exec"), {})


def test_the_example_of_optuna_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (snippet,) = [one for one in SMALLER if "import optuna" in one]
    exec(compile(shrunk(snippet), "README.md", "exec"), {})


def test_the_network_of_ones_own_is_searched(tmp_path: Path, cli: Callable[..., Any]) -> None:
    """The file as the README prints it, at most 20 lines, by a command much like the one beside it."""
    ((name, source),) = FILES
    assert len(source.strip().splitlines()) <= 20
    (tmp_path / name).write_text(source)
    options = (
        "--data",
        "digits",
        "--trials",
        2,
        "--train-limit",
        100,
        "--recipe-set",
        "epochs=1",
        "--out",
        tmp_path / "run",
    )
    answer = cli("search", "--space", f"{tmp_path / name}:net", *options)
    assert answer.code == 0, answer.err
    (tmp_path / name).unlink()
    assert nas.load(tmp_path / "run").best.network()(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


@pytest.mark.slow
@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippet_runs_to_the_letter(snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "README.md", "exec"), {})


def test_counts_in_the_readme_are_true() -> None:
    cost = nas.complexity(nas.get_blueprint("nasnet-a-mobile"))
    assert f"{cost.params:,} parameters, {cost.macs:,} MACs" in README


def test_commands_in_the_readme_parse(capsys: pytest.CaptureFixture[str]) -> None:
    """Every flag of every `nas` line in the README is known to its command."""
    import typer.main

    from nas import commands  # noqa: F401 - registers the commands
    from nas.cli import app

    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    lines = [line.split("#")[0].split() for line in README.splitlines() if re.match(r"nas [a-z]+ ", line)]
    assert len(lines) >= 7
    for _, name, *arguments in lines:
        command = known[name]
        if hasattr(command, "commands"):  # a group, such as `nas bench`: the next word is the command
            command = command.commands[arguments[0]]
        flags = {flag for parameter in command.params for flag in parameter.opts}
        assert {a for a in arguments if a.startswith("--")} <= flags
