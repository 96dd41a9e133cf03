"""`nas scale`: a table, JSON, files, and one line for what cannot be scaled."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import nas
import nas.commands.scale  # registers the command
from nas.commands.scale import parse_bytes, parse_phis
from search_spaces.architecture import Blueprint


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # results/ land there


def test_table_has_a_row_per_member(cli: Callable[..., object]) -> None:
    answer = cli("scale", "mobilenet-v2", "--coefficients", "1.2,1.1,1.15", "--phi=-1..1", "--no-measure")
    assert answer.code == 0, answer.err
    rows = [line.split()[0] for line in answer.out.splitlines() if line.startswith("mobilenet-v2")]
    assert rows == ["mobilenet-v2", *(f"mobilenet-v2-compound-phi{phi}" for phi in (-1, 0, 1))]
    assert "of intended" in answer.out
    assert "300,774,272" in answer.out


def test_json_is_for_programs(cli: Callable[..., object]) -> None:
    flags = ("--input", "3,32,32", "--target-macs", "20M", "--target-macs", "80M", "--out", "here")
    answer = cli("scale", "nasnet-a", *flags, "--json")
    data = json.loads(answer.out)
    assert [member["macs"] <= budget for member, budget in zip(data["members"], (20e6, 80e6), strict=True)] == [
        True
    ] * 2
    for member in data["members"]:
        blueprint = Blueprint.from_json(member["blueprint"])
        cost = nas.complexity(blueprint)
        assert (member["params"], member["macs"]) == (cost.params, cost.macs)
        assert (member["depth"], member["width"], member["resolution"]) == (
            blueprint.depth,
            blueprint.width,
            blueprint.resolution,
        )
        assert member["latency_ms"] > 0
        written = json.loads((Path("here/members") / f"{member['name']}.json").read_text())
        assert written == member["blueprint"]


def test_a_member_s_file_is_a_network_of_other_commands(cli: Callable[..., object]) -> None:
    flags = ("--phi", "1", "--no-measure", "--out", "here", "--json")
    data = json.loads(cli("scale", "mobilenet-v2", *flags).out)
    file = Path("here/members") / f"{data['members'][0]['name']}.json"
    profile = json.loads(cli("profile", file, "--no-measure", "--json").out)
    assert profile["macs"] == data["members"][0]["macs"]


def test_a_grid_is_trained_printed_and_gone_on_with(cli: Callable[..., object]) -> None:
    flags = ("--data", "digits", "--resolution", "12", "--train-limit", "30", "--epochs", "1", "--spacing", "0.2")
    command = ("scale", "darts-v2", "--width", "4", *flags, "--seeds", "1", "--phi", "1", "--no-measure", "--out", "g")
    first = cli(*command)
    assert first.code == 0, first.err
    assert "the best of" in first.out
    assert "compound phi 1" in first.out
    journals = [Path("g") / stage / "journal.jsonl" for stage in ("grid", "ablation")]
    before = [journal.read_bytes() for journal in journals]
    again = cli(*command)
    assert again.out == first.out
    assert [journal.read_bytes() for journal in journals] == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nope",), "unknown network"),
        (("nasnet-a",), "--input"),
        (("mobilenet-v2", "--coefficients", "2,2,2"), "depth x width^2 x resolution^2"),
        (("mobilenet-v2", "--phi", "7..1"), "rise"),
        (("mobilenet-v2", "--phi", "x"), "--phi takes steps"),
        (("mobilenet-v2", "--target-macs", "1k"), "the smallest"),
        (("mobilenet-v2", "--resolution", "32"), "--input"),
        (("none.json",), "no such file"),
    ],
)
def test_wrong_usage_is_one_line(cli: Callable[..., object], arguments: tuple[object, ...], message: str) -> None:
    answer = cli("scale", *arguments, "--no-measure")
    assert answer.code == 2
    assert message in answer.err
    assert not Path("results").exists()


def test_steps_and_bytes_are_read() -> None:
    assert parse_phis("0..2,-1,0.5") == [0, 1, 2, -1, 0.5]
    assert [parse_bytes(text) for text in ("5MB", "1GiB", "2M", "300")] == [5e6, 2**30, 2e6, 300]
