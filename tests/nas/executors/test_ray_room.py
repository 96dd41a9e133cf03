"""How many workers the nodes of a cluster have room for, and which pools are refused."""

from __future__ import annotations

from typing import Any

import pytest

from nas.errors import InvalidInputError
from nas.executors.ray_cluster import RayOptions, check_room, count_room


def node(alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"Alive": alive, "Resources": resources}


def test_room_is_counted_node_by_node() -> None:
    """Halves of two nodes' GPUs are no worker."""
    nodes = [node(CPU=3.0, GPU=1.5), node(CPU=2.5, GPU=1.5), node(alive=False, CPU=64.0, GPU=8.0), node()]
    assert count_room(nodes, RayOptions()) == 5
    assert count_room(nodes, RayOptions(gpus_per_worker=1.0)) == 2
    assert count_room(nodes, RayOptions(gpus_per_worker=0.25)) == 12
    assert count_room([node(GPU=1.0)], RayOptions(gpus_per_worker=0.1)) == 10


def test_a_cluster_that_may_grow_is_asked_for_more_workers_than_it_has_room_for() -> None:
    check_room(0, {}, RayOptions(workers=8, address="auto"))
    with pytest.raises(InvalidInputError, match="has 2: got --workers 8, use at most 2"):
        check_room(2, {}, RayOptions(workers=8))
    with pytest.raises(InvalidInputError, match="no room for a worker now: give --workers N"):
        check_room(0, {}, RayOptions(address="auto"))
    with pytest.raises(InvalidInputError, match="Ray sees 1 GPUs, room for 1"):
        check_room(1, {"GPU": 1.0}, RayOptions(workers=2, gpus_per_worker=1.0))
