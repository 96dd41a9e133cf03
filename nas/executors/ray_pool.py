"""The actors of a pool: made where there is room, replaced when they die, more or fewer as the cluster changes.

An actor is one process and is never restarted: a dead one is replaced by another, which may lie on another node. It is
given trials only when it has said that it is ready, so one that finds no place holds up nothing.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from types import ModuleType
from typing import Any, final

from nas.errors import NASError
from nas.evaluators.evaluator import Evaluator
from nas.executors.ray_cluster import RayOptions, check_room, count_room
from nas.executors.ray_worker import Started, Worker

CONCURRENT_CALLS = 4  # a trial in work, one that waits for it, `watch`, and `recall`
CHECK_S = 2.0  # between two looks at the nodes
FAILED_STARTS = 3  # in a row, by an error: no worker can start
DEAD_STARTS = 20  # in a row, of processes that simply died
SUSPECT_S = 60.0  # a node that could not be reached is counted out for so long: Ray takes a while to notice its death
NODE_DIED = "node has died"  # in Ray's words


@dataclass(slots=True, eq=False)
class Member:
    """An actor.

    Attributes:
        slot: its number in the pool, which its replacement takes over.
        actor: the handle.
        node: where it runs, once it is ready.
        place: which processors of the node are its own.
        watch: reference that becomes ready when its memory is above the limit.
    """

    slot: int
    actor: Any
    node: str = ""
    place: int = 0
    watch: Any = None

    @property
    def name(self) -> str:
        """How records name it."""
        return f"ray-{self.slot}"


@final
class Pool:
    """Actors that hold an evaluator, as many as asked for or as the cluster has room for."""

    def __init__(self, ray: ModuleType, evaluator: Evaluator, options: RayOptions) -> None:
        """Make the actors, without waiting for them.

        Raises:
            InvalidInputError: more workers than the machine can hold, or no room for any.
        """
        self._ray, self._options = ray, options
        self._members: dict[int, Member] = {}
        self._starting: dict[Any, Member] = {}
        self._watches: dict[Any, Member] = {}
        self._idle: deque[Member] = deque()
        self._suspects: dict[str, float] = {}
        self._failed_starts = 0
        self._room = 0
        self._looked = -CHECK_S
        self._look()
        check_room(self._room, ray.cluster_resources(), options)
        self._evaluator = ray.put(evaluator)  # once in the object store, and once on every node that reads it
        self._class = ray.remote(
            num_cpus=0 if options.gpus_per_worker else 1,
            num_gpus=options.gpus_per_worker,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=CONCURRENT_CALLS,
        )(Worker)
        self._fit()

    @property
    def num_workers(self) -> int:
        """How many actors there is room for now, at least one."""
        return max(1, min(self._wanted, self._room))

    @property
    def references(self) -> list[Any]:
        """What becomes ready when an actor does, or when its memory is above the limit; see `heard`."""
        return [*self._starting, *self._watches]

    def refresh(self) -> None:
        """Look for nodes that came or went, now and then, and make or give up actors accordingly."""
        if time.monotonic() - self._looked >= CHECK_S:
            self._look()
            self._fit()

    def take(self) -> Member | None:
        """Return an actor that waits for a trial, or None."""
        return self._idle.popleft() if self._idle else None

    def give_back(self, member: Member) -> None:
        """Have an actor wait for its next trial."""
        self._idle.append(member)

    def heard(self, reference: Any) -> tuple[Member, int] | None:
        """Take in what one of `references` says.

        Returns:
            An actor whose memory is above the limit, and its bytes; it is for the caller to replace it. None when an
            actor got ready, or died.

        Raises:
            NASError: one actor after the other fails to start.
            InvalidInputError: a limit of memory that leaves no room for a trial.
        """
        if reference in self._starting:
            self._started(reference)
            return None
        member = self._watches.pop(reference)
        try:
            return member, self._ray.get(reference)
        except self._ray.exceptions.RayError:
            if member in self._idle:  # else its trial tells
                self.replace(member)
            return None

    def replace(self, member: Member) -> None:
        """Kill an actor, dead or alive, and make another where there is room."""
        self._drop(member)
        self._look()
        self._fit()

    def is_lost_with_node(self, member: Member, error: Exception) -> bool:
        """Return whether an actor died because its node did, or cannot be reached, as far as Ray tells.

        Args:
            member: the actor.
            error: what its call ended with.
        """
        known = self._ray.exceptions
        if isinstance(error, known.ActorUnavailableError):
            self._suspects[member.node] = time.monotonic()
            return True
        if isinstance(error, known.NodeDiedError) or getattr(error, "preempted", False):
            return True
        alive = {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}
        return member.node not in alive or NODE_DIED in str(error)

    def close(self) -> None:
        """Kill all actors."""
        for member in list(self._members.values()):
            self._drop(member)

    @property
    def _wanted(self) -> int:
        return self._options.workers or max(1, self._room)

    def _look(self) -> None:
        self._looked = time.monotonic()
        self._suspects = {node: since for node, since in self._suspects.items() if self._looked - since < SUSPECT_S}
        nodes = [node for node in self._ray.nodes() if node["NodeID"] not in self._suspects]
        self._room = count_room(nodes, self._options)

    def _fit(self) -> None:
        """Have as many actors as wanted; of too many, those go that found no place."""
        for member in list(self._starting.values())[::-1][: max(0, len(self._members) - self._wanted)]:
            self._drop(member)
        free = (slot for slot in range(self._wanted) if slot not in self._members)
        for slot in list(free)[: max(0, self._wanted - len(self._members))]:
            member = Member(slot, self._class.remote(self._options.threads))
            self._members[slot] = member
            self._starting[member.actor.prepare.remote(self._evaluator)] = member

    def _started(self, reference: Any) -> None:
        member = self._starting.pop(reference)
        try:
            started: Started = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._failed_start(error)
            self.replace(member)
            return
        self._failed_starts = 0
        limits = self._options.limits
        limits.check_room(taken_bytes=started.memory_bytes)
        member.node = started.node
        if limits.memory_bytes is not None:
            member.watch = member.actor.watch.remote(limits.memory_bytes)
            self._watches[member.watch] = member
        if self._options.pin:
            self._pin(member)
        self._idle.append(member)

    def _failed_start(self, error: Exception) -> None:
        known = self._ray.exceptions
        raised = isinstance(error, known.RayTaskError | known.RuntimeEnvSetupError)
        self._failed_starts += 1
        if self._failed_starts >= (FAILED_STARTS if raised else DEAD_STARTS):
            reason = str(error).strip().splitlines()[-1]
            raise NASError(f"{self._failed_starts} workers in a row cannot start, the last: {reason}") from None

    def _pin(self, member: Member) -> None:
        taken = {other.place for other in self._members.values() if other.node == member.node and other is not member}
        member.place = next(place for place in range(len(taken) + 1) if place not in taken)
        pinned = member.actor.pin.remote(member.place)
        self._ray.wait([pinned], timeout=CHECK_S)  # before any trial: an actor's calls run side by side

    def _drop(self, member: Member) -> None:
        self._ray.kill(member.actor)
        if self._members.get(member.slot) is member:  # and not already its replacement
            del self._members[member.slot]
        self._watches.pop(member.watch, None)
        self._starting = {reference: other for reference, other in self._starting.items() if other is not member}
        if member in self._idle:
            self._idle.remove(member)
