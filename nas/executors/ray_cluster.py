"""Reaching Ray: starting it on this machine or joining a cluster, and how many workers there is room for."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from nas.errors import InvalidInputError, MissingDependencyError, NASError
from nas.executors.limits import TrialLimits
from nas.executors.ray_start import prepare_start, start_ray

PACKAGES = ("nas", "controllers", "search_spaces")  # what the workers of a cluster run
LOCAL = ("localhost", "127.0.0.1", "[::1]")
REACH_S = 10.0  # for a connection to a cluster's port


@dataclass(frozen=True, slots=True)
class RayOptions:
    """How the pool is laid out.

    Attributes:
        workers: actors in the pool at most; None for one per processor (or per GPU share) of the machine or cluster.
        gpus_per_worker: share of a GPU that each actor gets; 0.25 puts four on one card.
        address: a running cluster (``auto``, ``ray://host:port``); None starts Ray on this machine.
        threads: torch threads in each actor.
        limits: what one trial may take.
        pin: whether each actor keeps to processors of its node that no other actor of the pool uses.
    """

    workers: int | None = None
    gpus_per_worker: float = 0.0
    address: str | None = None
    threads: int = 1
    limits: TrialLimits = field(default_factory=TrialLimits)
    pin: bool = False

    def __post_init__(self) -> None:
        """Refuse a pool that cannot work."""
        if self.workers is not None and self.workers < 1:
            raise InvalidInputError(f"--workers must be at least 1, got {self.workers}.")
        if self.gpus_per_worker < 0:
            raise InvalidInputError(f"--gpus-per-worker must be >= 0, got {self.gpus_per_worker}.")


def import_ray(*, own: bool = False) -> ModuleType:
    """Return the module.

    Args:
        own: whether Ray is to be started here, for this machine only, which it settles when it is imported.

    Raises:
        MissingDependencyError: it is not installed.
    """
    if own:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        prepare_start()
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # leave GPU visibility alone, and say nothing
    try:
        import ray
    except ImportError:
        raise MissingDependencyError(
            "the ray executor needs the package ray, which is not installed: pip install 'ray[client,tune]', "
            "or use --executor serial."
        ) from None
    module: ModuleType = ray
    return module


def connect(ray: ModuleType, options: RayOptions, said: Callable[[str], None] = lambda text: None) -> None:
    """Start Ray here, or join a cluster and send it this project's code.

    Args:
        ray: the module.
        options: where.
        said: told of a start that takes more than one attempt.

    Raises:
        InvalidInputError: more workers than this machine has processors.
        NASError: Ray does not start, or the cluster cannot be reached.
    """
    if options.address is None:
        if options.workers is not None and not options.gpus_per_worker:
            _check_processors(options.workers, os.cpu_count() or 1, "this machine")
        # Ray of our own takes no connection from other machines
        start_ray(ray, said, logging_level=logging.ERROR, _node_ip_address="127.0.0.1")
        return
    _refuse_unreachable(options.address, own=ray.util.get_node_ip_address)
    try:
        ray.init(
            address=options.address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            # a cluster runs the code that the driver runs, whatever is installed there
            runtime_env={"py_modules": _package_folders()},
        )
    except (ConnectionError, RuntimeError, ValueError, ImportError) as error:
        raise NASError(f"cannot join Ray ({options.address}): {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """Return what went wrong, and the commonest cause where Ray does not name it."""
    reason = " ".join(str(error).split())
    if os.environ.get("RAY_AUTH_MODE") != "token" and ("time" in reason or "auth" in reason.lower()):
        reason += (
            ". If the cluster asks for a token, as Ray's do by default, set RAY_AUTH_MODE=token and have the head's "
            "~/.ray/auth_token on this machine."
        )
    return reason


def _refuse_unreachable(address: str, *, own: Callable[[], str]) -> None:
    """Refuse an address where nobody listens: Ray would try for many minutes.

    Args:
        address: of a cluster.
        own: returns this machine's address, which Ray takes for that of the local host.

    Raises:
        NASError: no connection.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):  # auto, or what only Ray can resolve
        return
    hosts = [host, own()] if host in LOCAL else [host]
    reason = ""
    for one in hosts:
        try:
            socket.create_connection((one.strip("[]"), int(port)), timeout=REACH_S).close()
        except (OSError, OverflowError, UnicodeError) as error:
            reason = reason or str(getattr(error, "strerror", None) or error)
        else:
            return
    raise NASError(f"cannot reach Ray ({address}): {reason}. Is the cluster up, and the port open to this machine?")


def _package_folders() -> list[str]:
    return [str(Path(str(import_module(name).__file__)).parent) for name in PACKAGES]


def count_room(nodes: list[dict[str, Any]], options: RayOptions) -> int:
    """Return how many workers the living nodes have room for, if nobody else used them.

    Args:
        nodes: what ``ray.nodes()`` returns.
        options: what a worker takes.
    """
    return sum(_fitting(node["Resources"], options) for node in nodes if node["Alive"])


def _fitting(resources: Mapping[str, float], options: RayOptions) -> int:
    if not options.gpus_per_worker:
        return int(resources.get("CPU", 0))
    return int(resources.get("GPU", 0.0) / options.gpus_per_worker + 1e-9)


def check_room(room: int, resources: Mapping[str, float], options: RayOptions) -> None:
    """Refuse a pool for which there is no room, unless it is a cluster's, which may grow.

    Args:
        room: how many workers fit.
        resources: all processors and GPUs.
        options: what is asked for.

    Raises:
        InvalidInputError: too many workers, or no room for any.
    """
    if options.address is not None and options.workers is not None:
        return
    if options.address is not None and room == 0:
        raise InvalidInputError("the Ray cluster has no room for a worker now: give --workers N if it is to grow.")
    if not options.gpus_per_worker:
        _check_processors(options.workers or 1, room, "the Ray cluster")
    elif not (options.workers or 1) <= room:
        raise InvalidInputError(
            f"{options.workers or 1} workers of {options.gpus_per_worker} GPU do not fit: Ray sees "
            f"{resources.get('GPU', 0.0):g} GPUs, room for {room}. Lower --workers or --gpus-per-worker."
        )


def _check_processors(workers: int, processors: int, where: str) -> None:
    if workers > processors:
        raise InvalidInputError(
            f"each worker takes one processor, and {where} has {processors}: "
            f"got --workers {workers}, use at most {processors}."
        )


def current_node() -> str:
    """Return the node that this process runs on, as Ray names it."""
    return str(import_ray().get_runtime_context().get_node_id())
