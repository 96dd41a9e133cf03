"""From a name to a network: sizes, stems, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import nas
from nas.building import build_blueprint, space_of, stem_for
from nas.errors import InvalidInputError, UnknownNameError
from nas.parts import Parts
from search_spaces.architecture import Architecture, Blueprint
from search_spaces.local_file import save_source
from search_spaces.registry import get_space


def test_published_network_at_its_own_size() -> None:
    blueprint = nas.get_blueprint("nasnet-a-large")
    assert (blueprint.resolution, blueprint.classes, blueprint.depth, blueprint.width) == (331, 1000, 6, 168)
    assert nas.complexity(blueprint).params == 88_753_150


def test_nasnet_mobile_with_six_cells_a_stage() -> None:
    """6 @ 1056, whose count is known from a library's parametrised NASNet."""
    blueprint = nas.get_blueprint("nasnet-a-mobile", classes=1000, input_shape=(3, 224, 224), depth=6)
    assert nas.complexity(blueprint).params == 7_188_490


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (4, 65, 65), (3, 96, 96)])
def test_any_cell_at_any_size(shape: tuple[int, int, int]) -> None:
    for name in ("nasnet-a", "darts-v2", "pnasnet-5", "amoebanet-d", "snas-aggressive"):
        network = nas.build(name, classes=7, input_shape=shape, depth=1, width=8)
        assert network.eval()(torch.zeros(2, *shape)).shape == (2, 7)


def test_stem_follows_the_image_size() -> None:
    assert [stem_for(size) for size in (8, 28, 32, 64, 65, 331)] == [
        "tiny",
        "tiny",
        "cifar",
        "cifar",
        "imagenet",
        "imagenet",
    ]


def test_an_architecture_builds_like_its_name() -> None:
    blueprint = nas.get_blueprint("darts-v2-cifar")
    assert isinstance(blueprint.network, Architecture)
    again = nas.get_blueprint(blueprint.network, input_shape=(3, 32, 32), depth=6, width=36)
    assert nas.complexity(again) == nas.complexity(blueprint)


def test_unknown_network_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'nasnet-a-mobile'"):
        nas.build("nasnet-a-mobil")


def test_images_must_be_square_and_given_for_a_bare_cell() -> None:
    with pytest.raises(InvalidInputError, match="square images"):
        nas.build("nasnet-a", input_shape=(3, 32, 48))
    with pytest.raises(InvalidInputError, match="give input_shape"):
        nas.build("nasnet-a")


def test_unknown_public_name_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"it has .*search"):
        _ = nas.serach  # type: ignore[attr-defined]


def test_an_architecture_of_a_users_file_builds_from_the_copy_in_a_folder(tmp_path: Path) -> None:
    source = Path(__file__).parents[1] / "search_spaces" / "own_net.py"
    space = get_space(str(source))
    save_source(space, tmp_path)
    blueprint = nas.get_blueprint(space.architecture([0] * len(space.decisions)), input_shape=(1, 8, 8), classes=4)
    assert space_of(blueprint, folder=tmp_path).name == space.name
    assert nas.build(blueprint)(torch.zeros(2, 1, 8, 8)).shape == (2, 4)


@pytest.mark.parametrize("name", ["resnet-18", "nasnet-a", "mobilenet-v2"])
def test_parts_are_exchanged_in_any_network(name: str) -> None:
    """By name, through a blueprint's JSON, with counts that follow: PReLU has a parameter a layer."""
    parts = Parts(activation="prelu", normalization="group")
    blueprint = nas.get_blueprint(name, classes=10, input_shape=(3, 32, 32), parts=parts)
    again = Blueprint.from_json(json.loads(json.dumps(blueprint.to_json())))
    assert again == blueprint
    network = build_blueprint(again)
    kinds = [type(module).__name__ for module in network.modules()]
    assert "PReLU" in kinds
    assert not {"ReLU", "ReLU6", "BatchNorm2d"} & set(kinds)
    assert nas.complexity(blueprint).params == sum(p.numel() for p in network.parameters())
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_a_blueprint_without_parts_is_written_as_ever() -> None:
    assert "parts" not in nas.get_blueprint("resnet-18").to_json()


def test_an_unknown_part_is_refused_with_the_known() -> None:
    blueprint = replace(nas.get_blueprint("resnet-18"), parts=(("activaton", "silu"),))
    with pytest.raises(UnknownNameError, match=r"unknown part 'activaton'. Did you mean 'activation'"):
        build_blueprint(blueprint)
