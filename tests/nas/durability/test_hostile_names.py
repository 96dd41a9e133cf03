"""Names from users and data: text on every page, one word of every printed command, and no code in network.py."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nas
from nas.comparison.results import read_comparison
from nas.comparison.tables import table_text
from nas.exporting.network_file import Images, network_text
from nas.reporting import summarize
from nas.run import Run
from nas.scaling_report import summarize_scaling
from nas.training_report import summarize_training

HOSTILE = "<img src=x onerror=alert(1)>'\"&`$(touch pwned); \x1b[31m[/red]"


class Page(HTMLParser):
    """What a browser would see: tags, and the names of attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def check(path: Path) -> Page:
    """Nothing of a name has become markup."""
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert not [name for name in page.attributes if name.startswith("on")]
    assert "\x1b" not in text
    assert any("<img src=x" in one for one in page.texts)
    return page


@pytest.mark.parametrize("kind", ["serial", "training", "comparison", "grid"])
def test_a_folder_s_name_is_text_on_every_page(
    kind: str, subjects: dict[str, Any], tmp_path: Path, cli: Callable[..., Any]
) -> None:
    folder = tmp_path / HOSTILE
    shutil.copytree(subjects[kind].folder, folder)
    answer = cli("report", folder)
    assert answer.code == 0, answer.err
    check(folder / "report.html")


@pytest.mark.parametrize("more", [(), ("--target", "3"), ("--report-metric",)])
def test_columns_and_error_texts_are_text_on_the_page(
    more: tuple[str, ...], tmp_path: Path, cli: Callable[..., Any]
) -> None:
    """As an objective, as a cost, as what a metric is weighed by, and as what is reported."""
    ops = np.array([[i // 4, i % 4] for i in range(16)])
    values = np.arange(16.0)
    values[3] = np.nan
    metric, cost = f"{HOSTILE}metric", f"{HOSTILE}$\\frac{{$cost"
    np.savez(tmp_path / "t.npz", **{"ops": ops, metric: values, cost: 1.0 + ops.sum(axis=1)})
    folder = tmp_path / "run"
    flags = ("--metric", metric, "--cost", cost, "--trials", 12, "--controller", "random", *more)
    flags += (cost,) if "--report-metric" in more else ()
    answer = cli("search", "--table", tmp_path / "t.npz", "--out", folder, *flags)
    assert answer.code == 0, answer.err
    page = check(folder / "report.html")
    assert any("no measurement of" in one for one in page.texts)


def test_class_names_are_text_in_network_py(tmp_path: Path) -> None:
    """Names of classes are those of folders; loading the file must not run them."""
    names = (HOSTILE, '"""\nopen("pwned", "w")\n"""', "'); open('pwned', 'w'); ('", "\\", "newline\n", "'\"")
    images = Images((1, 8, 8), (0.5,), (0.25,), names)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, len(names))).eval()
    title = 'a"""\nopen("pwned", "w")\n"""b \\'
    (tmp_path / "network.py").write_text(network_text(network, images, title=title, weights='"""\nopen("pwned", "w")'))
    code = "import network; print(repr(network.CLASSES))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == repr(names)
    assert not (tmp_path / "pwned").exists()


def commands_of(kind: str, folder: Path) -> list[str]:
    """The commands that a folder's page tells."""
    if kind == "training":
        return list(summarize_training(folder).commands.values())
    if kind == "grid":
        return list(summarize_scaling(folder).commands.values())
    if kind == "comparison":
        text = (folder / "report.html").read_text(encoding="utf-8")
        return [Page(found).texts[0] for found in re.findall(r"<pre>nas .*?</pre>", text)]
    return list(summarize(nas.load(folder)).commands.values())


@pytest.mark.parametrize("kind", ["serial", "training", "comparison", "grid"])
def test_a_printed_command_has_the_folder_as_one_word(
    kind: str, subjects: dict[str, Any], tmp_path: Path, cli: Callable[..., Any]
) -> None:
    folder = tmp_path / HOSTILE.replace("\x1b", "")
    shutil.copytree(subjects[kind].folder, folder)
    assert cli("report", folder).code == 0
    commands = commands_of(kind, folder)
    assert commands
    named = 0
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "nas"
        named += any(word.startswith(str(folder)) for word in words)
        assert not any(word.startswith("$(") or word == ";" for word in words)
    assert named or kind == "training"  # which is trained again from its network's name


def test_commands_in_errors_are_quoted(subjects: dict[str, Any], tmp_path: Path, cli: Callable[..., Any]) -> None:
    folder = tmp_path / "a b; $(c)"
    shutil.copytree(subjects["serial"].folder, folder)
    answer = cli("search", "--controller", "random", "--out", folder)
    assert answer.code == 2
    assert f"`nas resume {shlex.quote(str(folder))}`" in answer.err
    run = nas.load(folder)
    with pytest.raises(nas.NASError, match=re.escape(f"`nas resume {shlex.quote(str(folder))}`")):
        _ = Run(folder, run.config, run.records, run.unfinished).best


def test_markup_of_terminals_in_names_is_text(subjects: dict[str, Any]) -> None:
    from dataclasses import replace

    rows = read_comparison(subjects["comparison"].folder).rows
    assert "[/red][bold]x" in table_text([replace(rows[0], label="[/red][bold]x"), *rows[1:]])
