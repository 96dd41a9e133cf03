"""`nas profile`: tables, JSON, and one line for what cannot be profiled."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import nas
import nas.commands.profile  # registers the command

CELL = ("profile", "nasnet-a", "--input", "3,16,16", "--classes", "7")


def test_table_has_a_row_per_cell_a_sum_and_measurements(cli: Callable[..., object]) -> None:
    answer = cli(*CELL, "--threads", 1)
    lines = answer.out.splitlines()
    assert answer.code == 0, answer.err
    assert lines[0].split() == ["layer", "type", "output", "activations", "params", "MACs"]
    assert sum("CellModule" in line for line in lines) == 5
    total = nas.complexity(nas.get_blueprint("nasnet-a", input_shape=(3, 16, 16), classes=7))
    (summed,) = (line.split() for line in lines if line.startswith("total"))
    assert summed[2:] == [f"{total.params:,}", f"{total.macs:,}"]
    assert any(line.startswith("latency: ") and line.endswith("cpu, 1 thread") for line in lines)
    assert any(line.startswith("peak memory: ") for line in lines)


def test_depth_opens_blocks(cli: Callable[..., object]) -> None:
    sizes = [len(cli(*CELL, "--no-measure", "--depth", depth).out.splitlines()) for depth in (1, 2, 3)]
    assert sizes == sorted(set(sizes))


def test_json_is_for_programs(cli: Callable[..., object]) -> None:
    data = json.loads(cli(*CELL, "--no-measure", "--json").out)
    assert {"params", "macs", "activations", "layers", "latency_ms", "peak_memory_bytes"} <= data.keys()
    assert data["layers"][-1]["output_shape"] == [7]


def test_a_blueprint_s_file_is_a_network(cli: Callable[..., object], tmp_path: Path) -> None:
    blueprint = nas.get_blueprint("darts-v2", input_shape=(1, 16, 16), classes=3, depth=1, width=8)
    path = tmp_path / "net.json"
    path.write_text(json.dumps(blueprint.to_json()))
    data = json.loads(cli("profile", path, "--no-measure", "--json").out)
    assert (data["params"], data["macs"]) == (nas.complexity(blueprint).params, nas.complexity(blueprint).macs)


def test_a_run_s_best_network_is_one_too(cli: Callable[..., object], tmp_path: Path) -> None:
    run = nas.search(
        space="nasnet",
        data="digits",
        trials=1,
        train_limit=64,
        recipe_changes={"epochs": 1},
        final_recipe="proxy",
        out=tmp_path / "r",
    )
    data = json.loads(cli("profile", run.folder, "--no-measure", "--json").out)
    assert data["params"] == run.final["params"]


def test_so_is_a_training_s_by_any_of_its_folders_and_files(cli: Callable[..., object], tmp_path: Path) -> None:
    options = ("--data", "digits", "--train-limit", 32, "--epochs", 1, "--part", "initialization=lsuv")
    assert cli("train", "lenet-5-modern", *options, "--part", "attention=se", "--out", tmp_path / "t").code == 0
    metrics = json.loads((tmp_path / "t" / "best" / "metrics.json").read_text())
    for path in (tmp_path / "t", tmp_path / "t" / "best", tmp_path / "t" / "best" / "architecture.json"):
        answer = cli("profile", path, "--no-measure", "--json")
        assert answer.code == 0, answer.err
        data = json.loads(answer.out)
        assert (data["params"], data["macs"]) == (metrics["params"], metrics["macs"])


def test_parts_are_counted(cli: Callable[..., object]) -> None:
    """VGG-16 without its fully-connected layers: 14,714,688 parameters of convolutions, 513,000 of a classifier."""
    answer = cli("profile", "vgg-16", "--no-measure", "--json", "--part", "head=global_average")
    assert json.loads(answer.out)["params"] == 14_714_688 + 512 * 1000 + 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nasnet-a-mobil",), "Did you mean 'nasnet-a-mobile'"),
        (("nasnet-a",), "give --input"),
        (("nasnet-a", "--input", "3,32"), "--input is CHANNELS,HEIGHT,WIDTH"),
        (("nasnet-a", "--input", "3,0,0"), "whole numbers >= 1"),
        (("nasnet-a", "--input", "3,32,48"), "square"),
        ((*CELL[1:], "--depth", "0"), "--depth"),
        ((*CELL[1:], "--batch", "0"), "batch"),
        ((*CELL[1:], "--device", "abacus"), "device 'abacus'"),
        (("none.json",), "no such file"),
        (("no/run",), "no such file or folder"),
        ((__file__,), "holds no blueprint"),
        ((Path(__file__).parent,), "is no run"),
        (("sagan-cifar", "--input", "3,1,1"), "at least 2 x 2 pixels"),
        (("vgg-16", "--part", "hed=global_average"), "Did you mean 'head'"),
        (("vgg-16", "--part", "stochastic_depth=0.1", "--no-measure"), "choose a residual network"),
        (("timm:inception_v4", "--input", "3,32,32"), "made for 299 x 299 pixels, cannot take 32"),
    ],
)
def test_wrong_usage_is_one_line(cli: Callable[..., object], arguments: tuple[object, ...], message: str) -> None:
    answer = cli("profile", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize("content", ["[]", "{}", '{"format": 1}', "\x00", '"nasnet-a"', '{"format": NaN'])
def test_a_file_that_is_no_blueprint_is_refused(cli: Callable[..., object], tmp_path: Path, content: str) -> None:
    path = tmp_path / "net.json"
    path.write_text(content)
    answer = cli("profile", path)
    assert answer.code == 2
    assert "holds no blueprint" in answer.err
